"""The phases of a stack's life in which faults are injected, and how each has to end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sandbox.ec2.image import snapshot_ids
from tests.chaos.sequence import Run, Step
from tests.chaos.stacks import Stack
from tests.chaos.steps import (
    CREATE,
    DELETE,
    HANDLE,
    LATER,
    REGISTERS,
    STORES,
    UPDATE,
    UPDATE_IMAGE,
    later,
)
from tests.chaos.world import RESPONSE_PUT, SIGNAL_PUT

MethodName = Literal["BundleInstance", "StoreImage"]

LATE_SIBLING_FAILURE = {"sibling": 3000}
"""A sibling that fails after the bundle is complete, even if faults delayed the bundle."""

INVALID = {"on_delete": "Sometimes"}

HANGS = {"outcome": "hang"}

LONG_TIMEOUT = HANDLE | {"timeout": 600}
"""A handle, and a timeout that is long enough for a retry before the acceptance."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a stack's life, and its correct end.

    Attributes:
        before: the steps before the phase.
        steps: the steps of the phase.
        status: of the stack in the end.
        bundles: how many were started in the end.
        left: the names of the bundles that exist in the end; nothing is left of others.
        answers_before: the phase's own calls begin after this many answers; earlier calls belong to
            another phase.
        ends_with: the call that sends the result of its first request.
        method: of the stack's bundles.
    """

    before: Sequence[Step]
    steps: Sequence[Step]
    status: str
    bundles: int
    left: Collection[str]
    answers_before: int = 0
    ends_with: str = RESPONSE_PUT
    method: MethodName = "BundleInstance"

    def begin(self, run: Run) -> None:
        """Carry out the steps before the phase."""
        run.carry_out(map(self._of_method, self.before))

    def play(self, run: Run) -> None:
        """Carry out the steps of the phase, until nothing is left to do."""
        run.carry_out(map(self._of_method, self.steps))
        run.world.run_until_idle()

    def problems(self, run: Run) -> Iterator[str]:
        """What is not correct in the end."""
        [stack] = run.stacks
        if stack.status != self.status:
            reasons = [each.result.get("Reason", "") for each in stack.exchanges if each.result]
            yield f"{stack.name} is {stack.status}, not {self.status}: {reasons}"
        yield from (
            self._problems_of_bundles(run, stack)
            if self.method == "BundleInstance"
            else self._problems_of_images(run, stack)
        )

    def _of_method(self, step: Step) -> Step:
        if step["do"] not in ("create", "update"):
            return step
        extra = REGISTERS if self.method == "BundleInstance" else STORES
        return {**step, **extra, "described": step["described"] or extra["described"]}

    def _problems_of_bundles(self, run: Run, stack: Stack) -> Iterator[str]:
        world, ending = run.world, ".manifest.xml"
        keys = world.keys(run.bucket)
        own = tuple(f"{stack.name}/{name}." for name in self.left)
        whole = {key.removesuffix(ending) for key in keys if key.endswith(ending)}
        images = world.images.own()
        locations = Counter((image.image_location, image.description) for image in images)
        expected = {f"{run.bucket}/{stack.name}/{name}{ending}" for name in self.left}
        if len(world.started) != self.bundles:
            yield f"{len(world.started)} bundles were started, not {self.bundles}"
        if whole != {f"{stack.name}/{name}" for name in self.left}:
            yield f"the bundles {sorted(whole)} exist, not {self.left}"
        if strays := [key for key in keys if not key.startswith(own)]:
            yield f"{strays} are left"
        if {location for location, _ in locations} != expected:
            yield f"there are AMIs of {sorted(locations)}, not of {sorted(expected)}"
        if more := [what for what, times in locations.items() if times > 1]:
            yield f"there is more than one AMI of {more}"
        if running := [task for task in world.tasks(run.bucket) if not task.view.ended]:
            yield f"{[task.bundle_id for task in running]} still run"

    def _problems_of_images(self, run: Run, stack: Stack) -> Iterator[str]:
        world = run.world
        images = world.images.own()
        keys = world.keys(run.bucket)
        names = [image.name or "" for image in images]
        if len(world.images.made) != self.bundles:
            yield f"{len(world.images.made)} images were made, not {self.bundles}"
        if sorted(names) != [f"{stack.name}/{name}" for name in sorted(self.left)]:
            yield f"the images {names} exist, not {self.left}"
        if keys != {f"{image.id}.bin" for image in images}:
            yield f"the objects {sorted(keys)} and the images {names} exist"
        of_images = {id_ for image in images for id_ in snapshot_ids(image)}
        if world.images.all_snapshots_left() != of_images:
            yield f"the snapshots {world.images.all_snapshots_left()} exist, not {of_images}"
        if pending := [image.id for image in images if image.state != "available"]:
            yield f"{pending} are not available"
        if stores := world.images.being_stored():
            yield f"{stores} are still being stored"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the function in a phase.

    Attributes:
        nth: its number among the phase's own calls, counted from 1.
        nth_of_its_name: its number among those with its name.
        is_before_answer: whether the phase's first request has not been answered yet.
    """

    name: str
    nth: int
    nth_of_its_name: int
    is_before_answer: bool


@dataclass(slots=True)
class OwnCalls:
    """The calls of a run that are a phase's own, as they are made."""

    phase: Phase
    answers: int = 0
    ends: int = 0
    names: list[str] = field(default_factory=list)

    def next(self, name: str) -> Call | None:
        """The next call, by its name; None if it belongs to the phase before."""
        is_before_answer = self.ends <= self.phase.answers_before
        self.ends += name == self.phase.ends_with
        self.answers += name == RESPONSE_PUT
        if self.answers < self.phase.answers_before:
            return None
        self.names.append(name)
        return Call(name, len(self.names), self.names.count(name), is_before_answer)


_ONE = ["a"]

_PHASES: Mapping[str, Phase] = {
    "create": Phase([], [CREATE], "CREATE_COMPLETE", 1, _ONE),
    "create refused": Phase([], [CREATE | INVALID], "ROLLBACK_COMPLETE", 0, []),
    "create through a handle": Phase(
        [], [CREATE | LONG_TIMEOUT], "CREATE_COMPLETE", 1, _ONE, ends_with=SIGNAL_PUT
    ),
    "replace": Phase([CREATE, LATER], [UPDATE], "UPDATE_COMPLETE", 2, ["b"]),
    "update in place": Phase([CREATE, LATER], [UPDATE_IMAGE], "UPDATE_COMPLETE", 1, _ONE),
    "delete": Phase([CREATE, LATER], [DELETE], "DELETE_COMPLETE", 1, []),
    "delete and retain": Phase(
        [CREATE | {"on_delete": "Retain"}, LATER], [DELETE], "DELETE_COMPLETE", 1, _ONE
    ),
    "delete while created": Phase([CREATE | HANGS, later(12)], [DELETE], "DELETE_COMPLETE", 1, []),
    "delete while accepted": Phase(
        [CREATE | LONG_TIMEOUT | HANGS, later(12)],
        [later(15), DELETE],
        status="DELETE_COMPLETE",
        bundles=1,
        left=[],
    ),
    "roll back": Phase(
        [CREATE, LATER],
        [UPDATE | {"described": "y"} | LATE_SIBLING_FAILURE],
        "UPDATE_ROLLBACK_COMPLETE",
        2,
        _ONE,
        1,
    ),
}

PHASES: Mapping[str, Phase] = {
    **{f"BundleInstance: {name}": phase for name, phase in _PHASES.items()},
    "BundleInstance: roll back in place": Phase(
        [CREATE, LATER],
        [UPDATE_IMAGE | LATE_SIBLING_FAILURE],
        status="UPDATE_ROLLBACK_COMPLETE",
        bundles=1,
        left=_ONE,
        answers_before=1,
    ),
    **{
        f"StoreImage: {name}": replace(phase, method="StoreImage")
        for name, phase in _PHASES.items()
    },
    "StoreImage: delete while stored": Phase(
        [CREATE | {"seconds": 10, "store_seconds": 30}, later(25)],
        [DELETE],
        status="DELETE_COMPLETE",
        bundles=1,
        left=[],
        method="StoreImage",
    ),
}
