"""Asynchronous invocations: events that Lambda queues, retries, and discards.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from sandbox.faults.faults import EVENT_DELIVERY, Faults
from sandbox.functions import metrics
from sandbox.functions.concurrency import TooManyRequestsException, reserved_by
from sandbox.functions.destinations import Condition, Failure, call_to, deliver
from sandbox.functions.lineage import Lineage
from sandbox.functions.payloads import require_async_size
from sandbox.functions.recursion import RecursiveInvocationException
from sandbox.functions.runtime_api import InvokeResult
from sandbox.observation.calls_made import CallsMade

logger = logging.getLogger("sandbox")

_LONGEST_PAUSE = 300.0
"""Seconds between two tries of an event that is throttled; the first comes after one second."""


class Invoke(Protocol):
    """Runs a function now; `service.Functions.invoke`."""

    def __call__(
        self, function: LambdaFunction, payload: bytes, chain: Lineage, *, request_id: str
    ) -> InvokeResult: ...


@dataclass(frozen=True, slots=True)
class _Config:
    """How a function's asynchronous invocations are treated. AWS's defaults
    (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html)."""

    retries: int
    max_age: float
    on_failure: str | None

    @classmethod
    def of(cls, function: LambdaFunction) -> _Config:
        kept = function.event_invoke_config
        config = kept[-1].config if kept else {}  # moto appends where AWS replaces
        destination = (config.get("DestinationConfig") or {}).get("OnFailure") or {}
        return cls(
            retries=config.get("MaximumRetryAttempts", 2),
            max_age=config.get("MaximumEventAgeInSeconds", 21600),
            on_failure=destination.get("Destination"),
        )


@dataclass(frozen=True, slots=True)
class _Event:
    """An accepted asynchronous invocation.

    accepted: epoch seconds.
    of_stopped: it is the record of an event that was stopped in a loop.
    """

    account: str
    region: str
    function_arn: str
    request_id: str
    payload: bytes
    chain: Lineage
    accepted: float
    of_stopped: bool

    def function(self) -> LambdaFunction:
        return get_backend(self.account, self.region).get_function(self.function_arn)


class AsyncEvents:
    """The queue of asynchronous events of all functions.

    Args:
        spawn: runs a task in a thread of its own.
        closed: is set once no event is to be tried any more.
        clock: epoch seconds; the age and retries of events follow it.
        retry_delays: seconds before each retry of an event whose function failed.
    """

    def __init__(
        self,
        invoke: Invoke,
        spawn: Callable[[Callable[[], None]], None],
        closed: threading.Event,
        clock: Callable[[], float],
        retry_delays: tuple[float, float],
        faults: Faults,
        calls: CallsMade,
    ) -> None:
        self._invoke = invoke
        self._spawn = spawn
        self._closed = closed
        self._clock = clock
        self._retry_delays = retry_delays
        self._faults = faults
        self._calls = calls

    def send(
        self, function: LambdaFunction, payload: bytes, chain: Lineage, *, of_stopped: bool = False
    ) -> str:
        """Accept an event (JSON) for a function, and answer its request ID.

        It is tried again after errors, under the same ID, as the function's event invoke config
        says; at the end the on-failure destination gets AWS's invocation record.

        Raises AWS's RequestEntityTooLargeException.
        """
        require_async_size(payload)
        event = _Event(
            account=function.account_id,
            region=function.region,
            function_arn=function.function_arn,
            request_id=str(uuid.uuid4()),
            payload=payload,
            chain=chain,
            accepted=self._clock(),
            of_stopped=of_stopped,
        )
        metrics.count(function, "AsyncEventsReceived")
        self._spawn(lambda: self._see_through(event))
        if self._faults.strike(EVENT_DELIVERY, payload.decode(errors="replace"), by_function=False):
            self._spawn(lambda: self._see_through(event))
        return event.request_id

    def _see_through(self, event: _Event) -> None:
        try:
            self._try_until_done(event)
        except LambdaClientError as problem:  # the function is gone, or its package is no zip file
            logger.warning("event %s is dropped: %s", event.request_id, problem)

    def _try_until_done(self, event: _Event) -> None:
        attempts, result, due, throttled = 0, None, event.accepted, pauses()
        while True:
            function = event.function()
            config = _Config.of(function)
            expiry = event.accepted + config.max_age
            if not self._wait_until(min(due, expiry)):
                return
            if self._clock() >= expiry:
                self._give_up(event, "EventAgeExceeded", attempts, result)
                return
            if reserved_by(function) == 0:
                self._give_up(event, "ZeroReservedConcurrency", attempts, result)
                return
            metrics.count(function, "AsyncEventAge", 1000 * (self._clock() - event.accepted))
            try:
                result = self._invoke(
                    function, event.payload, event.chain, request_id=event.request_id
                )
            except RecursiveInvocationException:
                self._give_up(event, "RecursiveInvocation", attempts, result)
                return
            except TooManyRequestsException:  # takes time, but is not an attempt
                due = self._clock() + next(throttled)
                continue
            attempts += 1
            if result.error is None or self._closed.is_set():
                return
            if attempts > config.retries:
                self._give_up(event, "RetriesExhausted", attempts, result)
                return
            due = self._clock() + self._retry_delays[attempts - 1]

    def _wait_until(self, moment: float) -> bool:
        """Whether the moment (epoch seconds) came, rather than the end of the sandbox."""
        while (left := moment - self._clock()) > 0:
            if self._closed.wait(min(left, 0.05)):  # the clock may be a simulated one
                return False
        return not self._closed.is_set()

    def _give_up(
        self, event: _Event, condition: Condition, attempts: int, result: InvokeResult | None
    ) -> None:
        logger.warning(
            "event %s for %s failed: %s", event.request_id, event.function_arn, condition
        )
        function = event.function()
        destination = _Config.of(function).on_failure
        # AWS says that a loop through a destination is terminated, too, and not how.
        ends_loop = event.of_stopped and condition == "RecursiveInvocation"
        if destination is not None and not ends_loop:
            failure = Failure(
                request_id=event.request_id,
                function_arn=event.function_arn,
                version=str(function.version),
                payload=event.payload,
                condition=condition,
                attempts=attempts,
                result=result,
                moment=self._clock(),
                chain=event.chain.through(function) if attempts else event.chain,
            )
            self._report(function, failure, destination)
        metrics.count(function, "AsyncEventsDropped")

    def _report(self, function: LambdaFunction, failure: Failure, destination: str) -> None:
        call, parameters = call_to(destination)
        is_allowed = call is not None and self._calls.by_role(function, call, **parameters)
        if not is_allowed or not deliver(failure, destination, self.send):
            metrics.count(function, "DestinationDeliveryFailures")


def pauses() -> Iterator[float]:
    """Seconds before each further try of an event that is throttled."""
    pause = 1.0
    while True:
        yield min(pause, _LONGEST_PAUSE)
        pause *= 2
