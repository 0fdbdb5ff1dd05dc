"""Events of EC2's and S3's, as AWS documents them: in time as a rule, at times late, lost or twice.

The figures are assumptions.py's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from enum import Enum

from benchmarks.polling import assumptions


class Source(Enum):
    """Who sends events."""

    EC2 = "EC2"
    S3 = "S3"


TYPICAL = {Source.EC2: assumptions.EC2_EVENT, Source.S3: assumptions.S3_EVENT}
"""Seconds that half of the events take at most, where they are in time."""


class Fate(Enum):
    """What becomes of an event."""

    IN_TIME = "in time"
    LATE = "late"
    LOST = "lost"
    TWICE = "twice"


_THOUSAND = 1000
_STEP = 389
"""Without a common divisor with the thousand, so that fates are spread over it."""

Shares = Mapping[Fate, float]
"""The share of the events that have each fate; 1 in all."""


def shares(
    lost: float = assumptions.EVENTS_LOST,
    late: float = assumptions.EVENTS_LATE,
    twice: float = assumptions.EVENTS_TWICE,
) -> Shares:
    """What is not lost, late or twice is in time."""
    return {
        Fate.IN_TIME: 1 - lost - late - twice,
        Fate.LATE: late,
        Fate.LOST: lost,
        Fate.TWICE: twice,
    }


ASSUMED = shares()


def fate(number: int, shares: Shares) -> Fate:
    """Of an event among many: of each thousand in a row, each fate's share has it."""
    place = number * _STEP % _THOUSAND / _THOUSAND
    passed = 0.0
    for each, share in shares.items():
        passed += share
        if place < passed:
            return each
    return Fate.IN_TIME


def arrivals(fate: Fate, typical: float, seed: int) -> tuple[float, ...]:
    """Seconds from what an event is about until it is in the queue, for each time that it comes.

    Args:
        fate: what becomes of it.
        typical: seconds; half of those that are not late take less.
        seed: the same times come of the same seed.
    """
    chance = random.Random(f"event {seed}")  # noqa: S311  a simulation's
    first = chance.lognormvariate(math.log(typical), assumptions.EVENT_SPREAD)
    late = chance.uniform(*assumptions.LATE_EVENT)
    match fate:
        case Fate.IN_TIME:
            return (first,)
        case Fate.LATE:
            return (late,)
        case Fate.LOST:
            return ()
        case Fate.TWICE:
            return (first, first + late)
