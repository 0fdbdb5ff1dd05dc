"""How requests end if AWS refuses, throttles or does not answer one of the function's calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rich import box
from rich.table import Table

from instance_bundle.aws.calls import CALLS, Purpose
from tests.chaos.branches import explore
from tests.chaos.matrix import ALWAYS
from tests.chaos.phases import PHASES, OwnCalls, Phase
from tests.chaos.sequence import Run
from tests.chaos.stacks import Stack
from tests.chaos.steps import SEVERAL
from tests.chaos.world import TEXT_CALLS, Fault, World, action_of

ONCE, FOR_GOOD = "refused once", "refused for good"
MEETS: Mapping[str, Fault] = {
    ONCE: Fault("*", "deny"),
    FOR_GOOD: Fault("*", "deny", times=ALWAYS),
    "throttled for a minute": Fault("*", "throttle", times=ALWAYS, seconds=60),
    "unreadable": Fault("*", "garble"),
    "hangs": Fault("*", "hang"),
}
"""The faults at the first call of each name; "for good" ends when a request is answered."""

UNCHANGED = "unchanged"

PLACES: Mapping[str, tuple[str, ...]] = {
    "BundleInstance: create": (
        *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem", "sqs:SendMessage"),
        *TEXT_CALLS,
        *("ec2:BundleInstance", "ec2:DescribeBundleTasks", "ec2:DescribeImages"),
        *("ec2:DescribeInstances", "ec2:RegisterImage", "events:PutEvents"),
        *("s3:HeadBucket", "s3:HeadObject", "secretsmanager:GetSecretValue"),
    ),
    "BundleInstance: delete": (
        *("dynamodb:DeleteItem", "ec2:DeregisterImage"),
        *("s3:DeleteObjects", "s3:GetObject", "s3:ListObjectsV2"),
    ),
    "BundleInstance: delete while created": ("ec2:CancelBundleTask",),
    "StoreImage: create": (
        *("ec2:CreateImage", "ec2:CreateStoreImageTask", "ec2:DescribeStoreImageTasks"),
        "ec2:DescribeVolumes",
    ),
    "StoreImage: update in place": (
        *("ec2:CreateTags", "ec2:DeleteTags", "ec2:ModifyImageAttribute"),
    ),
    "StoreImage: delete": (
        *("ec2:DeleteSnapshot", "ec2:DescribeLockedSnapshots", "ec2:DescribeSnapshots"),
        *("ec2:ListImagesInRecycleBin", "ec2:ListSnapshotsInRecycleBin"),
    ),
    "several at once": (*("sqs:DeleteMessageBatch", "sqs:ReceiveMessage", "sqs:SendMessageBatch"),),
}
"""The phase in which each call is struck."""

_OWN: Mapping[str, Phase] = {
    "several at once": Phase([], SEVERAL, "CREATE_COMPLETE", 3, []),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a fault at a call.

    Attributes:
        call: such as `ec2:CreateImage`.
        meets: the fault, one of `MEETS`.
        statuses: of the stacks in the end.
        reasons: of the answers that were FAILED.
        seconds: how much later the phase's first request was answered than without the fault.
        is_unchanged: whether all stacks ended as without the fault.
        broken: the broken promises.
    """

    call: str
    meets: str
    statuses: tuple[str, ...]
    reasons: tuple[str, ...]
    seconds: float
    is_unchanged: bool
    broken: tuple[str, ...]

    def __str__(self) -> str:
        late = f", {self.seconds:+.0f} s" if round(self.seconds) else ""
        if self.is_unchanged:
            return f"{UNCHANGED}{late}"
        return f"FAILED{late}" if self.reasons else f"{', '.join(self.statuses)}{late}"


def outcomes(world: World) -> Iterator[Outcome]:
    """The outcome of each fault at each call."""
    for place, calls in PLACES.items():
        yield from _outcomes_at(world, place, calls)


def table(found: Iterator[Outcome] | list[Outcome]) -> Table:
    """The outcomes, a row for each call."""
    shown = Table("Call", "Purpose", *MEETS, box=box.SIMPLE, title="Outcomes of faults, by call")
    by_call: dict[str, dict[str, str]] = {}
    for each in found:
        by_call.setdefault(each.call, {})[each.meets] = str(each)
    for call in sorted(by_call, key=lambda call: (purpose(call).value, call)):
        shown.add_row(call, purpose(call).value, *(by_call[call][meets] for meets in MEETS))
    return shown


def purpose(call: str) -> Purpose:
    """What a call is for."""
    return CALLS[action_of(call)].purpose


def _outcomes_at(world: World, place: str, calls: tuple[str, ...]) -> Iterator[Outcome]:
    phase = _OWN.get(place) or PHASES[place]
    run = Run(world, most_at_once=3)
    world.batch_size = 2 if place == "several at once" else 10
    phase.begin(run)
    before = sum(len(stack.exchanges) for stack in run.stacks)
    own, struck = OwnCalls(phase), dict.fromkeys(calls, False)
    began, answered_at = time.time(), _answered_at(world)
    without: dict[str, object] = {}

    def at(name: str) -> Iterator[Fault]:
        call = own.next(name)
        if call is not None and name in struck and not struck[name]:
            struck[name] = True
            yield from MEETS.values()

    def check() -> list[str]:
        stacks = run.stacks
        statuses = [stack.status for stack in stacks]
        outcome = {
            "statuses": statuses,
            "reasons": list(_reasons(stacks, before)),
            "seconds": (answered_at[before] if len(answered_at) > before else began) - began,
            "broken": run.broken(),
        }
        if not world.log:
            without.update(outcome)
            return []
        return [json.dumps(outcome)]

    for branch in explore(world, at, lambda: phase.play(run), check):
        yield _outcome(branch.fault, json.loads(branch.problems[0]), without)
    assert all(struck.values()), f"{place} makes no call of {struck}"


def _outcome(
    fault: Fault, found: Mapping[str, list[str]], without: Mapping[str, object]
) -> Outcome:
    kind_of = {(each.kind, each.times): name for name, each in MEETS.items()}
    return Outcome(
        call=fault.call,
        meets=kind_of[fault.kind, fault.times],
        statuses=tuple(found["statuses"]),
        reasons=tuple(found["reasons"]),
        seconds=float(str(found["seconds"])) - float(str(without["seconds"])),
        is_unchanged=found["statuses"] == without["statuses"] and not found["reasons"],
        broken=tuple(found["broken"]),
    )


def _answered_at(world: World) -> list[float]:
    """When each request is first answered, from now on. An answer also ends the faults."""
    moments: list[float] = []
    on_answer: Callable[[str, bytes], int] = world.on_answer
    seen: set[str] = set()

    def receive(url: str, body: bytes) -> int:
        if url not in seen:
            seen.add(url)
            moments.append(time.time())
            world.disarm()
        return on_answer(url, body)

    world.on_answer = receive
    return moments


def _reasons(stacks: list[Stack], before: int) -> Iterator[str]:
    for stack in stacks:
        for exchange in stack.exchanges[before:]:
            if exchange.result is not None and exchange.result["Status"] == "FAILED":
                yield str(exchange.result["Reason"])
