"""The messages that were put into SQS queues, kept after their deletion."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.sqs.models import Message, Queue


class MessagesSent:
    """Each message, from any sender. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[dict[str, Any]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record what is put into moto's queues.

        All ways into a queue end in one method of moto's: SendMessage and SendMessageBatch, the
        on-failure destinations of functions, and the redrive to a dead-letter queue.
        """
        add_message = Queue.add_message

        @functools.wraps(add_message)
        def add_and_record(queue: Queue, message: Message) -> None:
            self._add(queue, message)
            add_message(queue, message)

        with patch.object(Queue, "add_message", add_and_record):
            yield

    def described(self) -> list[dict[str, Any]]:
        """Each message as JSON can hold it, oldest first: `queue` (its name), `body`, `sent` (epoch
        seconds) and `delay` (seconds for which it could not be received)."""
        with self._lock:
            return [dict(message) for message in self._messages]

    def _add(self, queue: Queue, message: Message) -> None:
        sent = message.sent_timestamp or 0.0
        delay = max(0, message.delayed_until - sent) / 1000
        described = {"queue": str(queue.name), "body": message.body}
        with self._lock:
            self._messages.append({**described, "sent": sent / 1000, "delay": round(delay)})
