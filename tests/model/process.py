"""A process of the function: it takes an event or a poll up, drives the flow, and answers.

It is a generator of steps: each is one effect, which whoever drives it carries out, or has fail.
What is around the flow is done in the order in which `responses.resource`, `responses.responder`
and `polling.batch` do it, with the real ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from instance_bundle import budget
from instance_bundle.errors import (
    Busy,
    DeadlineExceeded,
    InstanceBundleError,
    PassingFault,
    Refusal,
    Refused,
    RefusedToTheEnd,
    Stale,
)
from instance_bundle.lifecycle import Described, Lifecycle, effects, id_of_failure
from instance_bundle.lifecycle.effects import Effect
from instance_bundle.lifecycle.flow import drive
from instance_bundle.lifecycle.lifecycle import Performer
from instance_bundle.lifecycle.meaning import Answers
from instance_bundle.methods import Methods, Task, known
from instance_bundle.request import Request, RequestKey
from instance_bundle.settings import Limits
from instance_bundle.state import (
    Answer,
    Done,
    Doubt,
    Failed,
    Ledger,
    Outcome,
    Pending,
    Poll,
    Record,
    Response,
)

LIMITS = Limits()
INVOCATION = 30.0
"""Seconds that a process has."""

FREE, SAVE, LOAD, READ, ASK, START, GO_ON, REMOVE, REPAIR, TELL = (
    *("free", "save", "load", "read", "ask", "start"),
    *("go on", "remove", "repair", "tell"),
)
"""What a step is for, by which it can fail: as `aws.calls.Purpose`, with what only loads apart."""


@dataclass(frozen=True, slots=True)
class Step:
    """One effect.

    Attributes:
        kind: what it is for.
        name: what it is.
        do: carries it out.
        effect: the flow's; None where it is around the flow.
    """

    kind: str
    name: str
    do: Callable[[], Any]
    effect: Any = None


Steps = Generator[Step, Any, Any]


class Environment(Protocol):
    """What a process needs of the world."""

    ledger: Ledger
    methods: Methods
    now: float
    lease: float

    def send_poll(self, poll: Poll, delay: float) -> None:
        """Have a poll come."""

    def ask(self, key: RequestKey, answered: Record | None) -> Answers:
        """What CloudFormation says."""

    def put_answer(self, request: Request, answer: Answer) -> None:
        """Have CloudFormation hear an answer."""

    def put_signal(self, request: Request, answer: Answer) -> None:
        """Have a handle hear of the end."""


KINDS: Mapping[type[Effect[Any]], str] = {
    effects.Now: FREE,
    effects.Admit: FREE,
    effects.Load: LOAD,
    effects.Read: LOAD,
    effects.Save: SAVE,
    effects.MergeTask: SAVE,
    effects.Mark: SAVE,
    effects.Claim: SAVE,
    effects.ReleaseLocation: SAVE,
    effects.PutBundle: SAVE,
    effects.AboutToRemove: SAVE,
    effects.ReleaseBundle: SAVE,
    effects.LeaveTombstone: SAVE,
    effects.Ask: ASK,
    effects.Describe: READ,
    effects.Find: READ,
    effects.IsTaken: READ,
    effects.HasFinished: READ,
    effects.Etag: READ,
    effects.DryRun: START,
    effects.Start: START,
    effects.Advance: GO_ON,
    effects.Cancel: REMOVE,
    effects.Remove: REMOVE,
    effects.RemoveLeftovers: REMOVE,
    effects.UpdateImage: REPAIR,
}


class _Performer(Performer):
    """The function's, but CloudFormation is the world's."""

    def __init__(self, env: Environment, record: Record, looked: Described | None) -> None:
        life = Lifecycle(env.ledger, env.methods, LIMITS, clock=lambda: env.now)
        super().__init__(life, record, looked, None)
        self._env = env

    def ask(self, record: Record, answered: Record | None) -> Answers:
        return self._env.ask(record.key, answered)


class Process:
    """One process.

    Attributes:
        name: of what it takes up.
        request_id: of the request that this is about.
        ends: when its invocation's time is up; epoch seconds.
    """

    def __init__(self, env: Environment, name: str, request_id: str) -> None:
        self._env = env
        self.name = name
        self.request_id = request_id
        self.ends = env.now + INVOCATION

    # What it takes up

    def event(self, request: Request) -> Steps:
        """As `BundleResource.begin`."""
        ledger = self._env.ledger
        record, is_new = yield self._save(
            "receive", lambda: ledger.receive(request, self._env.lease)
        )
        if record.answer is not None:
            yield from self._answer(request, record, record.answer)
            return
        yield self._save(
            "send poll",
            lambda: self._env.send_poll(
                Poll(record.key, record.generation), _soon(record, self._env)
            ),
        )
        if not is_new:
            return
        outcome = yield from self._comes_to(record, request, None)
        if not isinstance(outcome, Pending):
            yield from self._answer(request, record, outcome)
            return
        yield from self._accept(request, record, outcome.acceptance)
        yield self._save(
            "save progress",
            lambda: ledger.save_progress(record, outcome.task, record.generation),
        )

    def poll(self, poll: Poll) -> Steps:
        """As `Batch.process`, of one message."""
        ledger = self._env.ledger
        try:
            record: Record = yield self._save(
                "take", lambda: ledger.take(poll.key, poll.generation, self._env.lease)
            )
        except Stale:
            return
        except Busy as busy:
            delay = math.ceil(max(1, busy.seconds))
            yield self._save("send poll", lambda: self._env.send_poll(poll, delay))
            return
        except PassingFault as fault:
            if isinstance(fault, Refused):
                raise
            yield self._save("send poll", lambda: self._env.send_poll(poll, budget.AFTER_FAULT))
            return
        looked = yield from self._looked(record)
        request = record.request
        assert request is not None
        try:
            pending = yield from self._resume(record, request, looked)
        except PassingFault:
            yield self._save("send poll", lambda: self._env.send_poll(poll, budget.AFTER_FAULT))
            with suppress(PassingFault):
                yield self._save(
                    "save progress", lambda: ledger.save_progress(record, None, poll.generation)
                )
            return
        if pending is not None:
            yield from self._next_poll(record, pending)

    def _next_poll(self, record: Record, pending: Pending) -> Steps:
        following = Poll(record.key, record.generation + 1)
        due = self._env.now + pending.seconds
        try:
            yield self._save("send poll", lambda: self._env.send_poll(following, pending.seconds))
            yield self._save(
                "save progress",
                lambda: self._env.ledger.save_progress(
                    record, pending.task, following.generation, due
                ),
            )
        except PassingFault:
            again = Poll(record.key, record.generation)
            yield self._save("send poll", lambda: self._env.send_poll(again, budget.AFTER_FAULT))

    def _looked(self, record: Record) -> Generator[Step, Any, Described | None]:
        """How far its task is, as it is seen with those of others; what failed is told later."""
        task = record.task
        if task is None:
            return None
        step = Step(READ, "describe all", lambda: self._env.methods.describe([task.id]))
        problem: InstanceBundleError | None = None
        try:
            seen = yield step
        except InstanceBundleError as error:
            problem = error

        def looked() -> Task | None:
            if problem is not None:
                raise problem
            return known(seen.get(task.id))

        return looked

    def _resume(
        self, record: Record, request: Request, looked: Described | None
    ) -> Generator[Step, Any, Pending | None]:
        """As `BundleResource.resume`."""
        if self._env.now >= record.deadline:
            following = Poll(record.key, record.generation + 1)
            yield self._save("send poll", lambda: self._env.send_poll(following, budget.NEXT_POLL))
        outcome = record.answer or (yield from self._comes_to(record, request, looked))
        if not isinstance(outcome, Pending):
            yield from self._answer(request, record, outcome)
            return None
        yield from self._accept(request, record, outcome.acceptance)
        return outcome

    # Driving the flow

    def _comes_to(
        self, record: Record, request: Request, looked: Described | None
    ) -> Generator[Step, Any, Outcome]:
        try:
            return (yield from self._drive(record, looked))
        except Refusal as refusal:
            return Failed(id_of_failure(record), str(refusal))
        except PassingFault as fault:
            return (yield from self._after_fault(record, request, fault))

    def _drive(self, record: Record, looked: Described | None) -> Generator[Step, Any, Outcome]:
        """As `Lifecycle.drive`, effect by effect."""
        flow = drive(record, self._env.methods)
        performer = _Performer(self._env, record, looked)
        result: Any = None
        problem: InstanceBundleError | None = None
        while True:
            try:
                effect = flow.send(result) if problem is None else flow.throw(problem)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            step = self._step(effect, record, performer)
            result, problem = None, None
            try:
                result = yield step
            except InstanceBundleError as error:
                problem = error

    def _step(self, effect: Any, record: Record, performer: Performer) -> Step:
        kind = type(effect)
        was_described = (
            kind is effects.Describe
            and performer.described is not None
            and record.task is not None
            and record.task.id == effect.task_id
        )
        free = was_described or self._makes_no_call(effect)
        do = lambda: performer.perform(effect)  # noqa: E731
        return Step(FREE if free else KINDS[kind], kind.__name__, do, effect)

    def _makes_no_call(self, effect: Any) -> bool:
        methods = self._env.methods
        match effect:
            case effects.Advance(work, _, seen):
                return not methods.named(work.target.method).has_next(work, seen)
            case effects.IsTaken(target):
                return target.method == "StoreImage"
            case effects.HasFinished(task_id):
                return task_id.startswith("ami-")
            case effects.UpdateImage(bundle):
                return bundle.physical_id.startswith("bun-")
        return False

    def _after_fault(
        self, record: Record, request: Request, fault: PassingFault
    ) -> Generator[Step, Any, Outcome]:
        now = self._env.now
        left = record.deadline - now
        if left > 0:
            noted = record.doubt is not None and record.doubt.is_about(str(fault), now)
            if isinstance(fault, Refused) and not noted:
                doubt = Doubt(str(fault), now)
                with suppress(PassingFault):
                    yield self._save(
                        "note doubt", lambda: self._env.ledger.note_doubt(record, doubt)
                    )
            return Pending(max(1, min(budget.AFTER_FAULT, round(left))))
        timeout = request.timeout(accepted=record.acceptance is not None)
        if isinstance(fault, Refused):
            last_seen = str(record.task) if record.task else None
            return Failed(
                id_of_failure(record), str(RefusedToTheEnd(timeout, str(fault), last_seen))
            )
        return Failed(id_of_failure(record), str(DeadlineExceeded(timeout, str(fault))))

    # Answering

    def _accept(self, request: Request, record: Record, acceptance: Done | None) -> Steps:
        if acceptance is not None:
            accepted = acceptance
            acceptance = yield self._save(
                "store acceptance", lambda: self._env.ledger.store_acceptance(record, accepted)
            )
        elif record.response == Response.ACCEPTANCE_STORED:
            acceptance = record.acceptance
        if acceptance is None:
            return
        try:
            yield Step(TELL, "put acceptance", lambda: self._env.put_answer(request, acceptance))
        except PassingFault:
            return
        yield self._save("acceptance sent", lambda: self._env.ledger.acceptance_sent(record))

    def _answer(self, request: Request, record: Record, answer: Answer) -> Steps:
        stored, answer = yield self._save(
            "store answer", lambda: self._env.ledger.store_answer(record, answer)
        )
        is_first = record.answer is None
        hears_end = True
        if not is_first and isinstance(answer, Done):
            found = answer
            hears_end = yield Step(
                LOAD,
                "has bundle",
                lambda: self._env.ledger.has_bundle(request.key, found.physical_id),
            )
        try:
            if not stored.acceptance_sent:
                told = stored.acceptance or answer
                yield Step(TELL, "put answer", lambda: self._env.put_answer(request, told))
            if hears_end and request.handle and (stored.acceptance or isinstance(answer, Done)):
                yield Step(TELL, "put signal", lambda: self._env.put_signal(request, answer))
        except PassingFault:
            timeout = request.timeout(accepted=stored.acceptance is not None)
            if self._env.now <= stored.sent_at + timeout.seconds:
                raise
        yield self._save("delivered", lambda: self._env.ledger.delivered(request.key))

    def _save(self, name: str, do: Callable[[], Any]) -> Step:
        return Step(SAVE, name, do)


def _soon(record: Record, env: Environment) -> int:
    return max(1, min(budget.NEXT_POLL, round(record.deadline - env.now)))
