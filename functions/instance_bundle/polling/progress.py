"""What the log, the metrics and the event bus say about a request that continues."""

from typing import Any

from instance_bundle.methods import Task, parsed
from instance_bundle.responses import NextPoll, events
from instance_bundle.state import LastEvent
from instance_bundle.telemetry import count, logger, measure

MINUTE = 60
STEP = 10
"""Per cent of progress that are worth an event."""


def is_minute(receipt: float, due: float, next_due: float) -> bool:
    """Whether a poll is the one that reports for a minute: one of the request's minutes begins
    after this poll is due, and not after the next one is.

    Each minute has exactly one such poll, whatever happens to a poll, since the ledger has the
    time at which the next one is due. The time between the reports of two minutes is at most a
    minute, the longest time between two polls, and the delay of the second one. A poll whose
    process was killed is received again after the queue's visibility timeout of three minutes, so
    that a report is at any time less than five minutes old, also after one crash.

    Args:
        receipt: of the request, epoch seconds; its minutes count from it.
        due: when this poll was due; 0 for the first one, which reports.
        next_due: when the next one is.
    """
    return (due - receipt) // MINUTE != (next_due - receipt) // MINUTE


def has_changed(before: Task | None, task: Task | None) -> bool:
    """Whether a task, if it was described, has another state or progress than before."""
    if task is None:
        return False
    return before is None or (before.state, before.progress) != (task.state, task.progress)


def next_event(next_poll: NextPoll) -> events.TaskEvent | None:
    """The event about the task that is due with a poll, if one is.

    `started` comes with the first poll that finds the task in the ledger. `progress` comes when the
    task has passed another multiple of `STEP` since the last event, and a minute after the last
    `progress` at the earliest: a poll after that minute has the newest progress.
    """
    record = next_poll.record
    if record.task is None or record.target is None or record.request is None:
        return None
    task, now = next_poll.task or record.task, next_poll.due - next_poll.seconds
    last = record.last_event
    if last is None:
        mark = LastEvent(task.percent)
        return events.TaskEvent("started", record.request, record.target, task, mark)
    if task.percent // STEP <= last.percent // STEP or now < last.progress_at + MINUTE:
        return None
    mark = LastEvent(task.percent, now)
    return events.TaskEvent("progress", record.request, record.target, task, mark)


def report(next_poll: NextPoll) -> None:
    """Log the progress of a request if it has changed, and else once a minute; count the request
    once a minute."""
    record, now = next_poll.record, next_poll.due - next_poll.seconds
    age = now - record.first_receipt
    reports = is_minute(record.first_receipt, record.due, next_poll.due)
    if reports:
        count("RequestsInFlight")
        measure("RequestAge", age)
    if reports or has_changed(record.task, next_poll.task):
        task = next_poll.task or record.task
        shown = _shown(task, now) if task is not None else {}
        logger.info("In progress", request_seconds=round(age), **shown)


def _shown(task: Task, now: float) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "state": task.state,
        "progress": task.progress,
        "task_seconds": round(now - parsed(task.started)),
    }
