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

from instance_bundle import budget
from instance_bundle.errors import Busy, InstanceBundleError, PassingFault, Refused, Stale
from instance_bundle.methods import Methods, Task, known
from instance_bundle.polling import messages
from instance_bundle.polling.messages import Message
from instance_bundle.responses import BundleResource, NextPoll
from instance_bundle.state import Ledger, Poll, Record, poll_queue
from instance_bundle.telemetry import about, logger

_FAILED = "A poll failed; its message comes again"


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
        self._continuations: dict[str, NextPoll] = {}
        self._resumed = 0

    def process(self, event: dict[str, Any]) -> Mapping[str, Any]:
        """Carry on each request of the batch; report the messages that failed, to come again.

        Where messages come together, more are gathered: they all share one look. A message that
        comes again may have crashed the function, and its whole batch with it: it is taken alone.
        """
        received = event["Records"]
        gathered = messages.gather(self._queue_url, received)
        taken, others = messages.apart([*received, *gathered])
        failed = {*messages.send_again(self._queue_url, others), *self._process(taken)}
        done = [message for message in taken if message["messageId"] not in failed]
        messages.remove(self._queue_url, [message for message in done if message in gathered])
        reported = [message["messageId"] for message in received]
        return {
            "batchItemFailures": [
                {"itemIdentifier": message_id} for message_id in reported if message_id in failed
            ]
        }

    def _process(self, taken: Sequence[Message]) -> set[str]:
        """Carry on each request; the messages that failed."""
        self._taken = {message["messageId"]: self._take(message["body"]) for message in taken}
        self._look = self._look_at(self._taken.values())
        self._continuations = {}
        response = process_partial_response(
            event={"Records": list(taken)},
            record_handler=self._poll,
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=self._context,
        )
        failed = {str(failure["itemIdentifier"]) for failure in response["batchItemFailures"]}
        return failed | self._look_again()

    def _look_again(self) -> set[str]:
        """Have the requests that go on looked at again; the messages that failed.

        Their polls are sent together, so that they come back together.
        """
        polls = [(each.poll, each.seconds) for each in self._continuations.values()]
        unsent = poll_queue.send_together(self._queue_url, polls)
        failed = set()
        for message_id, continuation in self._continuations.items():
            with about(continuation.record.key):
                try:
                    self._write_down(continuation, unsent.get(continuation.record.key))
                except InstanceBundleError:
                    logger.exception(_FAILED)
                    failed.add(message_id)
        return failed

    def _write_down(self, continuation: NextPoll, unsent: InstanceBundleError | None) -> None:
        record = continuation.record
        try:
            if unsent is not None:
                raise unsent
            self._ledger.carry_on(record, continuation.task, continuation.poll.generation)
        except PassingFault as fault:
            self._wait_out(fault, Poll(record.key, record.generation))

    def _take(self, body: str) -> Record | InstanceBundleError:
        """Take the lease of the request that a message is about; what stands in the way is kept."""
        try:
            poll = Poll.parse(body)
            return self._ledger.take(poll.key, poll.generation, budget.lease())
        except InstanceBundleError as obstacle:
            return obstacle

    def _look_at(
        self, taken: Iterable[Record | InstanceBundleError]
    ) -> Callable[[Record], Task | None]:
        """Describe all tasks of a method at once; where that fails, it fails for those alone."""
        task_ids = {item.task.id for item in taken if isinstance(item, Record) and item.task}
        seen = self._methods.describe(task_ids)

        def look(record: Record) -> Task | None:
            return known(seen.get(record.task.id)) if record.task else None

        return look

    def _poll(self, record: SQSRecord) -> None:
        try:
            poll = Poll.parse(record.body)
            with about(poll.key):
                self._carry_on(record.message_id, poll)
        except Exception:
            logger.exception(_FAILED)
            raise

    def _carry_on(self, message_id: str, poll: Poll) -> None:
        taken = self._taken[message_id]
        match taken:
            case Record():
                self._resume(taken, message_id, poll)
            case Stale():
                logger.info("Dropped a poll that no longer counts", generation=poll.generation)
            case Busy():
                # Not before that process's time is over: should it do well, another poll goes on.
                poll_queue.send(self._queue_url, poll, math.ceil(max(1, taken.seconds)))
            case PassingFault() if not isinstance(taken, Refused):
                self._wait_out(taken, poll)
            case _:
                raise taken

    def _resume(self, record: Record, message_id: str, poll: Poll) -> None:
        if self._resumed and budget.left() < budget.WORK:
            # What is left is for the polls that go on: a batch that is cut off comes again late.
            logger.warning("Will look again: the time is short", taken_up=self._resumed)
            self._put_off(record, poll, budget.NEXT_POLL)
            return
        self._resumed += 1
        try:
            continuation = self._resource.resume(record, lambda: self._look(record), self._context)
        except PassingFault as fault:
            logger.warning("Will look again", fault=str(fault))
            self._put_off(record, poll, budget.AFTER_FAULT)
        else:
            if continuation is not None:
                self._continuations[message_id] = continuation

    def _wait_out(self, fault: PassingFault, poll: Poll) -> None:
        """Have the same poll come again, as a new message: a passing fault makes no dead letter."""
        logger.warning("Will look again", fault=str(fault))
        poll_queue.send(self._queue_url, poll, budget.AFTER_FAULT)

    def _put_off(self, record: Record, poll: Poll, seconds: int) -> None:
        """Have the same poll come again, and free the request for it."""
        poll_queue.send(self._queue_url, poll, seconds)
        try:
            self._ledger.carry_on(record, None, poll.generation)
        except PassingFault as fault:
            logger.warning("The request stays taken until this invocation's end", fault=str(fault))
