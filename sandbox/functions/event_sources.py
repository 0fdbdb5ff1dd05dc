"""SQS queues as event sources of functions, polled as Lambda polls them.

moto keeps the event source mappings and the queues. Its own delivery, which happens inside
SendMessage and knows no delay, window or visibility timeout, is turned off while this is installed.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import LambdaClientError, UnknownFunctionException
from moto.awslambda.models import EventSourceMapping, lambda_backends
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from sandbox.faults.faults import MESSAGE_DELIVERY, Faults
from sandbox.functions import batches, message_rules, queues, trace_headers
from sandbox.functions.batches import Batch
from sandbox.functions.concurrency import TooManyRequestsException
from sandbox.functions.lineage import Lineage
from sandbox.functions.runtime_api import InvokeResult
from sandbox.functions.service import Functions
from sandbox.observation.calls_made import CallsMade

logger = logging.getLogger("sandbox")

_TICK_SECONDS = 0.1
"""How late a due message or a new mapping may be seen: moto's visibility depends on the clock."""

_LONGEST_PAUSE = 30.0
"""Seconds between two tries of a throttled batch; the first comes after one second."""

_DEFAULT_CONCURRENCY = 5
"""Batches of one mapping at once where ScalingConfig sets none; Lambda starts with as many
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""

_CHANGES_OF_A_QUEUE = (
    "change_message_visibility",
    "delete_message",
    "purge_queue",
    "receive_message",
)


class EventSources:
    """Polls the queues of all enabled event source mappings. Made by `install`."""

    def __init__(self, functions: Functions, faults: Faults, calls: CallsMade) -> None:
        self._functions = functions
        self._faults = faults
        self._calls = calls
        self._closed = threading.Event()
        self._moto = ExitStack()
        self._watcher = threading.Thread(
            target=self._watch, name="event source mappings", daemon=True
        )

    def close(self) -> None:
        """Stop polling, and give moto its own delivery back. May be called again.

        Batches that run already are left to end, with their functions.
        """
        self._closed.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._moto.close()

    def _watch(self) -> None:
        pollers: dict[str, threading.Thread] = {}
        while not self._closed.wait(_TICK_SECONDS):
            pollers = {uuid: poller for uuid, poller in pollers.items() if poller.is_alive()}
            for mapping in _mappings():
                if mapping.uuid not in pollers and self._is_live(mapping):
                    pollers[mapping.uuid] = self._start_polling(mapping)
        for poller in pollers.values():
            poller.join()

    def _start_polling(self, mapping: EventSourceMapping) -> threading.Thread:
        poller = threading.Thread(
            target=self._poll,
            args=(mapping,),
            name=f"poller of {mapping.event_source_arn}",
            daemon=True,
        )
        poller.start()
        return poller

    def _is_live(self, mapping: EventSourceMapping) -> bool:
        backend = lambda_backends[mapping.account_id][mapping.region]
        return (
            not self._closed.is_set()
            and bool(mapping.enabled)
            and backend.get_event_source_mapping(mapping.uuid) is mapping
            and _queue(mapping) is not None
        )

    def _poll(self, mapping: EventSourceMapping) -> None:
        concurrency = (mapping.scaling_config or {}).get("MaximumConcurrency")
        slots = threading.Semaphore(int(concurrency or _DEFAULT_CONCURRENCY))
        while self._is_live(mapping):
            if not slots.acquire(timeout=_TICK_SECONDS):
                continue
            hidden_from = time.monotonic()
            messages = self._next_batch(mapping)
            if messages:
                self._functions.spawn(
                    functools.partial(self._deliver, mapping, messages, hidden_from, slots)
                )
            else:
                slots.release()

    def _next_batch(self, mapping: EventSourceMapping) -> list[Message]:
        """Messages now at the head of the queue, and those that come within the batching window."""
        batch = self._receive(mapping, mapping.batch_size, _TICK_SECONDS)
        end = time.monotonic() + int(mapping.max_batch_window or 0)
        while (
            batch
            and len(batch) < mapping.batch_size
            and (left := end - time.monotonic()) > 0
            and self._is_live(mapping)
        ):
            wait = min(left, _TICK_SECONDS)
            batch += self._receive(mapping, mapping.batch_size - len(batch), wait)
        return batch

    def _receive(self, mapping: EventSourceMapping, count: int, wait: float) -> list[Message]:
        """Up to count visible messages, after at most wait seconds; none if the queue is gone, or
        the function's role does not allow it."""
        queue = _queue(mapping)
        if queue is None:
            return []
        calls = ("sqs:GetQueueAttributes", "sqs:ReceiveMessage")
        if not all(self._may(mapping, call) for call in calls):
            self._closed.wait(wait)
            return []
        return _received(mapping, queue, count, wait)

    def _may(self, mapping: EventSourceMapping, call: str) -> bool:
        """Whether the function's role allows a call about the queue, which is counted.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        backend = lambda_backends[mapping.account_id][mapping.region]
        try:
            function = backend.get_function(mapping.function_arn)
        except UnknownFunctionException:
            return False
        return self._calls.by_role(function, call, QueueUrl=_queue_name(mapping))

    def _deliver(
        self,
        mapping: EventSourceMapping,
        messages: list[Message],
        hidden_from: float,
        slots: threading.Semaphore,
    ) -> None:
        """Hand messages to the function, in as many invocations as their size takes."""
        try:
            for batch in batches.of(mapping, messages):
                if self._faults.strike(MESSAGE_DELIVERY, batch.event, by_function=False):
                    again = functools.partial(self._hand_over, mapping, batch, hidden_from)
                    self._functions.spawn(again)
                self._hand_over(mapping, batch, hidden_from)
        finally:
            slots.release()

    def _hand_over(self, mapping: EventSourceMapping, batch: Batch, hidden_from: float) -> None:
        try:
            result = self._invoke(mapping, batch, hidden_from)
        except (LambdaClientError, SQSException) as refusal:
            logger.warning("a batch of %s goes back: %s", mapping.event_source_arn, refusal)
            return
        failed = batches.failed(mapping, batch, result)
        for message in batch.messages:
            if message.id not in failed and self._may(mapping, "sqs:DeleteMessage"):
                _delete(mapping, message)

    def _invoke(
        self, mapping: EventSourceMapping, batch: Batch, hidden_from: float
    ) -> InvokeResult:
        """Invoke the function with a batch; one that is throttled is tried again.

        Lambda tries it until the visibility timeout is over, and tries less and less often
        (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). It does not
        say how often. The messages were received in any case.
        """
        backend = lambda_backends[mapping.account_id][mapping.region]
        queue = sqs_backends[mapping.account_id][mapping.region].get_queue(_queue_name(mapping))
        hidden_until = hidden_from + _visibility_timeout(queue)
        pause = 1.0
        while True:
            function = backend.get_function(mapping.function_arn)
            headers = map(trace_headers.header_of, batch.messages)
            chain = Lineage.of_batch(headers, function)
            try:
                return self._functions.invoke(function, batch.event.encode(), chain)
            except TooManyRequestsException:
                if time.monotonic() + pause >= hidden_until or self._closed.wait(pause):
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE)


def install(
    functions: Functions, faults: Faults | None = None, calls: CallsMade | None = None
) -> EventSources:
    """Poll SQS queues for functions, until `close()`. Close it before the functions.

    faults: those that have a batch of messages delivered twice; none if absent.
    calls: where the calls of polling are counted.

    Batching windows and visibility timeouts pass in real time, as in moto's queues.
    """
    sources = EventSources(functions, faults or Faults(), calls or CallsMade())
    sources._moto.enter_context(
        patch.object(Queue, "lambda_event_source_mappings", _NoMappings(), create=True)
    )
    sources._moto.enter_context(queues.quick())
    sources._moto.enter_context(trace_headers.kept())
    sources._moto.enter_context(message_rules.enforced())
    for change in _CHANGES_OF_A_QUEUE:
        guarded = _guarded(getattr(SQSBackend, change))
        sources._moto.enter_context(patch.object(SQSBackend, change, guarded))
    sources._watcher.start()
    return sources


class _NoMappings:
    """Stands for the mappings that moto notes on a queue, so that it delivers to none of them."""

    def __get__(self, queue: Queue | None, owner: type[Queue]) -> dict[str, EventSourceMapping]:
        return {}

    def __set__(self, queue: Queue, mappings: dict[str, EventSourceMapping]) -> None:
        queue.__dict__["lambda_event_source_mappings"] = mappings


def _guarded(change: Callable[..., Any]) -> Callable[..., Any]:
    """A method of moto's that rewrites a queue's list of messages, made to do so alone.

    moto takes the lock to append a message, but not to delete one: a message that is sent while
    another is deleted could be lost.
    """

    @functools.wraps(change)
    def alone(backend: SQSBackend, queue_name: str, *args: Any, **kwargs: Any) -> Any:
        with backend.get_queue(queue_name)._messages_lock:
            return change(backend, queue_name, *args, **kwargs)

    return alone


def _mappings() -> Iterator[EventSourceMapping]:
    for regions in list(lambda_backends.values()):
        for backend in list(regions.values()):
            for mapping in list(backend._event_source_mappings.values()):
                if mapping.event_source_arn.split(":")[2] == "sqs":
                    yield mapping


def _queue_name(mapping: EventSourceMapping) -> str:
    return mapping.event_source_arn.rsplit(":", 1)[1]


def _queue(mapping: EventSourceMapping) -> Queue | None:
    return sqs_backends[mapping.account_id][mapping.region].queues.get(_queue_name(mapping))


def _visibility_timeout(queue: Queue) -> int:
    return int(queue.visibility_timeout)  # type: ignore[attr-defined]  # set by name in moto


def _received(mapping: EventSourceMapping, queue: Queue, count: int, wait: float) -> list[Message]:
    with queue._messages_lock:
        if not queue._messages_lock.wait_for(lambda: queue.messages, timeout=wait):
            return []
    try:
        return sqs_backends[mapping.account_id][mapping.region].receive_message(
            queue.name,
            count,
            wait_seconds_timeout=0,
            visibility_timeout=_visibility_timeout(queue),
            message_attribute_names=["All"],
        )
    except SQSException as problem:
        logger.info("%s went away while polled: %s", mapping.event_source_arn, problem)
        return []


def _delete(mapping: EventSourceMapping, message: Message) -> None:
    backend = sqs_backends[mapping.account_id][mapping.region]
    try:
        backend.delete_message(_queue_name(mapping), str(message.receipt_handle))
    except SQSException as problem:
        logger.info("message %s was gone before its deletion: %s", message.id, problem)
