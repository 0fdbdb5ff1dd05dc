"""A batch of the poll queue's messages: they share one look at EC2."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import pace, poll_queue
from instance_bundle.errors import Busy, InstanceBundleError, PassingFault, Stale
from instance_bundle.history import Record
from instance_bundle.ledger import Ledger
from instance_bundle.method import Task
from instance_bundle.methods import Methods
from instance_bundle.poll_queue import Poll
from instance_bundle.protocol import BundleResource
from instance_bundle.telemetry import about, logger

_APART = 2
"""Seconds between messages that are sent again: more than the batching window, so that one which
crashes the function meets no other."""

_LONGEST_APART = 300


class Batch:
    """The messages of one invocation, each a poll of one request."""

    def __init__(
        self,
        resource: BundleResource,
        ledger: Ledger,
        methods: Methods,
        queue_url: str,
        context: LambdaContext,
    ) -> None:
        self._resource = resource
        self._ledger = ledger
        self._methods = methods
        self._queue_url = queue_url
        self._context = context
        self._taken: Mapping[str, Record | InstanceBundleError] = {}
        self._look: Callable[[Record], Task | None] = lambda _: None

    def process(self, event: dict[str, Any]) -> Mapping[str, Any]:
        """Carry on each request of the batch; report the messages that failed, to come again.

        A message that comes again may have crashed the function, and its whole batch with it: it is
        taken alone.
        """
        suspect, others = _apart(event["Records"])
        if suspect is None:
            return self._process(others)
        kept = self._send_again(others)
        answer = self._process([suspect])
        return {"batchItemFailures": [*answer["batchItemFailures"], *kept]}

    def _process(self, messages: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
        self._taken = {message["messageId"]: self._take(message["body"]) for message in messages}
        self._look = self._look_at(self._taken.values())
        return process_partial_response(
            event={"Records": list(messages)},
            record_handler=self._poll,
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=self._context,
        )

    def _send_again(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
        """Put messages back as new ones, before anything can crash; report those that stay."""
        kept = []
        for number, message in enumerate(messages, start=1):
            try:
                poll = Poll.parse(message["body"])
                poll_queue.send(self._queue_url, poll, min(number * _APART, _LONGEST_APART))
                poll_queue.remove(self._queue_url, message["receiptHandle"])
            except InstanceBundleError as error:
                logger.warning("A message stays in the queue", why=str(error))
                kept.append({"itemIdentifier": message["messageId"]})
        return kept

    def _take(self, body: str) -> Record | InstanceBundleError:
        """Take the lease of the request that a message is about; what stands in the way is kept."""
        lease = self._context.get_remaining_time_in_millis() / 1000
        try:
            poll = Poll.parse(body)
            return self._ledger.take(poll.key, poll.generation, lease)
        except InstanceBundleError as obstacle:
            return obstacle

    def _look_at(
        self, taken: Iterable[Record | InstanceBundleError]
    ) -> Callable[[Record], Task | None]:
        """Describe all tasks at once; where that fails, it fails for each that has a task."""
        task_ids = {item.task.id for item in taken if isinstance(item, Record) and item.task}
        tasks: Mapping[str, Task] = {}
        fault: InstanceBundleError | None = None
        try:
            tasks = self._methods.describe(task_ids)
        except InstanceBundleError as error:
            fault = error

        def look(record: Record) -> Task | None:
            if record.task is None:
                return None
            if fault is not None:
                raise fault
            return tasks.get(record.task.id)

        return look

    def _poll(self, record: SQSRecord) -> None:
        try:
            poll = Poll.parse(record.body)
            with about(poll.key):
                self._carry_on(self._taken[record.message_id], poll)
        except Exception:
            logger.exception("A poll failed; its message comes again")
            raise

    def _carry_on(self, taken: Record | InstanceBundleError, poll: Poll) -> None:
        match taken:
            case Record():
                self._resume(taken, poll)
            case Stale():
                logger.info("Dropped a poll that no longer counts", generation=poll.generation)
            case Busy():
                # Not before that process's time is over: should it do well, another poll goes on.
                poll_queue.send(self._queue_url, poll, math.ceil(max(1, taken.seconds)))
            case PassingFault():
                self._wait_out(taken, poll)
            case _:
                raise taken

    def _resume(self, record: Record, poll: Poll) -> None:
        try:
            self._resource.resume(record, lambda: self._look(record), self._context)
        except PassingFault as fault:
            self._wait_out(fault, poll)

    def _wait_out(self, fault: PassingFault, poll: Poll) -> None:
        """Have the same poll come again, as a new message: a passing fault makes no dead letter."""
        logger.warning("Will look again", fault=str(fault))
        poll_queue.send(self._queue_url, poll, pace.AFTER_FAULT)


def _apart(
    messages: Sequence[dict[str, Any]],
) -> tuple[dict[str, Any] | None, Sequence[dict[str, Any]]]:
    """The message that came most often, if it has come before, and the others."""
    suspect = max(messages, key=_receives)
    if _receives(suspect) < 2 or len(messages) == 1:
        return None, messages
    return suspect, [message for message in messages if message is not suspect]


def _receives(message: Mapping[str, Any]) -> int:
    return int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
