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
    """The queue and body of each message, from any sender. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[tuple[str, str]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record what is put into moto's queues.

        All ways into a queue end in one method of moto's: SendMessage and SendMessageBatch, the
        on-failure destinations of functions, and the redrive to a dead-letter queue.
        """
        add_message = Queue.add_message

        @functools.wraps(add_message)
        def add_and_record(queue: Queue, message: Message) -> None:
            self._add(str(queue.name), message.body)
            add_message(queue, message)

        with patch.object(Queue, "add_message", add_and_record):
            yield

    def described(self) -> list[dict[str, Any]]:
        """Each message as JSON can hold it, `queue` (its name) and `body`, oldest first."""
        with self._lock:
            return [{"queue": queue, "body": body} for queue, body in self._messages]

    def _add(self, queue: str, body: str) -> None:
        with self._lock:
            self._messages.append((queue, body))
