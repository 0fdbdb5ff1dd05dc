"""A process of the function: it handles an event or a poll, drives the flow, and answers.

A process is a generator of steps; the world performs each step, or has it fail. What surrounds the
flow is done in the same order as in `responses.resource`, `responses.responder` and
`polling.batch`, with the real ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

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
from instance_bundle.lifecycle import Described, id_of_failure
from instance_bundle.methods import Task, known
from instance_bundle.request import Request
from instance_bundle.state import (
    Answer,
    Done,
    Doubt,
    Failed,
    Outcome,
    Pending,
    Poll,
    Record,
    Response,
)
from tests.model.steps import LOAD, PUT, READ, SAVE, Environment, Step, Steps, steps_of_flow

INVOCATION = 30.0
"""Seconds until an invocation times out."""


class Process:
    """One invocation.

    Attributes:
        name: of its event or poll, with the number of the process.
        request_id: the request's.
        ends_at: when the invocation times out; epoch seconds.
    """

    def __init__(self, env: Environment, name: str, request_id: str) -> None:
        self._env = env
        self.name = name
        self.request_id = request_id
        self.ends_at = env.now + INVOCATION

    # Events and polls

    def event(self, request: Request) -> Steps:
        """As `BundleResource.begin`."""
        ledger = self._env.ledger
        record, is_new = yield _save("receive", lambda: ledger.receive(request, self._env.lease))
        if record.answer is not None:
            yield from self._answer(request, record, record.answer)
            return
        first = Poll(record.key, record.generation)
        yield _save("send poll", lambda: self._env.send_poll(first, _soon(record, self._env)))
        if not is_new:
            return
        outcome = yield from self._outcome(record, request, None)
        if not isinstance(outcome, Pending):
            yield from self._answer(request, record, outcome)
            return
        yield from self._send_acceptance(request, record, outcome.acceptance)
        yield _save(
            "save progress",
            lambda: ledger.save_progress(record, outcome.task, record.generation),
        )

    def poll(self, poll: Poll) -> Steps:
        """As `Batch.process`, for one message."""
        ledger = self._env.ledger
        try:
            record: Record = yield _save(
                "take", lambda: ledger.take(poll.key, poll.generation, self._env.lease)
            )
        except Stale:
            return
        except Busy as busy:
            delay = math.ceil(max(1, busy.seconds))
            yield self._send_poll(poll, delay)
            return
        except PassingFault as fault:
            if isinstance(fault, Refused):
                raise
            yield self._send_poll(poll, budget.AFTER_FAULT)
            return
        described = yield from self._describe(record)
        request = record.request
        assert request is not None
        try:
            pending = yield from self._resume(record, request, described)
        except PassingFault:
            yield self._send_poll(poll, budget.AFTER_FAULT)
            with suppress(PassingFault):
                yield _save(
                    "save progress", lambda: ledger.save_progress(record, None, poll.generation)
                )
            return
        if pending is not None:
            yield from self._send_next_poll(record, pending)

    def hint(self, request: Request) -> Steps:
        """As `aws_events.process`, for one event about the request's AMI or bundle."""
        bucket = request.properties["Storage"]["S3"]["Bucket"]
        hints = self._env.ledger.hints
        poll = yield _save("receive hint", lambda: hints.receive(request.key, bucket))
        if poll is not None:
            yield self._send_poll(poll, 0)

    def _send_next_poll(self, record: Record, pending: Pending) -> Steps:
        following = Poll(record.key, record.generation + 1)
        due = self._env.now + pending.seconds
        try:
            yield self._send_poll(following, pending.seconds)
            has_hint = yield _save(
                "save progress",
                lambda: self._env.ledger.save_progress(
                    record, pending.task, following.generation, due
                ),
            )
            if has_hint and (
                yield _save("make due", lambda: self._env.ledger.hints.make_due(following))
            ):
                yield self._send_poll(following, 0)
        except PassingFault:
            yield self._send_poll(Poll(record.key, record.generation), budget.AFTER_FAULT)

    def _describe(self, record: Record) -> Generator[Step, Any, Described | None]:
        """Describe the request's task as a batch does: an error is raised only when it is used."""
        task = record.task
        if task is None:
            return None
        step = Step(READ, "describe all", lambda: self._env.methods.describe([task.id]))
        problem: InstanceBundleError | None = None
        try:
            seen = yield step
        except InstanceBundleError as error:
            problem = error

        def described() -> Task | None:
            if problem is not None:
                raise problem
            return known(seen.get(task.id))

        return described

    def _resume(
        self, record: Record, request: Request, described: Described | None
    ) -> Generator[Step, Any, Pending | None]:
        """As `BundleResource.resume`."""
        if self._env.now >= record.deadline:
            following = Poll(record.key, record.generation + 1)
            yield self._send_poll(following, budget.NEXT_POLL)
        outcome = record.answer or (yield from self._outcome(record, request, described))
        if not isinstance(outcome, Pending):
            yield from self._answer(request, record, outcome)
            return None
        yield from self._send_acceptance(request, record, outcome.acceptance)
        return outcome

    # The flow

    def _outcome(
        self, record: Record, request: Request, described: Described | None
    ) -> Generator[Step, Any, Outcome]:
        """Drive the request until it waits or has its answer."""
        try:
            return (yield from steps_of_flow(self._env, record, described))
        except Refusal as refusal:
            return Failed(id_of_failure(record), str(refusal))
        except PassingFault as fault:
            return (yield from self._after_fault(record, request, fault))

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
                    yield _save("note doubt", lambda: self._env.ledger.note_doubt(record, doubt))
            return Pending(max(1, min(budget.AFTER_FAULT, round(left))))
        timeout = request.timeout(accepted=record.acceptance is not None)
        if isinstance(fault, Refused):
            last_seen = str(record.task) if record.task else None
            return Failed(
                id_of_failure(record), str(RefusedToTheEnd(timeout, str(fault), last_seen))
            )
        return Failed(id_of_failure(record), str(DeadlineExceeded(timeout, str(fault))))

    # Answers

    def _send_acceptance(self, request: Request, record: Record, acceptance: Done | None) -> Steps:
        """As `Responder.send_acceptance`."""
        if acceptance is not None:
            accepted = acceptance
            acceptance = yield _save(
                "store acceptance", lambda: self._env.ledger.store_acceptance(record, accepted)
            )
        elif record.response == Response.ACCEPTANCE_STORED:
            acceptance = record.acceptance
        if acceptance is None:
            return
        try:
            yield Step(PUT, "put acceptance", lambda: self._env.put_answer(request, acceptance))
        except PassingFault:
            return
        yield _save("acceptance sent", lambda: self._env.ledger.acceptance_sent(record))

    def _answer(self, request: Request, record: Record, answer: Answer) -> Steps:
        """As `Responder.answer`."""
        stored, answer = yield _save(
            "store answer", lambda: self._env.ledger.store_answer(record, answer)
        )
        is_first = record.answer is None
        is_signalled = True
        if not is_first and isinstance(answer, Done):
            done = answer
            is_signalled = yield Step(
                LOAD,
                "has bundle",
                lambda: self._env.ledger.bundles.has(request.key, done.physical_id),
            )
        try:
            if not stored.acceptance_sent:
                sent = stored.acceptance or answer
                yield Step(PUT, "put answer", lambda: self._env.put_answer(request, sent))
            if is_signalled and request.handle and (stored.acceptance or isinstance(answer, Done)):
                yield Step(PUT, "put signal", lambda: self._env.put_signal(request, answer))
            if stored.announcements:
                yield Step(PUT, "put events", lambda: self._env.put_events(stored.announcements))
        except PassingFault:
            timeout = request.timeout(accepted=stored.acceptance is not None)
            if self._env.now <= stored.sent_at + timeout.seconds:
                raise
        yield _save("delivered", lambda: self._env.ledger.delivered(request.key))

    def _send_poll(self, poll: Poll, delay: int) -> Step:
        return _save("send poll", lambda: self._env.send_poll(poll, delay))


def _save(name: str, do: Callable[[], Any]) -> Step:
    return Step(SAVE, name, do)


def _soon(record: Record, env: Environment) -> int:
    return max(1, min(budget.NEXT_POLL, round(record.deadline - env.now)))
