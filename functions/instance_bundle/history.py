"""What the ledger knows of a resource, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from instance_bundle.method import Task
from instance_bundle.outcome import Answer, Done
from instance_bundle.properties import Location, Properties, Target
from instance_bundle.request import Request, RequestKey, RequestType

_OURS = ("bun-", "ami-", "dryrun-")
"""How the IDs of finished work begin; other IDs stand for a resource that was never finished."""


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
class Bundle:
    """A finished bundle that a resource owns.

    Attributes:
        physical_id: what `Ref` gives.
        made_by: the ID of the request that made it.
        naming: what named it, `Properties.naming`.
        location: where it lies; None for a dry run.
        fingerprint: what told it from others at its location when it was finished; empty where
            that could not be seen.
        attributes: what `Fn::GetAtt` gives.
    """

    physical_id: str
    made_by: str
    naming: str
    location: Location | None
    fingerprint: str
    attributes: Mapping[str, str]


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


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a resource.

    Attributes:
        requests: the requests about it, whatever came of them.
        bundles: the finished bundles that it owns.
        tombstones: what its Deletes have left.
    """

    requests: tuple[Record, ...]
    bundles: tuple[Bundle, ...]
    tombstones: tuple[Tombstone, ...]

    def owned(self, naming: str) -> Bundle | None:
        """The bundle of this naming, if the resource owns it."""
        return next((bundle for bundle in self.bundles if bundle.naming == naming), None)

    def under_way(self, record: Record, naming: str) -> Done | None:
        """The answer by which work of this naming was accepted, whose handle waits for its end."""
        return next(
            (
                other.accepted
                for other in self.unfinished_before(record)
                if other.told
                and other.answer is None
                and other.request is not None
                and Properties.parse(other.request.properties).naming == naming
            ),
            None,
        )

    def unfinished_before(self, record: Record) -> list[Record]:
        """Earlier requests whose work, if any, nobody has ended and cleaned up yet."""
        return [
            other
            for other in self.requests
            if other.key != record.key
            and other.request_type != "Delete"
            and not other.succeeded
            and not other.settled
            and not other.is_later_than(record)
            and not _outlives(other, record)
        ]

    def is_late(self, record: Record) -> bool:
        """Whether the request comes after a later one about the resource, or after its Delete."""
        if any(other.is_later_than(record) for other in self.requests):
            return True
        if record.request_type == "Update":
            return any(stone.physical_id == record.physical_id for stone in self.tombstones)
        # A resource that was deleted may be created again, by a Create sent after the Delete.
        return any(
            stone.unseen and not (record.sent > stone.sent > "") for stone in self.tombstones
        )

    def deleted_by(self, record: Record) -> list[Bundle]:
        """The bundles that a Delete is about: that of its ID; or, where CloudFormation made the ID
        up, since it got no answer to the Create before the Delete, those which that Create made."""
        if record.physical_id.startswith(_OURS):
            return [b for b in self.bundles if b.physical_id == record.physical_id]
        unanswered = self._unanswered_create_before(record)
        return [b for b in self.bundles if unanswered and b.made_by == unanswered.key.request_id]

    def _unanswered_create_before(self, record: Record) -> Record | None:
        """The last Create before a Delete, unless a later request knows the ID that it answered."""
        creates = [
            other
            for other in self.requests
            if other.request_type == "Create" and not other.is_later_than(record)
        ]
        last = max(creates, key=lambda other: (other.sent, other.first_receipt), default=None)
        known = {other.physical_id for other in self.requests}
        if last is None or (last.answer is not None and last.answer.physical_id in known):
            return None
        return last

    def undoes_last(self, record: Record) -> bool:
        """Whether an Update asks for what was before the last one, as that of a rollback does."""
        updates = [
            other
            for other in self.requests
            if other.request_type == "Update"
            and other.key != record.key
            and not other.is_later_than(record)
        ]
        last = max(updates, key=lambda other: (other.sent, other.first_receipt), default=None)
        return last is not None and (last.asked, last.asked_before) == (
            record.asked_before,
            record.asked,
        )

    def unseen_at(self, record: Record) -> list[Bundle]:
        """Bundles whose answer CloudFormation can't have seen when it sent this Update.

        It would know the resource by their ID; it knows it by the ID from before they were made.
        """
        unseen = {
            other.key.request_id
            for other in self.requests
            if other.key != record.key
            and other.request_type == "Update"
            and isinstance(other.answer, Done)
            and other.physical_id == record.physical_id != other.answer.physical_id
            and not other.is_later_than(record)
        }
        return [bundle for bundle in self.bundles if bundle.made_by in unseen]

    def has_seen(self, record: Record) -> bool:
        """Whether any request that is known had the ID that this Delete is about."""
        known = {bundle.physical_id for bundle in self.bundles}
        for other in self.requests:
            if other.request_type == "Delete":
                continue
            if other.superseded and not record.physical_id.startswith(_OURS):
                return True
            known |= {other.task.id} if other.task else set()
            known |= {other.answer.physical_id} if other.answer else set()
        return record.physical_id in known


def _outlives(other: Record, record: Record) -> bool:
    """Whether a Delete is about what accepted work replaces, which runs on: CloudFormation knows
    that by the new ID, and has not given it up."""
    return (
        record.request_type == "Delete"
        and record.physical_id.startswith(_OURS)  # another was made up: nothing was heard of
        and other.told
        and other.accepted is not None
        and other.accepted.physical_id != record.physical_id
    )
