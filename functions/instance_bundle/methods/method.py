"""The interface between the lifecycle and a method to make an image."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

from instance_bundle.aws import Written
from instance_bundle.errors import InstanceBundleError, Refusal
from instance_bundle.request import Image, Location, Properties, RequestKey, Target

Phase = Literal["running", "complete", "failed"]


def utc(moment: float) -> str:
    """A moment, in epoch seconds, in the form that tasks have it: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def parsed(moment: str) -> float:
    """A moment of `utc`, in epoch seconds."""
    return datetime.fromisoformat(moment).timestamp()


@dataclass(frozen=True, slots=True)
class Task:
    """The progress of a piece of work, as EC2 described it last.

    Attributes:
        id: EC2's ID of it, such as `bun-0123456789abcdef0`.
        phase: whether it runs, or how it ended.
        state: EC2's own state, such as `storing`.
        progress: EC2's own progress, such as `20%`; empty where EC2 gave none yet.
        started: ISO 8601, UTC.
        updated: ISO 8601, UTC.
        error_code: of a failed task, EC2's code; else empty.
        error_message: of a failed task, EC2's message; else empty.
        image_id: the AMI that it made; empty where there is none, or none yet.
        snapshot_ids: those of the AMI, joined by commas; empty where there are none, or none yet.
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
    snapshot_ids: str = ""

    @property
    def is_announced(self) -> bool:
        """Whether EC2 sends an event when the present stage ends: an AMI becomes available."""
        return bool(self.image_id) and self.state == "pending"

    @property
    def percent(self) -> int:
        """EC2's progress, from 0 to 100; 0 where EC2 gave none."""
        number = self.progress.removesuffix("%").strip()
        return min(int(number), 100) if number.isdecimal() else 0

    def completed(self, now: float) -> "Task":
        """The task as complete, for a finished task that EC2 no longer lists.

        Args:
            now: epoch seconds.
        """
        updated = utc(now)
        return replace(self, phase="complete", state="complete", progress="100%", updated=updated)

    def __str__(self) -> str:
        return f"task {self.id} is {self.state}{self.progress and f' at {self.progress}'}"


def known(found: Task | InstanceBundleError | None) -> Task | None:
    """The task of a `describe`; None where EC2 does not list it.

    Raises:
        InstanceBundleError: `found` itself, if it is an error.
    """
    if isinstance(found, InstanceBundleError):
        raise found
    return found


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the result of a task is.

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
        location: where it is; of a dry run, where it would be.
        etag: the ETag at its location when it was finished, which distinguishes it from later
            bundles; empty where that could not be read.
        identity: what it was made of and where, `Properties.identity`.
        attributes: what `Fn::GetAtt` gives.
        on_delete: `OnDelete` of the last Create or Update that answered it; empty where that is not
            known.
        replaces: the physical ID that the resource had before; empty where it had none.
        image_ids: the AMIs that it was announced with before its current one; an empty ID for none.
        version: the version ID of the object with the ETag; empty if it had none, or an earlier
            version of the application stored the bundle.
    """

    physical_id: str
    made_by: str
    location: Location
    etag: str = ""
    identity: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    on_delete: str = ""
    replaces: str = ""
    image_ids: tuple[str, ...] = ()
    version: str = ""

    @property
    def announced(self) -> tuple[str, ...]:
        """The AMIs that it was announced with, each once; an empty ID for none."""
        current = self.attributes.get("ImageId", "")
        new = (current,) if current or not self.image_ids else ()
        return tuple(dict.fromkeys((*self.image_ids, *new)))

    @property
    def written(self) -> Written:
        """What distinguishes the object at its location."""
        return Written(self.etag, self.version)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing was made."""
        return self.physical_id.startswith("dryrun-")


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is to make.

    Attributes:
        properties: what the stack asks for.
        target: distinguishes this work from other work.
        key: of the request.
        since: epoch seconds; work that started before is another request's.
        until: epoch seconds; the work times out then.
    """

    properties: Properties
    target: Target
    key: RequestKey
    since: float
    until: float


class Method(Protocol):
    """Makes an image of an instance and stores it in a bucket.

    Each call may raise `PassingFault` or `Denied`.
    """

    id_prefix: str
    """How the IDs of its tasks begin."""

    def dry_run(self, work: Work) -> None:
        """Ask EC2 with DryRun; return if it would have accepted. May raise any `Refusal`."""

    def start(self, work: Work) -> Task:
        """Start the work, or find what an earlier call started.

        Any `Refusal` means that nothing was started; a `PassingFault` other than `NothingDone` may
        have started it.
        """

    def find(self, target: Target, since: float) -> Task | None:
        """The task for this target, if it was started at or after `since` (epoch seconds)."""

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """How far the tasks are, or why that is not known; those that EC2 does not list are left
        out."""

    def has_next(self, work: Work, seen: Task) -> bool:
        """Whether `advance` makes a call that creates something, given the task as seen."""

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        """Start the next stage, if one stage has ended and another follows; returns the new task.

        It can be repeated: what has been done is not done again. May raise any `Refusal`.

        Args:
            work: what the task is for.
            last: the task as it was stored last.
            seen: the task as EC2 describes it now: it runs, or is complete.
        """

    def cancel(self, task_id: str) -> bool:
        """Request a task's cancellation; one that has ended, or can't be cancelled, is no error.

        Returns:
            Whether cancellation is requested: if the task still makes something, it is not wanted.
        """

    def after_cancel(self, task: Task) -> str:
        """What becomes of a running task whose cancellation is requested, for a Reason."""

    def update_image(
        self, made: Bundle, key: RequestKey, old: Image | None, new: Image | None
    ) -> str:
        """Change or register the AMI of a finished bundle, with no new bundle.

        It can be repeated. May raise any `Refusal`.

        Args:
            made: the bundle.
            key: of a request about the bundle's resource.
            old: as the stack described the AMI before.
            new: as the stack describes the AMI now.

        Returns:
            The AMI's ID; empty where none is asked for.
        """

    def is_taken(self, location: Location) -> bool:
        """Whether there is an object already that a bundle at this location would overwrite."""

    def hint(self, target: Target) -> str:
        """What could not be checked before the work was started, for the Reason of its failure;
        empty if nothing."""

    def lost(self, task: Task, now: float) -> Refusal | None:
        """What it means if at `now` (epoch seconds) EC2 no longer lists a task, or does not list it
        yet; None where nothing follows from it."""

    def has_finished(self, location: Location) -> bool:
        """Whether a task that EC2 no longer lists has finished."""

    def outputs(self, location: Location, task: Task) -> Outputs:
        """Where the result of a task is."""

    def finished(self, location: Location, task: Task) -> Written | None:
        """What distinguishes what a task has finished from what is written there later; None if
        something else has been written there already."""

    def removable(self, made: Bundle) -> Bundle:
        """Check that a finished bundle can be removed, before anything of it is.

        Returns:
            The bundle, with all that `remove` needs to know if it is interrupted and repeated. May
            raise any `Refusal`.
        """

    def remove(self, made: Bundle) -> bool:
        """Remove a finished bundle, and nothing that others own. It can be repeated.

        May raise any `Refusal`.

        Returns:
            Whether it is gone: one that can't be distinguished from others' is kept.
        """

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """Remove what a failed or cancelled task has left."""
