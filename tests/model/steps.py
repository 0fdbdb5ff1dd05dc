"""The steps of a process, each with one effect, and the flow as such steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from instance_bundle.errors import InstanceBundleError
from instance_bundle.lifecycle import Described, Lifecycle, effects
from instance_bundle.lifecycle.effects import Effect
from instance_bundle.lifecycle.flow import drive
from instance_bundle.lifecycle.lifecycle import Performer
from instance_bundle.lifecycle.meaning import Answers
from instance_bundle.methods import Methods
from instance_bundle.request import Request, RequestKey
from instance_bundle.settings import Limits
from instance_bundle.state import Announcement, Answer, Ledger, Outcome, Poll, Record

LIMITS = Limits()

FREE, SAVE, LOAD, READ, ASK, START, GO_ON, REMOVE, REPAIR, PUT = (
    *("free", "save", "load", "read", "ask", "start"),
    *("go on", "remove", "repair", "put"),
)
"""What a step is for; this decides how it can fail. As `aws.calls.Purpose`, but `FREE` makes no
call, `LOAD` reads the ledger, `ASK` reads from CloudFormation, and `PUT` sends an answer or a
signal."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step.

    Attributes:
        kind: what it is for.
        name: what it does.
        do: performs it.
        effect: the flow's effect; None if the step is not the flow's.
    """

    kind: str
    name: str
    do: Callable[[], Any]
    effect: Any = None


Steps = Generator[Step, Any, Any]


class Environment(Protocol):
    """What a process needs from the world. now: epoch seconds. lease: its duration in seconds."""

    ledger: Ledger
    methods: Methods
    now: float
    lease: float

    def send_poll(self, poll: Poll, delay: float) -> None:
        """Send a poll message."""

    def ask(self, key: RequestKey, answered: Record | None) -> Answers:
        """Read what CloudFormation says about a request; see `effects.Ask`."""

    def put_answer(self, request: Request, answer: Answer) -> None:
        """Send an answer to CloudFormation."""

    def put_signal(self, request: Request, answer: Answer) -> None:
        """Send a signal to the request's handle."""

    def put_events(self, announcements: Sequence[Announcement]) -> None:
        """Publish the events of bundles that were removed."""


KINDS: Mapping[type[Effect[Any]], str] = {
    effects.Now: FREE,
    effects.Admit: FREE,
    effects.Load: LOAD,
    effects.Read: LOAD,
    effects.Save: SAVE,
    effects.ExpectImage: SAVE,
    effects.MergeTask: SAVE,
    effects.Mark: SAVE,
    effects.Claim: SAVE,
    effects.ReleaseLocation: SAVE,
    effects.KeepLocation: SAVE,
    effects.PutBundle: SAVE,
    effects.AboutToRemove: SAVE,
    effects.ReleaseBundle: SAVE,
    effects.Announce: SAVE,
    effects.LeaveTombstone: SAVE,
    effects.Ask: ASK,
    effects.Describe: READ,
    effects.Find: READ,
    effects.IsTaken: READ,
    effects.Hint: FREE,
    effects.HasFinished: READ,
    effects.Finished: READ,
    effects.DryRun: START,
    effects.Start: START,
    effects.Advance: GO_ON,
    effects.Cancel: REMOVE,
    effects.CheckRemoval: FREE,
    effects.Remove: REMOVE,
    effects.RemoveLeftovers: REMOVE,
    effects.UpdateImage: REPAIR,
}


class _Performer(Performer):
    """The function's performer, but the world answers for CloudFormation."""

    def __init__(self, env: Environment, record: Record, described: Described | None) -> None:
        life = Lifecycle(env.ledger, env.methods, LIMITS, clock=lambda: env.now)
        super().__init__(life, record, described, None)
        self._env = env

    def ask(self, record: Record, answered: Record | None) -> Answers:
        return self._env.ask(record.key, answered)


def steps_of_flow(
    env: Environment, record: Record, described: Described | None
) -> Generator[Step, Any, Outcome]:
    """As `Lifecycle.drive`, with a step for each effect."""
    flow = drive(record, env.methods)
    performer = _Performer(env, record, described)
    result: Any = None
    problem: InstanceBundleError | None = None
    while True:
        try:
            effect = flow.send(result) if problem is None else flow.throw(problem)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        step = _step(effect, performer, env.methods)
        result, problem = None, None
        try:
            result = yield step
        except InstanceBundleError as error:
            problem = error


def _step(effect: Any, performer: Performer, methods: Methods) -> Step:
    kind = type(effect)
    is_free = _was_described(effect, performer) or _makes_no_call(effect, methods)
    do = lambda: performer.perform(effect)  # noqa: E731
    return Step(FREE if is_free else KINDS[kind], kind.__name__, do, effect)


def _was_described(effect: Any, performer: Performer) -> bool:
    task = performer.record.task
    return (
        isinstance(effect, effects.Describe)
        and performer.described is not None
        and task is not None
        and task.id == effect.task_id
    )


def _makes_no_call(effect: Any, methods: Methods) -> bool:
    match effect:
        case effects.Advance(work, _, seen):
            return not methods.named(work.target.method).has_next(work, seen)
        case effects.IsTaken(target):
            return target.method == "StoreImage"
        case effects.HasFinished(task_id):
            return task_id.startswith("ami-")
        case effects.UpdateImage(_, bundle):
            return bundle.physical_id.startswith("bun-")
    return False
