"""When to look at a task again."""

from datetime import datetime

from instance_bundle.method import Task

SOONEST = 5
"""Seconds: no look is sooner after the last one."""
LATEST = {
    "pending": 15,
    "available": SOONEST,
    "waiting-for-shutdown": 30,
    "bundling": 60,
    "storing": 30,
    "cancelling": SOONEST,
}
"""Seconds after the last look, by the task's state: no look is later. States that end soon are
looked at sooner; bundling takes longest."""
AFTER_FAULT = 10
"""Seconds to wait after a passing fault."""


def next_look(task: Task, now: float) -> int:
    """Seconds until the next look, from 5 to 60.

    A task that tells its progress is taken to go on as it went, and is looked at again after half
    of the time that it then needs; one that tells nothing, after a quarter of its age; and none
    later than its state suggests.

    Args:
        task: as it was seen last.
        now: epoch seconds.
    """
    age = max(0.0, now - datetime.fromisoformat(task.started).timestamp())
    done = _fraction(task.progress)
    wait = age * (1 - done) / done / 2 if done else age / 4
    return round(max(min(wait, LATEST.get(task.state, 60)), SOONEST))


def _fraction(progress: str) -> float:
    number = progress.removesuffix("%").strip()
    return min(int(number), 100) / 100 if number.isdecimal() else 0.0
