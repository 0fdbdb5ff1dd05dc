"""The keys that the messages of SQS are encrypted by.

A message keeps the key that its queue had when it was sent, also in a dead-letter queue, and also
if the queue has another key later, or none
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-server-side-encryption.html).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from moto.sqs.models import Message, Queue

_KEY = "sandbox_key"
"""The attribute of a message that has the key's ID."""


@contextmanager
def kept() -> Iterator[None]:
    """Have the messages of moto's queues keep their keys."""
    add_message = Queue.add_message

    @functools.wraps(add_message)
    def add_encrypted(queue: Queue, message: Message) -> None:
        if _KEY not in vars(message):
            setattr(message, _KEY, key_of(queue))
        add_message(queue, message)

    with patch.object(Queue, "add_message", add_encrypted):
        yield


def key_of(queue: Queue) -> str | None:
    """The ID of the key that the queue's next message is encrypted by, if it is one of KMS."""
    return vars(queue).get("kms_master_key_id") or None


def to_receive(queue: Queue) -> list[str]:
    """The IDs of the keys that a consumer of the queue needs now: the queue's own, and that of each
    message that could be received.

    Which of them a call receives is open, and so whether one message can keep a consumer from all
    others; here it does.
    """
    found = [key_of(queue), *(vars(message).get(_KEY) for message in queue.messages)]
    return list(dict.fromkeys(key for key in found if key))
