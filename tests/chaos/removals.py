"""What is left of a bundle if AWS refuses a call of its removal, or of its update in place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from rich import box
from rich.table import Table

from instance_bundle.aws.calls import CALLS
from tests.chaos.branches import explore
from tests.chaos.matrix import ALWAYS
from tests.chaos.phases import PHASES, OwnCalls
from tests.chaos.sequence import Run
from tests.chaos.steps import DELETE
from tests.chaos.world import Fault, World, steer

ONCE, FOR_GOOD = "refused once", "refused for good"
REFUSALS: Mapping[str, Fault] = {
    ONCE: Fault("*", "deny"),
    FOR_GOOD: Fault("*", "deny", times=ALWAYS),
}
"""Of the first call of each name; "for good" ends when the request is answered."""

REMOVALS = ("BundleInstance: delete", "StoreImage: delete")
KEPT = "StoreImage: delete, EC2 leaves the snapshot"
"""DeregisterImage deletes the AMI, and for the snapshot it answers `internal-error`."""
UPDATES = ("BundleInstance: update in place", "StoreImage: update in place")

EVERYTHING, NOTHING = "everything", "nothing"


@dataclass(frozen=True, slots=True)
class Left:
    """The state after a request.

    Attributes:
        status: of the stack.
        there: `everything`, also if there is more; `nothing`; or how many of each kind there are.
        reasons: of the answers that were FAILED.
    """

    status: str
    there: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.status}: {self.there}"


@dataclass(frozen=True, slots=True)
class Ending:
    """The result of a refusal.

    Attributes:
        phase: a removal, or an update in place.
        call: the refused one, such as `ec2:DeregisterImage`.
        refused: one of `REFUSALS`.
        first: after the request whose call was refused.
        second: after another Delete, in which nothing is refused.
    """

    phase: str
    call: str
    refused: str
    first: Left
    second: Left


def endings(world: World, phase: str) -> Iterator[Ending]:
    """The result of each refusal of each call that a phase makes before it is answered."""
    run, name = Run(world), phase.partition(", ")[0]
    PHASES[name].begin(run)
    if phase == KEPT:
        steer(run.stacks[0].properties["InstanceId"], delete_snapshot="internal-error")
    [stack] = run.stacks
    before, answers = _there(run), len(stack.exchanges)
    own, struck = OwnCalls(PHASES[name]), set[str]()

    def at(made: str) -> Iterator[Fault]:
        call = own.next(made)
        if call is None or not call.is_before_answer or made in struck or made not in CALLS:
            return
        struck.add(made)
        yield from REFUSALS.values()

    def left() -> Left:
        reasons = tuple(
            str(each.result["Reason"])
            for each in stack.exchanges[answers:]
            if each.result is not None and each.result["Status"] == "FAILED"
        )
        return Left(stack.status, _kinds(before, _there(run)), reasons)

    def check() -> list[str]:
        first = left()
        if not world.log:
            return []
        run.carry_out([DELETE])
        world.run_until_idle()
        return [json.dumps({"first": asdict(first), "second": asdict(left())})]

    _until_it_is_answered(world)
    for branch in explore(world, at, lambda: PHASES[name].play(run), check):
        [found] = map(json.loads, branch.problems)
        refused = FOR_GOOD if branch.fault.times == ALWAYS else ONCE
        first, second = Left(**found["first"]), Left(**found["second"])
        yield Ending(phase, branch.fault.call, refused, first, second)


def table(found: list[Ending]) -> Table:
    """The results, a row for each call of each phase."""
    columns = [f"{refused}{then}" for refused in REFUSALS for then in ("", ", then Delete")]
    shown = Table("Phase", "Call", *columns, box=box.SIMPLE, title="What is left, by refused call")
    rows: dict[tuple[str, str], dict[str, Ending]] = {}
    for each in found:
        rows.setdefault((each.phase, each.call), {})[each.refused] = each
    for (phase, call), row in sorted(rows.items()):
        cells = [str(left) for name in REFUSALS for left in (row[name].first, row[name].second)]
        shown.add_row(phase, call, *cells)
    return shown


def _there(run: Run) -> dict[str, int]:
    keys = run.world.keys(run.bucket)
    manifests = {key for key in keys if key.endswith(".manifest.xml")}
    images = run.world.images
    return {
        "AMI": len(images.own()),
        "snapshot": len(images.all_snapshots_left()),
        "manifest": len(manifests),
        "object": len(keys - manifests),
    }


def _kinds(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    if all(now[kind] >= count for kind, count in before.items()):
        return EVERYTHING
    return ", ".join(f"{count} {kind}" for kind, count in now.items() if count) or NOTHING


def _until_it_is_answered(world: World) -> None:
    on_answer = world.on_answer

    def receive(url: str, body: bytes) -> int:
        world.disarm()
        return on_answer(url, body)

    world.on_answer = receive
