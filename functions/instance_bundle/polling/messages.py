"""Which messages of the poll queue an invocation handles, and which it sends again."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from instance_bundle.errors import InstanceBundleError
from instance_bundle.state import Poll, poll_queue
from instance_bundle.telemetry import logger

MOST = 100
"""Messages that an invocation handles at most: half of what one Describe call can name, and far
fewer than the function has time for."""
WINDOW = 1
"""Seconds for which a batch receives more messages. Lambda's own batching window can last for 20
seconds on a quiet queue, and there a single message must not wait
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""

_APART = 2
"""Seconds between messages that are sent again: more than the window, so that a message which
crashes the function is not in a batch with another."""

LONGEST_APART = 300

Message = Mapping[str, Any]
"""A message as Lambda's events have it."""


def gather(queue_url: str, received: Sequence[Message]) -> list[Message]:
    """The messages that arrive in the window; none if there is one message, or one comes again."""
    gathered: list[Message] = []
    if len(received) < 2 or any(_receives(message) > 1 for message in received):
        return gathered
    end = time.monotonic() + WINDOW
    try:
        while len(received) + len(gathered) < MOST and time.monotonic() < end:
            came = poll_queue.receive(queue_url, WINDOW)
            if not came:
                break
            gathered += came
    except InstanceBundleError as error:
        logger.warning("No more messages are received", why=str(error))
    return gathered


def apart(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """The messages to handle now, and those to send again.

    If messages come again, the one that was received most often is handled alone.
    """
    suspect = max(messages, key=_receives)
    if _receives(suspect) < 2:
        return messages, []
    return [suspect], [message for message in messages if message is not suspect]


def send_again(queue_url: str, messages: Sequence[Message]) -> list[str]:
    """Send messages again as new ones, before anything can crash; returns those that failed."""
    kept = []
    for number, message in enumerate(messages, start=1):
        try:
            poll = Poll.parse(message["body"])
            poll_queue.send(queue_url, poll, min(number * _APART, LONGEST_APART))
            poll_queue.remove(queue_url, [message["receiptHandle"]])
        except InstanceBundleError as error:
            logger.warning("A message stays in the queue", why=str(error))
            kept.append(message["messageId"])
    return kept


def remove(queue_url: str, messages: Sequence[Message]) -> None:
    """Delete messages that were gathered and handled; Lambda deletes those that it received."""
    try:
        poll_queue.remove(queue_url, [message["receiptHandle"] for message in messages])
    except InstanceBundleError as error:
        logger.warning("Messages are not deleted; they come again, and are dropped", why=str(error))


def _receives(message: Message) -> int:
    return int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
