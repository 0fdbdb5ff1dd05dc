"""moto's SQS queues, quick enough for thousands of messages.

moto reads the clock twice for each message that it checks, and counts all messages six times for
each one that it delivers; a queue of a thousand delayed messages takes most of the sandbox's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from moto.core.utils import unix_time, unix_time_millis
from moto.sqs.models import Message, Queue, SQSBackend


@contextmanager
def quick() -> Iterator[None]:
    """Have moto's queues check their messages in one pass."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(Queue, "messages", property(_messages)))
        patches.enter_context(
            patch.object(Queue, "approximate_number_of_messages_delayed", property(_delayed))
        )
        patches.enter_context(
            patch.object(Queue, "approximate_number_of_messages_not_visible", property(_in_flight))
        )
        patches.enter_context(
            patch.object(SQSBackend, "is_message_valid_based_on_retention_period", _is_kept)
        )
        yield


def _messages(queue: Queue) -> list[Message]:
    now = unix_time_millis()
    return [
        message
        for message in queue._messages
        if message.visible_at < now and message.delayed_until <= now
    ]


def _delayed(queue: Queue) -> int:
    now = unix_time_millis()
    return sum(now < message.delayed_until for message in queue._messages)


def _in_flight(queue: Queue) -> int:
    now = unix_time_millis()
    return sum(now <= message.visible_at for message in queue._messages)


def _is_kept(backend: SQSBackend, queue_name: str, message: Message) -> bool:
    kept: int = backend.get_queue(queue_name).message_retention_period  # type: ignore[attr-defined]
    sent = message.sent_timestamp / 1000  # type: ignore[operator]
    return unix_time() < sent + kept
