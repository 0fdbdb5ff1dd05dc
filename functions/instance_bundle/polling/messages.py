"""The poll queue's messages that an invocation takes, and what becomes of those that it leaves."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from instance_bundle.errors import InstanceBundleError
from instance_bundle.state import Poll, poll_queue
from instance_bundle.telemetry import logger

MOST = 100
"""Messages that an invocation takes: half of what one Describe call can ask for, and far from what
the function's time is good for."""
WINDOW = 1
"""Seconds that a batch is open for more. Lambda's own batching window can last for 20 seconds on a
quiet queue, where one message waits for no other
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""

_APART = 2
"""Seconds between messages that are sent again: more than the window, so that one which crashes the
function meets no other."""

LONGEST_APART = 300

Message = Mapping[str, Any]
"""A message as Lambda's events have it."""


def gather(queue_url: str, received: Sequence[Message]) -> list[Message]:
    """The messages that come in the window, unless the batch is one that waits for none."""
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
        logger.warning("The batch stays as it is", why=str(error))
    return gathered


def apart(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """The messages to take now, and those to send again: the one that came most often is taken
    alone, if it has come before."""
    suspect = max(messages, key=_receives)
    if _receives(suspect) < 2:
        return messages, []
    return [suspect], [message for message in messages if message is not suspect]


def send_again(queue_url: str, messages: Sequence[Message]) -> list[str]:
    """Put messages back as new ones, before anything can crash; those that stay."""
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
    """Take those off the queue that were gathered and are done; Lambda does so with its own."""
    try:
        poll_queue.remove(queue_url, [message["receiptHandle"] for message in messages])
    except InstanceBundleError as error:
        logger.warning("Messages come again, and are dropped then", why=str(error))


def _receives(message: Message) -> int:
    return int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
