"""When to look at a task again."""

from dataclasses import dataclass
from datetime import datetime

from instance_bundle import budget
from instance_bundle.methods import Task


@dataclass(frozen=True, slots=True)
class Interval:
    """How the next look is chosen.

    Attributes:
        latest: seconds; no look is later after the last one. It bounds the time to answer whatever
            a task tells of its progress.
        share: of the time that a task then needs, when it goes on as it went, to wait.
        grid: seconds; looks fall on multiples of it, so that those of many requests come together
            and share a call.
    """

    latest: int
    share: float
    grid: int

    def seconds(self, task: Task, now: float) -> int:
        """Seconds until the next look, from 1 to `latest`.

        Args:
            task: as it was seen last.
            now: epoch seconds.
        """
        wait = max(budget.NEXT_POLL, min(self.latest, self.share * _left(task, now)))
        due = (now + wait) // self.grid * self.grid
        while due - now < 1:
            due += self.grid
        return round(due - now)


def _left(task: Task, now: float) -> float:
    """Seconds that a task needs when it goes on as it went; endless where it tells nothing."""
    age = max(0.0, now - datetime.fromisoformat(task.started).timestamp())
    done = _fraction(task.progress)
    return age * (1 - done) / done if done else float("inf")


def _fraction(progress: str) -> float:
    number = progress.removesuffix("%").strip()
    return min(int(number), 100) / 100 if number.isdecimal() else 0.0


INTERVAL = Interval(latest=15, share=0.5, grid=5)
next_poll = INTERVAL.seconds
