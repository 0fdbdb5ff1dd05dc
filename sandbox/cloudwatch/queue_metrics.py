"""What SQS publishes of each queue, once a minute
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html).
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, cast
from unittest.mock import patch
from weakref import WeakKeyDictionary

from moto.cloudwatch.models import cloudwatch_backends
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

POISON = 3
"""Receives after which a message's age counts no more: "After a message is received three times (or
more) and not processed, the message is moved to the back of the queue", and the metric "points at
the second-oldest message". Receives count "across all queues" (SQS API, ReceiveMessage), so that
those before the move to a dead-letter queue are among them."""

_COUNTED = ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted")


class QueueMetrics:
    """The messages of all queues, as SQS counts them.

    Args:
        clock: CloudWatch's, in epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._came: WeakKeyDictionary[Message, float] = WeakKeyDictionary()
        self._counts: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch moto's queues, of all accounts and regions."""
        with ExitStack() as patches:
            for owner, name, watched in (
                (Queue, "add_message", self._watching_arrivals),
                (SQSBackend, "send_message", self._counting("NumberOfMessagesSent")),
                (SQSBackend, "receive_message", self._counting("NumberOfMessagesReceived")),
                (SQSBackend, "delete_message", self._counting("NumberOfMessagesDeleted")),
            ):
                original = getattr(owner, name)
                wrapped = functools.wraps(original)(watched(original))
                patches.enter_context(patch.object(owner, name, wrapped))
            yield

    def publish(self, moment: float) -> None:
        """Put what the queues hold, and what was counted since the last time, into moto's
        CloudWatch.

        moment: real time, in epoch seconds, that the data are of.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        time = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
        for account, region, backend in list(sqs_backends.iter_backends()):
            for queue in list(cast(SQSBackend, backend).queues.values()):
                counted = {name: counts[queue.queue_arn, name] for name in _COUNTED}
                cloudwatch_backends[account][region].put_metric_data(
                    "AWS/SQS",
                    [
                        {
                            "MetricName": name,
                            "Dimensions": [{"Name": "QueueName", "Value": queue.name}],
                            "Timestamp": time,
                            "Value": float(value),
                        }
                        for name, value in {**self._held(queue), **counted}.items()
                    ],
                )

    def _held(self, queue: Queue) -> dict[str, float]:
        in_flight = queue.approximate_number_of_messages_not_visible
        return {
            "ApproximateNumberOfMessagesVisible": len(queue.messages),
            "ApproximateNumberOfMessagesNotVisible": in_flight,
            "ApproximateNumberOfMessagesDelayed": queue.approximate_number_of_messages_delayed,
            "ApproximateAgeOfOldestMessage": self._oldest(queue),
        }

    def _oldest(self, queue: Queue) -> float:
        """The age in seconds, counted from when a message came into this queue."""
        now = self._clock()
        with self._lock:
            ages = [
                now - self._came.get(message, now)
                for message in list(queue._messages)
                if message.approximate_receive_count < POISON
            ]
        return max(ages, default=0.0)

    def _watching_arrivals(self, add_message: Callable[..., None]) -> Callable[..., None]:
        def add(queue: Queue, message: Message) -> None:
            with self._lock:
                self._came[message] = self._clock()
            add_message(queue, message)

        return add

    def _counting(self, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Count by what a call of the backend answers: messages as many as there are in a list."""

        def counting(call: Callable[..., Any]) -> Callable[..., Any]:
            def count(backend: SQSBackend, queue_name: str, *given: Any, **named: Any) -> Any:
                answer = call(backend, queue_name, *given, **named)
                queue = backend.get_queue(queue_name)
                with self._lock:
                    many = len(answer) if isinstance(answer, list) else 1
                    self._counts[queue.queue_arn, name] += many
                return answer

            return count

        return counting
