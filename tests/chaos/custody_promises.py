"""What must hold of bundles that somebody has: CloudFormation, or whoever had them retained."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tests.chaos.custody import Custody
from tests.chaos.world import World


def kept(custody: Custody) -> Iterator[str]:
    """What was retained is never removed, changed, or answered again; a Delete removes what its ID
    has made and nothing else; and a bundle that a rollback goes back to is there."""
    custody.check()
    yield from custody.violations


def genuine(world: World, forged: Set[str]) -> Iterator[str]:
    """No work is started for a request that CloudFormation has not sent."""
    for made in world.images.made.values():
        if made.request_id in forged:
            yield f"{made.image_id} was started for a request that was forged"
    for start in world.started:
        if start.prefix.rpartition("/")[2] in forged:
            yield f"{start.bundle_id} was started for a request that was forged"
