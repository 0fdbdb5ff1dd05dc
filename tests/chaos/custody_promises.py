"""Promises about bundles that CloudFormation has, or that were retained."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tests.chaos.custody import Custody
from tests.chaos.world import World


def kept(custody: Custody) -> Iterator[str]:
    """A retained bundle is never removed, changed, or answered again. A Delete removes the bundle
    with its ID and nothing else. A rollback finds its bundle."""
    custody.check()
    yield from custody.violations


def genuine(world: World, forged: Set[str]) -> Iterator[str]:
    """No work is started for a forged request."""
    for made in world.images.made.values():
        if made.request_id in forged:
            yield f"{made.image_id} was started for a forged request"
    for start in world.started:
        if start.prefix.rpartition("/")[2] in forged:
            yield f"{start.bundle_id} was started for a forged request"
