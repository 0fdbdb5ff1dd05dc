"""What SQS checks of a queue, and what stays when it is changed; moto has neither.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.sqs.exceptions import InvalidParameterValue, SQSException
from moto.sqs.models import Queue, SQSBackend, sqs_backends

RECEIVES = range(1, 1_001)
"""How often a message may be received before it is a dead letter."""
NAME_REST = 60.0
"""Seconds until the name of a queue that was deleted may be used again."""


class QueueDeletedRecently(SQSException):
    """A queue of that name was deleted less than `NAME_REST` seconds ago."""

    code = "QueueDeletedRecently"
    message = (
        "You must wait 60 seconds after deleting a queue before you can create another with the "
        "same name."
    )


@contextmanager
def enforced(clock: Callable[[], float] = time.time) -> Iterator[None]:
    """Have moto refuse queues that SQS refuses, of all accounts and regions.

    Args:
        clock: epoch seconds.
    """
    rest = _Rest(clock)
    with ExitStack() as patches:
        for owner, name, guarded in (
            (Queue, "_setup_dlq", _with_a_dead_letter_queue(Queue._setup_dlq)),
            (Queue, "_set_attributes", _with_its_policy(Queue._set_attributes)),
            (SQSBackend, "create_queue", rest.creation(SQSBackend.create_queue)),
            (SQSBackend, "delete_queue", rest.deletion(SQSBackend.delete_queue)),
        ):
            patches.enter_context(patch.object(owner, name, guarded))
        yield


class _Rest:
    """Remembers when queues were deleted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._deleted: dict[tuple[str, str, str], float] = {}

    def creation(self, create: Callable[..., Queue]) -> Callable[..., Queue]:
        @functools.wraps(create)
        def guarded(backend: SQSBackend, name: str, *args: Any, **kwargs: Any) -> Queue:
            deleted = self._deleted.get((backend.account_id, backend.region_name, name))
            if deleted is not None and self._clock() < deleted + NAME_REST:
                raise QueueDeletedRecently
            return create(backend, name, *args, **kwargs)

        return guarded

    def deletion(self, delete: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(delete)
        def noted(backend: SQSBackend, queue_name: str) -> None:
            delete(backend, queue_name)
            self._deleted[backend.account_id, backend.region_name, queue_name] = self._clock()

        return noted


def _with_a_dead_letter_queue(set_up: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(set_up)
    def guarded(queue: Queue, policy: Any) -> None:
        if not Queue._is_empty_redrive_policy(policy):
            _check_redrive(queue, policy)
        set_up(queue, policy)

    return guarded


def _with_its_policy(set_attributes: Callable[..., None]) -> Callable[..., None]:
    """moto removes the policy of a queue whose other attributes are set."""

    @functools.wraps(set_attributes)
    def kept(queue: Queue, attributes: dict[str, Any], now: float | None = None) -> None:
        given = (
            {"Policy": queue.policy, **attributes} if "_policy_json" in vars(queue) else attributes
        )
        set_attributes(queue, given, now)

    return kept


def _check_redrive(queue: Queue, policy: Any) -> None:
    """Raises InvalidParameterValue. moto itself refuses what is no redrive policy."""
    try:
        written = json.loads(policy) if isinstance(policy, str) else dict(policy)
        target, receives = str(written["deadLetterTargetArn"]), int(written["maxReceiveCount"])
    except (KeyError, TypeError, ValueError):
        return
    reason = None
    if receives not in RECEIVES:
        reason = (
            f"Invalid value for maxReceiveCount: {receives}, valid values are from "
            f"{RECEIVES[0]} to {RECEIVES[-1]} both inclusive."
        )
    elif not _is_there(queue, target):
        reason = "Dead letter target does not exist."
    if reason:
        shown = json.dumps(written, separators=(",", ":"))
        raise InvalidParameterValue(
            f"Value {shown} for parameter RedrivePolicy is invalid. Reason: {reason}"
        )


def _is_there(queue: Queue, target: str) -> bool:
    """Whether the dead-letter queue exists, of the same kind, in the queue's account and region."""
    found: Any = sqs_backends[queue.account_id][queue.region].queues.get(target.rpartition(":")[2])
    return (
        found is not None
        and found.queue_arn == target
        and bool(found.fifo_queue) == bool(queue.fifo_queue)
    )
