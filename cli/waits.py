"""What a request in flight waits for, by its record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from instance_bundle.state import Cleanup, Done, Progress, Record, inspection

Kind = Literal[
    "answer",
    "superseded",
    "pause",
    "refusal",
    "confirmation",
    "earlier work",
    "acceptance",
    "task",
    "image",
    "start",
    "poll",
]
"""What a request waits for.

- answer: its answer is stored, and CloudFormation does not have it.
- superseded: a later request ends its work.
- pause: the application is paused.
- refusal: a call is refused, and retried until the deadline.
- confirmation: CloudFormation is asked what the request means.
- earlier work: work of an earlier request about the resource ends first.
- acceptance: CloudFormation does not have the answer yet that EC2 has accepted the work.
- task: EC2's task.
- image: the AMI that is registered from a bundle.
- start: EC2 was asked to start the work; its answer is not stored.
- poll: its next poll, which starts or continues it.
"""

LATE = 30
"""Seconds after which a poll that is due is late: longer than one takes, and longer than a queue
that works delays it."""
_BETWEEN_POLLS = 20
"""Seconds within which a refusal that is repeated after it was forgotten is stored again: two polls
after a fault."""
_IS_PAUSED = "is paused: its parameter Paused is true."


@dataclass(frozen=True, slots=True)
class Request:
    """A request in flight.

    Attributes:
        record: its record.
        kind: what it waits for.
        words: the same, for a person.
        since: epoch seconds; since when, as far as is stored.
        earlier: the earlier requests whose work has to end first.
    """

    record: Record
    kind: Kind
    words: str
    since: float
    earlier: tuple[Record, ...] = ()

    def is_late(self, now: float) -> bool:
        """Whether no poll has come at `now` (epoch seconds) since long after it was due."""
        return now > max(self.poll_due + LATE, self.record.lease_until)

    @property
    def poll_due(self) -> float:
        """When the next poll was or is due, in epoch seconds; the first one soon after receipt."""
        return self.record.due or self.record.first_receipt

    def is_stuck(self, now: float) -> bool:
        """Whether it may go on only if somebody does something."""
        return self.kind in ("pause", "refusal") or self.is_late(now)


def find(records: Sequence[Record], images: inspection.Images, now: float) -> Sequence[Request]:
    """The requests in flight, with what they wait for.

    Args:
        records: all about a stack, in the order of their receipt.
        images: the AMI that each request makes.
        now: epoch seconds.
    """
    return [_request(each, records, images, now) for each in records if each.in_flight]


def _request(
    record: Record, records: Sequence[Record], images: inspection.Images, now: float
) -> Request:
    doubt, task = record.doubt, record.task
    if record.answer is not None:
        return Request(record, "answer", _stored(record), record.sent_at)
    if record.superseded:
        words = "A later request about the resource cancels and cleans up its work"
        return Request(record, "superseded", words, record.sent_at)
    if doubt is not None and doubt.is_recent(min(now, record.due or now) - _BETWEEN_POLLS):
        if _IS_PAUSED in doubt.reason:
            return Request(record, "pause", doubt.reason, doubt.since)
        return Request(record, "refusal", _retried(doubt.reason), doubt.since)
    if record.evidence is not None and not record.confirmed:
        words = (
            "Before anything is removed or replaced, CloudFormation is asked whether it sent the"
            f" request. It says: {record.evidence.words}"
        )
        return Request(record, "confirmation", words, record.evidence.since)
    if task is None and (earlier := _earlier(record, records)):
        words = "Work of an earlier request has to end first: "
        words += "; ".join(map(_unfinished, earlier))
        return Request(record, "earlier work", words, record.sent_at, earlier)
    if record.acceptance is not None and not record.acceptance_sent:
        words = "EC2 has accepted the work, and CloudFormation does not have that answer yet"
        return Request(record, "acceptance", words, record.sent_at)
    if task is not None:
        return _working(record, images.get(record.key, ""))
    if record.work == Progress.ATTEMPTED:
        words = "EC2 was asked to start the work, and its answer is not stored"
        return Request(record, "start", words, record.attempted_at or record.sent_at)
    does = "continues" if record.request_type == "Delete" or record.due else "starts"
    return Request(record, "poll", f"The next poll {does} it", record.sent_at)


def _stored(record: Record) -> str:
    answer = record.answer
    said = "SUCCESS" if isinstance(answer, Done) else f"FAILED, {answer.reason if answer else ''}"
    return f"CloudFormation does not have the answer yet, which each poll sends again: {said}"


def _retried(reason: str) -> str:
    return f"A refused call is retried until the deadline. {reason}"


def _working(record: Record, image_id: str) -> Request:
    task, since = record.task, record.attempted_at or record.sent_at
    if image_id and task is not None and image_id != task.id:
        words = f"The bundle {task.id} is complete. The AMI {image_id} is not available yet"
        return Request(record, "image", words, since)
    words = f"EC2: {task}"
    if record.acceptance_sent:
        words += ". CloudFormation has its answer: the stack's wait condition waits"
    return Request(record, "task", words, since)


def _earlier(record: Record, records: Sequence[Record]) -> tuple[Record, ...]:
    """Earlier requests about the resource that may have work left."""
    return tuple(
        other
        for other in records
        if other.key.resource == record.key.resource
        and other.key != record.key
        and other.request_type != "Delete"
        and not other.succeeded
        and not other.is_later_than(record)
        and other.work >= Progress.ATTEMPTED
        and other.cleanup < Cleanup.CLEANED_UP
    )


def _unfinished(other: Record) -> str:
    is_cancelled = other.cleanup == Cleanup.CANCEL_REQUESTED
    work = str(other.task) if other.task else "it may have started a task"
    return f"{other.request_type} {other.key.request_id}, {work}" + (
        ", its cancel is requested" if is_cancelled else ""
    )
