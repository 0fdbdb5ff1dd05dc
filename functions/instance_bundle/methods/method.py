"""What the lifecycle asks of a way to make an image, whichever way it is."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

from instance_bundle.errors import InstanceBundleError, Refusal
from instance_bundle.request import Image, Location, Properties, Target

Phase = Literal["running", "complete", "failed"]


def utc(moment: float) -> str:
    """A moment, in epoch seconds, as tasks tell it: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def parsed(moment: str) -> float:
    """A moment of `utc`, in epoch seconds."""
    return datetime.fromisoformat(moment).timestamp()


@dataclass(frozen=True, slots=True)
class Task:
    """How far a piece of work has come, as EC2 told it last.

    Attributes:
        id: EC2's ID of it, such as `bun-0123456789abcdef0`.
        phase: whether it goes on, or how it ended.
        state: EC2's own word, such as `storing`.
        progress: EC2's own words, such as `20%`; empty where it said nothing yet.
        started: ISO 8601, UTC.
        updated: ISO 8601, UTC.
        error_code: of a failed task, EC2's code; else empty.
        error_message: of a failed task, EC2's message; else empty.
        image_id: the AMI that came of it; empty where there is none, or none yet.
    """

    id: str
    phase: Phase
    state: str
    progress: str
    started: str
    updated: str
    error_code: str = ""
    error_message: str = ""
    image_id: str = ""

    def completed(self, now: float) -> "Task":
        """The task as it is to be taken where EC2 no longer lists it, and it has finished.

        Args:
            now: epoch seconds.
        """
        updated = utc(now)
        return replace(self, phase="complete", state="complete", progress="100%", updated=updated)

    def __str__(self) -> str:
        return f"task {self.id} is {self.state}{self.progress and f' at {self.progress}'}"


def known(found: Task | InstanceBundleError | None) -> Task | None:
    """A task that was asked for; None where EC2 does not list it.

    Raises:
        InstanceBundleError: what `found` is, where it is one.
    """
    if isinstance(found, InstanceBundleError):
        raise found
    return found


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where what a task makes is to be found.

    Attributes:
        prefix: what the keys begin with; empty where EC2 names the object itself.
        s3_uri: `s3://bucket/…`.
        manifest_location: as RegisterImage takes it, or the object.
    """

    prefix: str
    s3_uri: str
    manifest_location: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished bundle that a resource owns.

    Attributes:
        physical_id: what `Ref` gives: the ID of the task that made it.
        made_by: the ID of the request that asked for it.
        location: where it lies; of a dry run, where it would lie.
        etag: the entity tag that told it from others at its location when it was finished; empty
            where that could not be seen.
        identity: what it was made of and where to, `Properties.identity`.
        attributes: what `Fn::GetAtt` gives.
    """

    physical_id: str
    made_by: str
    location: Location
    etag: str = ""
    identity: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing was made."""
        return self.physical_id.startswith("dryrun-")


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is to make.

    Attributes:
        properties: what the stack asks for.
        target: what tells this work from other work.
        since: epoch seconds; work from before then is another's.
        until: epoch seconds; the work is given up then.
    """

    properties: Properties
    target: Target
    since: float
    until: float


class Method(Protocol):
    """A way to make an image of an instance and store it in a bucket.

    Each call may raise `PassingFault` or `Denied`.
    """

    id_prefix: str
    """How the IDs of its tasks begin."""

    def dry_run(self, work: Work) -> None:
        """Ask EC2 with DryRun; return where it would have accepted. May raise any `Refusal`."""

    def start(self, work: Work) -> Task:
        """Start the work, or take up what an earlier call started.

        Any `Refusal` means that nothing was started; a `PassingFault` other than `NothingDone` may
        have started it.
        """

    def find(self, target: Target, since: float) -> Task | None:
        """The work on this target, if it was started at or after `since` (epoch seconds)."""

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """How far the tasks are, or why that is not known; those that EC2 does not list are left
        out."""

    def has_next(self, work: Work, seen: Task) -> bool:
        """Whether `advance` makes a call that makes something, once the task is as seen."""

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        """Do what comes next, where one stage has ended and another follows; the task then.

        It may be repeated: what has been done is not done again. May raise any `Refusal`.

        Args:
            work: what the task is for.
            last: the task as it was known before, or as this call left it then.
            seen: the task as it is now: it runs, or is complete.
        """

    def cancel(self, task_id: str) -> bool:
        """Ask for the end of a task; one that has ended, or can't be ended, is no error.

        Returns:
            Whether its end is asked for: what it makes all the same is not wanted.
        """

    def update_image(self, made: Bundle, old: Image | None, new: Image | None) -> str:
        """Give what was finished the AMI that is described now, with no new bundle.

        It may be repeated. May raise any `Refusal`.

        Returns:
            The AMI's ID; empty where none is asked for.
        """

    def is_taken(self, location: Location) -> bool:
        """Whether a finished bundle lies where one is to be made."""

    def lost(self, task: Task, now: float) -> Refusal | None:
        """What it means that EC2 does not list a task which it listed, or should list, at `now`
        (epoch seconds); None where it means nothing."""

    def has_finished(self, location: Location) -> bool:
        """Whether a task that EC2 no longer lists has finished."""

    def outputs(self, location: Location, task: Task) -> Outputs:
        """Where what a task makes is to be found."""

    def finished(self, location: Location, task: Task) -> str | None:
        """The etag of what a task has finished: it tells that from what is written there
        later; None where something was written since."""

    def remove(self, made: Bundle) -> None:
        """Remove what was finished, and nothing of another's. May raise any `Refusal`."""

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """Remove what a task has left that came to nothing, or that was to come to nothing."""
