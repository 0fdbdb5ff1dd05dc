"""Rules of SQS's for messages that moto lacks: their size and characters, and old receipt handles.

moto itself has: the range of DelaySeconds, of visibility timeouts and of the wait for
messages, and ten entries in a batch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.sqs.constants import MAXIMUM_MESSAGE_LENGTH
from moto.sqs.exceptions import BatchRequestTooLong, InvalidParameterValue, SQSException
from moto.sqs.models import Message, Queue, SQSBackend

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class InvalidMessageContents(SQSException):
    """A message has characters that none may have."""

    def __init__(self) -> None:
        super().__init__(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | "
            "#x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        )


@contextmanager
def enforced() -> Iterator[None]:
    """Have moto's queues keep the rules."""
    with (
        patch.object(SQSBackend, "send_message", _checked(SQSBackend.send_message)),
        patch.object(
            SQSBackend, "send_message_batch", _batch_checked(SQSBackend.send_message_batch)
        ),
        patch.object(Queue, "delete_message", _by_latest_handle(Queue.delete_message)),
    ):
        yield


def size(body: str, attributes: dict[str, dict[str, Any]] | None) -> int:
    """Bytes of a message: of its body, and of its attributes' names, types and values.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    parts: list[str | bytes] = [body]
    for name, attribute in (attributes or {}).items():
        parts += [name, *attribute.values()]
    return sum(len(part.encode() if isinstance(part, str) else part) for part in parts)


def _checked(send: Callable[..., Message]) -> Callable[..., Message]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

    @functools.wraps(send)
    def send_checked(
        backend: SQSBackend,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, Any] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Message:
        if _FORBIDDEN.search(message_body):
            raise InvalidMessageContents
        limit: int = backend.get_queue(queue_name).maximum_message_size  # type: ignore[attr-defined]
        if size(message_body, message_attributes) > limit:
            raise InvalidParameterValue(
                "One or more parameters are invalid. Reason: Message must be shorter than "
                f"{limit} bytes."
            )
        return send(backend, queue_name, message_body, message_attributes, *args, **kwargs)

    return send_checked


def _batch_checked(send: Callable[..., Any]) -> Callable[..., Any]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

    @functools.wraps(send)
    def send_checked(
        backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
    ) -> Any:
        total = sum(
            size(entry["MessageBody"], entry.get("MessageAttributes")) for entry in entries.values()
        )
        if total > MAXIMUM_MESSAGE_LENGTH:
            raise BatchRequestTooLong(total)
        return send(backend, queue_name, entries)

    return send_checked


def _by_latest_handle(delete: Callable[[Queue, str], None]) -> Callable[[Queue, str], None]:
    """With an old receipt handle "the request will succeed, but the message might not be deleted".

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
    """

    @functools.wraps(delete)
    def delete_by_latest(queue: Queue, receipt_handle: str) -> None:
        if not any(receipt_handle in message._old_receipt_handles for message in queue._messages):
            delete(queue, receipt_handle)

    return delete_by_latest
