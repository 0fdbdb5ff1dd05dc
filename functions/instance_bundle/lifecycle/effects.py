"""The calls and writes that the flow needs: it yields each effect, and is sent its result.

The flow makes no call itself, so that production and a model checker run the same code, one effect
at a time. If an effect fails, its exception is thrown into the flow.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from instance_bundle.lifecycle.meaning import Answers
from instance_bundle.methods import Bundle, Task, Work, Written
from instance_bundle.request import Image, Location, Properties, RequestKey, Target
from instance_bundle.state import Announcement, Record, Resource, Tombstone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effect(Generic[T]):
    """One effect; `T` is the type of its result."""


def perform(effect: Effect[T]) -> Generator[Effect[Any], Any, T]:
    """Yield an effect, and return its result, typed."""
    result: T = yield effect
    return result


# The clock and the ledger


@dataclass(frozen=True, slots=True)
class Now(Effect[float]):
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Load(Effect[Resource]):
    """All that the ledger has about a request's resource."""

    key: RequestKey


@dataclass(frozen=True, slots=True)
class Save(Effect[tuple[Record, bool]]):
    """Write what has changed in a record, on the condition that no other process has written it.

    The result is the record as it is then, and whether this write took place.
    """

    before: Record
    after: Record


@dataclass(frozen=True, slots=True)
class ExpectImage(Effect[None]):
    """Store that a request waits for an AMI, for EC2's event about it."""

    record: Record
    image_id: str


@dataclass(frozen=True, slots=True)
class MergeTask(Effect[Record]):
    """Store the task that a call started, whatever other processes wrote meanwhile."""

    record: Record
    task: Task


@dataclass(frozen=True, slots=True)
class Mark(Effect[Record]):
    """Mark an earlier request's record: `superseded`, `cancel_requested` or `cleaned_up`."""

    record: Record
    mark: str


@dataclass(frozen=True, slots=True)
class Claim(Effect[RequestKey | None]):
    """Claim a location for a request; the result is None, or the other request that has it."""

    location: Location
    key: RequestKey
    instead_of: RequestKey | None = None


@dataclass(frozen=True, slots=True)
class Read(Effect[Record | None]):
    """Another request's record."""

    key: RequestKey


@dataclass(frozen=True, slots=True)
class ReleaseLocation(Effect[None]):
    """Delete a request's claim of a location."""

    location: Location
    key: RequestKey


@dataclass(frozen=True, slots=True)
class KeepLocation(Effect[None]):
    """Make a request's claim permanent: what was finished there, stored under this S3 URI, is
    retained."""

    location: Location
    key: RequestKey
    s3_uri: str


@dataclass(frozen=True, slots=True)
class PutBundle(Effect[None]):
    """Store a finished bundle, or what has changed in it."""

    key: RequestKey
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class AboutToRemove(Effect[None]):
    """Store that a bundle is about to be removed."""

    key: RequestKey
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class ReleaseBundle(Effect[None]):
    """Store that CloudFormation retained a bundle, and no longer manages it."""

    key: RequestKey
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class LeaveTombstone(Effect[None]):
    """Store that the resource with a physical ID was deleted."""

    key: RequestKey
    tombstone: Tombstone


@dataclass(frozen=True, slots=True)
class Announce(Effect[None]):
    """Store an event that is to be published once the request is answered."""

    key: RequestKey
    announcement: Announcement


# CloudFormation


@dataclass(frozen=True, slots=True)
class Ask(Effect[Answers | None]):
    """Read a request's stack and resource from CloudFormation; None if the deployment does not.

    Attributes:
        record: the request's record.
        answered: a Create that was answered SUCCESS; whether CloudFormation received the answer is
            read too. None if that makes no difference.
    """

    record: Record
    answered: Record | None = None


# The methods: EC2 and S3


@dataclass(frozen=True, slots=True)
class Admit(Effect[Properties]):
    """The properties of a request that is about to make a bundle, or of an Update that makes none.

    It raises every problem of the properties.
    """

    record: Record
    makes_bundle: bool = True


@dataclass(frozen=True, slots=True)
class Describe(Effect[Task | None]):
    """A task as EC2 lists it now."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Find(Effect[Task | None]):
    """The task on a target that was started at `since` or later, if there is one."""

    target: Target
    since: float


@dataclass(frozen=True, slots=True)
class DryRun(Effect[None]):
    """Ask EC2 whether it would start the work."""

    work: Work


@dataclass(frozen=True, slots=True)
class Start(Effect[Task]):
    """Start the work."""

    work: Work


@dataclass(frozen=True, slots=True)
class Advance(Effect[Task]):
    """Start the next stage of the work, if the last one has ended."""

    work: Work
    last: Task
    seen: Task


@dataclass(frozen=True, slots=True)
class Cancel(Effect[bool]):
    """Cancel a task; the result is whether what it completes all the same is to be removed."""

    task_id: str


@dataclass(frozen=True, slots=True)
class UpdateImage(Effect[str]):
    """Update a bundle's AMI to the one that is described now; the result is its ID."""

    key: RequestKey
    bundle: Bundle
    old: Image | None
    new: Image | None


@dataclass(frozen=True, slots=True)
class IsTaken(Effect[bool]):
    """Whether there is an object at the target's location that the work would overwrite."""

    target: Target


@dataclass(frozen=True, slots=True)
class Hint(Effect[str]):
    """What could not be checked before the work on a target was started; empty if nothing."""

    target: Target


@dataclass(frozen=True, slots=True)
class HasFinished(Effect[bool]):
    """Whether a task that EC2 no longer lists has finished."""

    task_id: str
    location: Location


@dataclass(frozen=True, slots=True)
class Finished(Effect[Written | None]):
    """The object that identifies a finished bundle, as it was written."""

    location: Location
    task: Task


@dataclass(frozen=True, slots=True)
class CheckRemoval(Effect[Bundle]):
    """Check that a finished bundle can be removed; the result has all that its removal needs."""

    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Remove(Effect[bool]):
    """Remove a finished bundle; the result is whether it is gone."""

    bundle: Bundle


@dataclass(frozen=True, slots=True)
class RemoveLeftovers(Effect[None]):
    """Remove what is left of a task that did not finish, or was cancelled."""

    target: Target
    task: Task
