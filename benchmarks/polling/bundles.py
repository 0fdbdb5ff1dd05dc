"""Bundle tasks as EC2 would show them, each a function of time alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from instance_bundle.methods.method import Task

SHORTEST, LONGEST = 120.0, 5400.0
"""Seconds that a bundle takes at least, and at most."""
TYPICAL = 1200.0
"""Seconds: half of the bundles take less."""
_SPREAD = 0.9
"""Of the durations' logarithm."""
AT_ONCE = 60.0
"""Seconds within which all bundles that are said to be made at once are started."""

KINDS = {"honest": 40, "stalls": 20, "jumps": 15, "lies": 15, "silent": 10}
"""The kinds of progress, and how many bundles in a hundred have each.

- honest: it grows evenly.
- stalls: it stops for a third of the time, somewhere, and is even before and after.
- jumps: it goes in a few steps, each of any size.
- lies: it is at 99% after a part of the time, and stays there; or stays at 1% to the end.
- silent: there is none.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle task.

    Attributes:
        id: its ID.
        start: when BundleInstance is called, in seconds of the simulation.
        duration: seconds until it is complete.
        waits: seconds of these in which nothing is written yet.
        kind: one of `KINDS`.
        steps: what the kind needs: (part of the time, part shown) in order of time; in between,
            it grows evenly, except for jumps.
        before: seconds that the task had run at the start: this is its second stage.
        shown_late: seconds after the end until a Describe call shows it.
    """

    id: str
    start: float
    duration: float
    waits: float
    kind: str
    steps: tuple[tuple[float, float], ...]
    before: float = 0
    shown_late: float = 0

    @property
    def end(self) -> float:
        """When it is complete, in seconds of the simulation."""
        return self.start + self.duration

    def seen(self, now: float) -> Task:
        """The task as a Describe call shows it."""
        age = now - self.start
        complete = age >= self.duration + self.shown_late
        return Task(
            id=self.id,
            phase="complete" if complete else "running",
            state="complete" if complete else self._state(age),
            progress="100%" if complete else self._progress(age),
            started=_utc(self.start - self.before),
            updated=_utc(now),
        )

    def _state(self, age: float) -> str:
        if age < self.waits:
            return "pending" if age < self.waits / 2 else "waiting-for-shutdown"
        return "bundling" if self._part(age) < _BUNDLING_ENDS else "storing"

    def _progress(self, age: float) -> str:
        if self.kind == "silent" or age < self.waits:
            return ""
        return f"{min(99, int(100 * self._shown(self._part(age))))}%"

    def _part(self, age: float) -> float:
        return (age - self.waits) / (self.duration - self.waits)

    def _shown(self, part: float) -> float:
        before = (0.0, 0.0)
        for after in self.steps:
            if part < after[0]:
                if self.kind == "jumps":
                    return before[1]
                share = (part - before[0]) / (after[0] - before[0])
                return before[1] + share * (after[1] - before[1])
            before = after
        return before[1]


_BUNDLING_ENDS = 0.7


def draw(count: int, seed: int) -> Sequence[Bundle]:
    """Bundles that are started at once, of all durations and kinds.

    Args:
        count: how many.
        seed: the same bundles come of the same seed.
    """
    chance = random.Random(seed)  # noqa: S311  a simulation's
    return [_draw(number, chance) for number in range(count)]


def _draw(number: int, chance: random.Random) -> Bundle:
    duration = 0.0
    while not SHORTEST <= duration <= LONGEST:
        duration = chance.lognormvariate(math.log(TYPICAL), _SPREAD)
    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
    return Bundle(
        id=f"bun-{number:017x}",
        start=chance.uniform(0, AT_ONCE),
        duration=duration,
        waits=min(chance.uniform(10, 120), duration / 2),
        kind=kind,
        steps=_steps(kind, chance),
    )


def _steps(kind: str, chance: random.Random) -> tuple[tuple[float, float], ...]:
    match kind:
        case "stalls":
            at = chance.uniform(0, 2 / 3)
            return ((at, 1.5 * at), (at + 1 / 3, 1.5 * at), (1, 1))
        case "jumps":
            parts = sorted(chance.random() for _ in range(4))
            return tuple(zip(parts, sorted(chance.random() for _ in range(4)), strict=True))
        case "lies":
            return ((chance.uniform(0.1, 0.9), chance.choice([0.99, 0.01])),)
        case _:
            return ((1, 1),)


_EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def epoch(now: float) -> float:
    """A moment of the simulation in epoch seconds."""
    return _EPOCH + now


def _utc(now: float) -> str:
    return datetime.fromtimestamp(epoch(now), UTC).isoformat(timespec="milliseconds")
