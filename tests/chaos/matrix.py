"""Which faults are tried at which calls of each phase: the data for the tests' parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from instance_bundle.aws.calls import CALLS, Purpose
from tests.chaos.branches import Branch, explore
from tests.chaos.phases import PHASES, Call, OwnCalls, Phase
from tests.chaos.sequence import Run
from tests.chaos.world import Fault, World, action_of

PASSING = ("throttle", "fail", "refuse", "cut", "cut-after", "garble")

ALWAYS = 100_000

# More often than the function tries a call within one invocation: the SDK and the sender of
# answers and signals try 3 times. Calls that make a task or an AMI are not retried.
_TIMES = {
    "ec2:BundleInstance": 1,
    "ec2:CreateImage": 1,
    "ec2:CreateStoreImageTask": 1,
    "ec2:RegisterImage": 1,
}
_OFTEN = 4

Selection = Callable[[Call], bool]
"""Whether a call is struck."""


def each_call(_: Call) -> bool:
    """Every call of the phase."""
    return True


def first_of_each_name(call: Call) -> bool:
    """The first call of each name."""
    return call.nth_of_its_name == 1


def first_of_each_name_before_the_answer(call: Call) -> bool:
    """The first call of each name before the phase's first request is answered."""
    return call.nth_of_its_name == 1 and call.is_before_answer


def each_read(call: Call) -> bool:
    """Every read."""
    known = CALLS.get(call.name)
    return known is not None and known.purpose is Purpose.READ


def first_read_of_each_name(call: Call) -> bool:
    """The first read of each name."""
    return first_of_each_name(call) and each_read(call)


def each_before_the_answer(call: Call) -> bool:
    """Every call before the phase's first request is answered."""
    return call.is_before_answer


@dataclass(frozen=True, slots=True)
class Trial:
    """Faults of these kinds, at these calls of each phase.

    Attributes:
        name: for the tests' IDs.
        kinds: of the faults.
        selection: the calls.
        phases: the phases.
        is_refusal: AWS refuses the call until the request is answered, so the phase may end in
            another way than without a fault.
        in_faults: the phases that `make faults` tries; `make nightly` tries all.
    """

    name: str
    kinds: tuple[str, ...]
    selection: Selection
    phases: tuple[str, ...] = tuple(PHASES)
    is_refusal: bool = False
    in_faults: Collection[str] = tuple(PHASES)

    def faults(self, phase: Phase) -> Callable[[str], Iterator[Fault]]:
        """The faults to try at each call of a run of the phase."""
        calls = OwnCalls(phase)

        def at(name: str) -> Iterator[Fault]:
            call = calls.next(name)
            if call is not None and self.selection(call):
                yield from (Fault(name, kind, times=self._times(name, kind)) for kind in self.kinds)

        return at

    def _times(self, call: str, kind: str) -> int:
        if self.is_refusal:
            return ALWAYS
        return _TIMES.get(call, _OFTEN) if kind in PASSING else 1


# If a call of a rollback is refused, the rollback fails.
_REFUSABLE = tuple(name for name in PHASES if "roll back" not in name)

_MAIN = (
    *("BundleInstance: create", "BundleInstance: create through a handle"),
    *("BundleInstance: delete", "StoreImage: create", "StoreImage: delete"),
)

KILLS = Trial("killed after it", ("kill-after",), first_of_each_name)
KILLED_BEFORE = Trial("killed before it", ("kill",), first_of_each_name)
FAILS = Trial("fails for a while", PASSING, first_of_each_name, in_faults=_MAIN)
HANGS = Trial("hangs", ("hang",), first_of_each_name, in_faults=_MAIN)
TWICE = Trial("delivered twice meanwhile", ("twice",), first_of_each_name, in_faults=_MAIN)
HINTED = Trial("with an event of AWS's meanwhile", ("hint",), first_of_each_name, in_faults=_MAIN)
DENIED = Trial(
    "denied",
    ("deny",),
    first_of_each_name_before_the_answer,
    phases=_REFUSABLE,
    is_refusal=True,
)

_READING = tuple(name for name in PHASES if not name.endswith(("refused", "retain")))
DENIED_ONCE = Trial("denied once", ("deny",), first_read_of_each_name, _READING, in_faults=_MAIN)

_SHORT = (KILLED_BEFORE, KILLS, FAILS, HANGS, TWICE, HINTED, DENIED, DENIED_ONCE)


def _at_each_call(trial: Trial) -> Trial:
    selection = {DENIED: each_before_the_answer, DENIED_ONCE: each_read}.get(trial, each_call)
    return replace(trial, name=f"each {trial.name}", selection=selection, in_faults=())


TRIALS = (*_SHORT, *map(_at_each_call, _SHORT))

IN_EACH_RUN = "BundleInstance: delete and retain"
"""The phase that `make test` tries."""


def command(trial: Trial, phase: str) -> str:
    """The first of `make test`, `make faults` and `make nightly` that tries this."""
    if phase == IN_EACH_RUN and trial.in_faults:
        return "test"
    return "faults" if phase in trial.in_faults else "nightly"


REFUSED: Mapping[str, Collection[str]] = {
    "BundleInstance: create": {
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "ec2:BundleInstance",
        "ec2:DescribeBundleTasks",
        "ec2:DescribeImages",
        "ec2:DescribeInstances",
        "ec2:RegisterImage",
        "s3:HeadObject",
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
        "texts:PutItem",
    },
    "BundleInstance: delete": {
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "ec2:DeregisterImage",
        "ec2:DescribeImages",
        "s3:DeleteObjects",
        "s3:GetObject",
        "s3:ListObjectsV2",
        "sqs:SendMessage",
        "texts:PutItem",
    },
    "BundleInstance: delete while created": {
        "ec2:CancelBundleTask",
    },
    "BundleInstance: update in place": {
        "ec2:DescribeImages",
        "ec2:RegisterImage",
    },
    "BundleInstance: replace": {
        "ec2:BundleInstance",
    },
    "StoreImage: create": {
        "ec2:CreateImage",
        "ec2:CreateStoreImageTask",
        "ec2:DescribeImages",
        "ec2:DescribeInstances",
        "ec2:DescribeStoreImageTasks",
    },
    "StoreImage: update in place": {
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:ModifyImageAttribute",
    },
    "StoreImage: delete": {
        "ec2:DeleteSnapshot",
        "ec2:DeregisterImage",
        "ec2:DescribeSnapshots",
        "s3:DeleteObjects",
    },
    "StoreImage: delete while created": {
        "ec2:DeleteSnapshot",
        "ec2:DeregisterImage",
    },
    "StoreImage: replace": {
        "ec2:CreateImage",
    },
}
"""The calls of each phase whose refusal is named in a Reason."""


def carry_out(world: World, name: str, trial: Trial) -> list[Branch]:
    """Take a stack through a phase: without faults, and with each fault at each selected call.

    Raises:
        AssertionError: the phase does not end correctly without a fault.
    """
    phase = PHASES[name]
    run = Run(world)
    phase.begin(run)
    if trial.is_refusal:
        world.on_answer = _allowing_all_once_answered(world)
    before = world.counts["timeouts"]

    def check() -> list[str]:
        wrong = _unnamed(run, name) if trial.is_refusal else phase.problems(run)
        # "twice": the time that the other process needs is counted as the call's.
        timed_out = world.counts["timeouts"] - before if "twice" not in trial.kinds else 0
        late = [f"{timed_out} invocations ran into their timeout"] if timed_out else []
        return [*wrong, *late, *run.broken()]

    return explore(world, trial.faults(phase), lambda: phase.play(run), check)


OF_A_BATCH = ("sqs:ReceiveMessage", "sqs:SendMessageBatch", "sqs:DeleteMessageBatch")
"""The calls that are made once for all requests of a batch."""

OF_A_BATCH_MEET: Mapping[str, int] = {
    **dict.fromkeys(PASSING, _OFTEN),
    **dict.fromkeys(("kill", "kill-after", "hang", "twice", "deny"), 1),
}
"""The kinds of faults to try at these calls, and how often in a row."""

EVENTS, MESSAGES = "event:Delivery", "message:Delivery"
DELIVERIES = (EVENTS, MESSAGES)


def deliver_twice(world: World, name: str, delivery: str) -> list[str]:
    """Take a stack through a phase in which each delivery of a kind arrives twice at once.

    Returns:
        What is not correct in the end.
    """
    phase = PHASES[name]
    run = Run(world)
    phase.begin(run)
    doubled: list[object] = []

    def double(_: str) -> None:
        event = world.handled
        is_first_call = not any(event is each for each in doubled)
        if is_first_call and (delivery == MESSAGES) == ("Records" in event):
            doubled.append(event)
            world.handle_twice()

    world.on_call = double
    phase.play(run)
    world.on_call = None
    assert doubled or delivery == MESSAGES
    return [*phase.problems(run), *run.broken()]


def _allowing_all_once_answered(world: World) -> Callable[[str, bytes], int]:
    on_answer = world.on_answer

    def receive(url: str, body: bytes) -> int:
        world.disarm()
        return on_answer(url, body)

    return receive


def _unnamed(run: Run, phase: str) -> Iterator[str]:
    """The refused calls that should be named in a Reason, and are not."""
    refused = {line.removeprefix("deny ") for line in run.world.log if line.startswith("deny ")}
    [stack] = run.stacks
    reasons = [each.result.get("Reason", "") for each in stack.exchanges if each.result]
    for call in refused.intersection(REFUSED.get(phase, ())):
        if not any(f"{action_of(call)} was refused. " in reason for reason in reasons):
            yield f"no Reason says that {call} was refused: {reasons}"
