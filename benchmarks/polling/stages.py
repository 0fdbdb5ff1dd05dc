"""The stages of work whose end AWS may send an event about."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.polling import assumptions
from benchmarks.polling.aws_events import Source
from benchmarks.polling.bundles import AT_ONCE, LONGEST, Bundle, draw

_SHORTEST = 30.0
"""Seconds that a stage of an AMI takes at least."""
_SPREAD = 0.7
"""Of the logarithm of its durations."""
_HALF = 0.5
"""What StoreImage shows of its progress when the storing begins."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of work.

    Attributes:
        name: its name.
        draw: a stage of some duration; the same of the same seed.
        source: of the event about its end.
        objects: that it creates in a bucket, each with an event of S3's.
    """

    name: str
    draw: Callable[[int], Bundle]
    source: Source
    objects: int


def _bundle(seed: int) -> Bundle:
    (bundle,) = draw(1, seed)
    return _shown(bundle, _chance(seed))


def _pending(seed: int) -> Bundle:
    chance = _chance(seed)
    return _shown(_of_image(assumptions.PENDING, chance), chance)


def _storing(seed: int) -> Bundle:
    chance = _chance(seed)
    before = _of_image(assumptions.PENDING, chance)
    storing = _of_image(assumptions.STORING, chance)
    shows = replace(storing, kind="honest", steps=((0, _HALF), (1, 1)), before=before.duration)
    return _shown(shows, chance)


BUNDLE_TASK = Stage("a bundle task", _bundle, Source.S3, objects=assumptions.PARTS + 1)
PENDING = Stage("an AMI, pending", _pending, Source.EC2, objects=0)
STORING = Stage("an AMI, storing", _storing, Source.S3, objects=1)

STAGES = (BUNDLE_TASK, PENDING, STORING)


def _of_image(typical: float, chance: random.Random) -> Bundle:
    duration = 0.0
    while not _SHORTEST <= duration <= LONGEST:
        duration = chance.lognormvariate(math.log(typical), _SPREAD)
    start = chance.uniform(0, AT_ONCE)
    return Bundle("ami-0123456789abcdef0", start, duration, waits=0, kind="silent", steps=())


def _shown(bundle: Bundle, chance: random.Random) -> Bundle:
    """The same; at times, Describe calls show its end only later."""
    late = chance.uniform(0, assumptions.SHOWN_WITHIN)
    return replace(bundle, shown_late=late if chance.random() < assumptions.SHOWN_LATE else 0)


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  a simulation's
