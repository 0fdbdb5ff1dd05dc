"""What the lifecycle asks of a way to make an image, whichever way it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from instance_bundle.properties import Location, Properties, Target


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
    """

    id: str
    phase: Literal["running", "complete", "failed"]
    state: str
    progress: str
    started: str
    updated: str
    error_code: str = ""
    error_message: str = ""

    def __str__(self) -> str:
        return f"task {self.id} is {self.state}{self.progress and f' at {self.progress}'}"


class Method(Protocol):
    """A way to make an image of an instance and store it in a bucket.

    Each call may raise `PassingFault` or `Denied`.
    """

    def rehearse(self, properties: Properties, location: Location, until: float) -> None:
        """Ask EC2 with DryRun; return where it would have accepted.

        May raise any `Refusal`. `until` is as for `start`.
        """

    def start(self, properties: Properties, location: Location, since: float, until: float) -> Task:
        """Start the work, or take up what an earlier call started.

        Any `Refusal` means that nothing was started; a `PassingFault` other than `NothingDone` may
        have started it.

        Args:
            properties: what the stack asks for.
            location: where the bundle goes.
            since: epoch seconds; work from before then is another's.
            until: epoch seconds; the work is given up then.
        """

    def find(self, target: Target, since: float) -> Task | None:
        """The work on this target, if it was started at or after `since` (epoch seconds)."""

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task]:
        """How far the tasks are, in one call; those that EC2 no longer lists are left out."""

    def cancel(self, task_id: str) -> None:
        """Ask for the end of a task; one that has ended already is no error."""

    def fingerprint(self, location: Location) -> str | None:
        """What tells the finished bundle at a location from any other; None where there is none."""

    def remove(self, location: Location, fingerprint: str) -> None:
        """Remove the finished bundle of this fingerprint, and nothing of another's.

        May raise any `Refusal`.
        """

    def finished(self, location: Location, task: Task) -> str | None:
        """The fingerprint of what a task has finished; None where something was written since."""

    def remove_leftovers(self, location: Location, task: Task) -> None:
        """Remove what a task that came to nothing has left at its location."""
