"""When to poll a task again."""

import math
from dataclasses import dataclass
from datetime import datetime

from instance_bundle import budget
from instance_bundle.methods import Task

_DISAGREES = 7
"""Seconds after an event of AWS's in which Describe may not show yet what it is about."""
_LATELY = 60
"""Seconds after an event in which polls find what Describe did not show soon."""


@dataclass(frozen=True, slots=True)
class Interval:
    """How the time of the next poll is chosen.

    Attributes:
        latest: seconds; the longest time between two polls, whatever progress a task reports.
        share: the share of the task's remaining time to wait, if it continues at the same rate.
        grid: seconds; polls take place at multiples of it, so that the polls of many requests come
            together and share a call.
    """

    latest: int
    share: float
    grid: int

    def seconds(self, task: Task, now: float) -> int:
        """Seconds until the next poll, from 1 to `latest`.

        Args:
            task: as it was described last.
            now: epoch seconds.
        """
        wait = max(budget.NEXT_POLL, min(self.latest, self.share * _left(task, now)))
        due = (now + wait) // self.grid * self.grid
        while due - now < 1:
            due += self.grid
        return round(due - now)


def _left(task: Task, now: float) -> float:
    """Seconds that a task needs at its rate so far; infinite if it reports no progress."""
    age = max(0.0, now - datetime.fromisoformat(task.started).timestamp())
    done = task.percent / 100
    return age * (1 - done) / done if done else float("inf")


INTERVAL = Interval(latest=15, share=0.5, grid=5)
IF_EXPECTED = Interval(latest=30, share=0.5, grid=5)
"""Where AWS is expected to send an event: polls find what its event is late or lost for. It is the
longest with which a simulation finds 99 of 100 ends within 15 seconds, with some margin
(benchmarks/polling/)."""


def next_poll(
    task: Task, now: float, since_hint: float = math.inf, *, expected: bool = False
) -> int:
    """Seconds until the next poll. After an event: 1, 2, 4, then as usual.

    Args:
        task: as it was described last.
        now: epoch seconds.
        since_hint: seconds since the last event about the task.
        expected: whether AWS is expected to send an event when the task's stage ends. If it has
            just sent one, it sends no other.
    """
    usual = IF_EXPECTED if expected and since_hint > _LATELY else INTERVAL
    return after_event(since_hint) or usual.seconds(task, now)


def after_event(since: float) -> int | None:
    """Seconds until the next poll, so many seconds after an event that Describe does not show yet;
    None if so long after it that the event no longer matters."""
    return max(0, int(since)) + 1 if since < _DISAGREES else None
