"""What the ledger stores: requests with their four facts, resources, and tombstones of Deletes.

A request's record has four facts. They only move forward (`moves_forward`), with one exception:

| fact       | values in order                                                                |
|------------|--------------------------------------------------------------------------------|
| work       | none, target, attempted, task                                                  |
| response   | open, acceptance stored, acceptance sent, answer stored, delivered             |
| cleanup    | none, cancel requested, cleaned up                                             |
| superseded | no, yes                                                                        |

The exception: an attempt that started nothing for sure goes back to target, and is counted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Literal

from instance_bundle.methods import Bundle, Task
from instance_bundle.request import Request, RequestKey, RequestType, Target
from instance_bundle.state.outcome import Answer, Done

_DATE = "%Y%m%dT%H%M%SZ"

_REPEATED_AFTER = 15
"""Seconds after which a repeated doubt is final: longer than a change of permissions takes."""
_FORGOTTEN_AFTER = 120
"""Seconds after which the same refusal counts as a new doubt."""


class Progress(IntEnum):
    """The progress of the work that a request asks for."""

    NONE = 0
    TARGET = 1
    ATTEMPTED = 2
    TASK = 3


class Response(IntEnum):
    """The progress of the response to a request."""

    OPEN = 0
    ACCEPTANCE_STORED = 1
    ACCEPTANCE_SENT = 2
    ANSWER_STORED = 3
    DELIVERED = 4


class Cleanup(IntEnum):
    """The progress of later requests in cancelling and cleaning up the work of a request."""

    NONE = 0
    CANCEL_REQUESTED = 1
    CLEANED_UP = 2


def dated(moment: float) -> str:
    """Epoch seconds as `Record.sent`."""
    return datetime.fromtimestamp(moment, UTC).strftime(_DATE)


def parsed(date: str) -> float:
    """`Record.sent` as epoch seconds."""
    return datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Doubt:
    """The last refusal of a call that is retried; some refusals are final only if repeated.

    Attributes:
        reason: its Reason, without secrets.
        since: epoch seconds.
    """

    reason: str
    since: float

    def is_about(self, reason: str, now: float) -> bool:
        """Whether a refusal at `now` (epoch seconds) repeats this one."""
        return self.reason == reason and self.is_recent(now)

    def is_recent(self, now: float) -> bool:
        """Whether it is not forgotten yet at `now` (epoch seconds)."""
        return now < self.since + _FORGOTTEN_AFTER

    def has_lasted(self, now: float) -> bool:
        """Whether a repetition at `now` (epoch seconds) is final."""
        return now >= self.since + _REPEATED_AFTER


@dataclass(frozen=True, slots=True)
class Evidence:
    """What CloudFormation said about a request.

    Attributes:
        said: what that implies, by a name that `lifecycle.meaning` uses.
        since: epoch seconds; since when it has said so.
        words: the statuses that CloudFormation returned, for a person.
    """

    said: str
    since: float
    words: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event about a finished bundle, to be published once the request is answered.

    Attributes:
        state: `complete`, if the bundle has another AMI now, or `removed`.
        bundle: as it is then, or was before it was removed.
    """

    state: Literal["complete", "removed"]
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last event about a request's task: `started`, or a later `progress`.

    Attributes:
        percent: the task's progress in that event.
        progress_at: epoch seconds of the last `progress`; 0 before the first one.
    """

    percent: int
    progress_at: float = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A request's item.

    Attributes:
        request: what CloudFormation asked, with its secrets; None once its answer has been
            delivered, and where it was not read: only who drives or answers the request needs it.
        key: the request's key.
        request_type: Create, Update or Delete.
        physical_id: the resource's ID before the request; empty in a Create.
        sent: when CloudFormation sent it, or else when it was received; compared as text:
            `20261124T055807Z`.
        is_dated: its ResponseURL shows when it was sent.
        first_receipt: epoch seconds.
        deadline: epoch seconds; when the answer must be sent.
        generation: the number of the valid poll message.
        lease_until: epoch seconds; until then a process may be driving the request.
        due: epoch seconds; a poll that comes earlier is not valid.
        hinted_at: epoch seconds of the last event of AWS's about the work; 0 if there was none.
        event_expected: the bucket sent an event shortly before the work was started.
        begun: how many invocations began with the request and did not end, since its progress was
            last saved.
        version: how often the record was written.
        target: what is to be bundled, and where to; None before the location is claimed.
        identity: `Properties.identity` of what is to be bundled; empty before there is a target.
        on_delete: the request's `OnDelete`; empty before there is a target.
        attempted_at: epoch seconds of the last call that may have started the work.
        attempts: how many calls started nothing for sure.
        task: the work, as it was described last.
        acceptance: the answer that is sent before the work has ended, since a handle waits for its
            end; None if no handle does, or the work is not accepted yet.
        acceptance_sent: CloudFormation has the acceptance.
        answer: the final answer.
        superseded: a later request cancels this one's work, if any.
        cleanup: the progress of that cancel and the clean-up.
        doubt: the last refusal of a call that is retried; None if there was none.
        evidence: what CloudFormation said last about this request; None if it was not asked.
        confirmed: what the request means, as CloudFormation confirmed it; empty if not known.
        asked: the digest of the request's properties.
        asked_before: the digest of its OldResourceProperties.
        announcements: the events about bundles that it found finished.
        last_event: the last event about its task; None before `started`.
        undelivered: its answer is to be delivered.
    """

    request: Request | None
    key: RequestKey
    request_type: RequestType
    physical_id: str
    sent: str
    is_dated: bool
    first_receipt: float
    deadline: float
    generation: int
    lease_until: float
    begun: int
    due: float = 0
    hinted_at: float = 0
    event_expected: bool = False
    version: int = 0
    target: Target | None = None
    identity: str = ""
    on_delete: str = ""
    attempted_at: float | None = None
    attempts: int = 0
    task: Task | None = None
    acceptance: Done | None = None
    acceptance_sent: bool = False
    answer: Answer | None = None
    superseded: bool = False
    cleanup: Cleanup = Cleanup.NONE
    doubt: Doubt | None = None
    evidence: Evidence | None = None
    confirmed: str = ""
    asked: str = ""
    asked_before: str = ""
    announcements: tuple[Announcement, ...] = ()
    last_event: LastEvent | None = None
    undelivered: bool = False

    @property
    def work(self) -> Progress:
        """The progress of the work."""
        if self.task is not None:
            return Progress.TASK
        if self.attempted_at is not None:
            return Progress.ATTEMPTED
        return Progress.TARGET if self.target is not None else Progress.NONE

    @property
    def response(self) -> Response:
        """The progress of the response."""
        if self.answer is not None:
            return Response.ANSWER_STORED if self.undelivered else Response.DELIVERED
        if self.acceptance_sent:
            return Response.ACCEPTANCE_SENT
        return Response.OPEN if self.acceptance is None else Response.ACCEPTANCE_STORED

    @property
    def in_flight(self) -> bool:
        """Whether CloudFormation waits for the answer, as far as is stored."""
        return self.answer is None or self.undelivered

    @property
    def succeeded(self) -> bool:
        """Whether the answer is SUCCESS."""
        return isinstance(self.answer, Done)

    @property
    def may_write(self) -> bool:
        """Whether its work may still write to the location that it has claimed."""
        is_cleaned_up = self.cleanup == Cleanup.CLEANED_UP
        is_open = self.answer is None or self.attempted_at is not None
        return is_open and not self.succeeded and not is_cleaned_up

    @property
    def sent_at(self) -> float:
        """When CloudFormation sent the request, or else when it was received; epoch seconds."""
        return parsed(self.sent) if self.is_dated else self.first_receipt

    def is_later_than(self, other: "Record") -> bool:
        """Whether CloudFormation sent this request after the other, as far as is known."""
        return self.sent > other.sent


def moves_forward(before: Record, after: Record) -> bool:
    """Whether no fact of a record goes back, except an attempt that is counted in `attempts`."""
    taken_back = (
        before.work == Progress.ATTEMPTED
        and after.work == Progress.TARGET
        and after.attempts > before.attempts
    )
    return (
        (after.work >= before.work or taken_back)
        and after.response >= before.response
        and after.cleanup >= before.cleanup
        and after.superseded >= before.superseded
        and after.attempts >= before.attempts
    )


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What a Delete leaves: the resource with this ID was deleted.

    Attributes:
        physical_id: the Delete's physical ID.
        sent: `Record.sent` of the Delete.
        unseen: no request in the ledger ever had the ID: its Create may still be received.
    """

    physical_id: str
    sent: str
    unseen: bool


@dataclass(frozen=True, slots=True)
class Resource:
    """All that is known about a resource: a logical ID of a stack.

    Attributes:
        requests: the requests about it, whatever their outcome.
        bundles: the finished bundles that CloudFormation manages.
        released: the bundles that CloudFormation retained: they are never answered, replaced or
            deleted again.
        tombstones: those that its Deletes left.
    """

    requests: tuple[Record, ...]
    bundles: tuple[Bundle, ...]
    released: tuple[Bundle, ...]
    tombstones: tuple[Tombstone, ...]
