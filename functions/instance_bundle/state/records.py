"""What the ledger knows: requests, bundles, and what Deletes have left."""

from dataclasses import dataclass
from datetime import UTC, datetime

from instance_bundle.methods import Task
from instance_bundle.request import Request, RequestKey, RequestType, Target
from instance_bundle.state.outcome import Answer, Done

_DATE = "%Y%m%dT%H%M%SZ"

_REPEATED_AFTER = 15
"""Seconds after which a doubt that comes again is believed: more than a change takes to be seen."""
_FORGOTTEN_AFTER = 120
"""Seconds after which it is another one."""


def dated(moment: float) -> str:
    """Epoch seconds as `Record.sent`."""
    return datetime.fromtimestamp(moment, UTC).strftime(_DATE)


def parsed(date: str) -> float:
    """`Record.sent` as epoch seconds."""
    return datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was refused last: some of it is believed only when it is repeated.

    Attributes:
        reason: its Reason.
        since: epoch seconds.
    """

    reason: str
    since: float

    def is_about(self, reason: str, now: float) -> bool:
        """Whether a refusal at `now` (epoch seconds) is this one again."""
        return self.reason == reason and self.is_recent(now)

    def is_recent(self, now: float) -> bool:
        """Whether it is of now (epoch seconds), and not of something long past."""
        return now < self.since + _FORGOTTEN_AFTER

    def is_settled(self, now: float) -> bool:
        """Whether it came again after long enough."""
        return now >= self.since + _REPEATED_AFTER


@dataclass(frozen=True, slots=True)
class Record:
    """A request's item.

    Attributes:
        request: what CloudFormation asked; None once its answer has been delivered.
        key: the request's key.
        request_type: Create, Update or Delete.
        physical_id: the resource's ID before the request; empty in a Create.
        sent: when CloudFormation sent it, to be compared as text: `20261124T055807Z`; empty where
            that is not known.
        first_receipt: epoch seconds.
        deadline: epoch seconds; when the answer must be on its way.
        generation: the number of the poll message that counts.
        lease_until: epoch seconds; until then a process may be driving the request.
        begun: how many invocations took the request up, since it was last sent on, and have not
            come to an end.
        target: what is to be bundled, and where to; None before anything is touched for it.
        attempted_at: epoch seconds of the last call that may have started the work.
        task: the work, as it was seen last.
        accepted: the answer that was, or is to be, sent before the work has ended, since a handle
            is to hear of its end; None where there is none, or it is not accepted yet.
        told: CloudFormation has heard that the work is accepted.
        answer: what came of the work in the end.
        superseded: a later request ends this one's work, if any.
        ended: the end of its work was asked for while it ran.
        settled: nothing of its work is left to end or to clean up.
        doubt: what was refused last, and is asked again; None where nothing was.
        asked: what tells the properties of the request from others.
        asked_before: likewise of its OldResourceProperties.
    """

    request: Request | None
    key: RequestKey
    request_type: RequestType
    physical_id: str
    sent: str
    first_receipt: float
    deadline: float
    generation: int
    lease_until: float
    begun: int
    target: Target | None
    attempted_at: float | None
    task: Task | None
    accepted: Done | None
    told: bool
    answer: Answer | None
    superseded: bool
    ended: bool
    settled: bool
    doubt: Doubt | None
    asked: str
    asked_before: str

    @property
    def succeeded(self) -> bool:
        """Whether the answer is SUCCESS."""
        return isinstance(self.answer, Done)

    @property
    def is_being_accepted(self) -> bool:
        """Whether CloudFormation is just being told that the work is accepted."""
        return self.accepted is not None and not self.told

    @property
    def sent_at(self) -> float:
        """When CloudFormation sent the request, epoch seconds; where that is not known, when it was
        received."""
        return parsed(self.sent) if self.sent else self.first_receipt

    def is_later_than(self, other: "Record") -> bool:
        """Whether CloudFormation is known to have sent this request later than the other."""
        return bool(other.sent) and self.sent > other.sent


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What a Delete leaves: its resource, by this ID, is no more.

    Attributes:
        physical_id: the ID that the Delete gave.
        sent: `Record.sent` of the Delete.
        unseen: no request that the ledger knows ever had the ID: its Create may be on its way.
    """

    physical_id: str
    sent: str
    unseen: bool
