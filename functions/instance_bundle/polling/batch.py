"""A batch of the poll queue's messages: they share one Describe."""

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
from instance_bundle.lifecycle import Described
from instance_bundle.methods import Methods, Task, known
from instance_bundle.polling import messages, progress
from instance_bundle.polling.messages import Message
from instance_bundle.responses import NextPoll, events
from instance_bundle.settings import Settings
from instance_bundle.state import Ledger, Poll, Record, poll_queue
from instance_bundle.telemetry import about, logger

_FAILED = "A poll failed; its message comes again"


class Batch:
    """The messages of one invocation, each a poll of one request.

    Args:
        resume: resumes a request whose lease is taken; returns its next poll, if it continues.
        ledger: the ledger.
        methods: the ways to make an image.
        settings: of this process.
        context: of the invocation.
    """

    def __init__(
        self,
        resume: Callable[[Record, Described], NextPoll | None],
        ledger: Ledger,
        methods: Methods,
        settings: Settings,
        context: LambdaContext,
    ) -> None:
        self._resume = resume
        self._ledger = ledger
        self._methods = methods
        self._queue_url = settings.poll_queue_url
        self._event_bus = settings.event_bus
        self._context = context
        self._taken: Mapping[str, Record | InstanceBundleError] = {}
        self._described: Callable[[Record], Task | None] = lambda _: None
        self._next_polls: dict[str, NextPoll] = {}
        self._events: list[events.TaskEvent] = []
        self._begun = 0

    def process(self, event: dict[str, Any]) -> Mapping[str, Any]:
        """Drive each request of the batch, and report the messages that failed, so they come again.

        If there are several messages, more are received: they all share one Describe. A message
        that comes again may have crashed the function, with its whole batch: it is handled alone.
        """
        received = event["Records"]
        gathered = messages.gather(self._queue_url, received)
        taken, others = messages.apart([*received, *gathered])
        failed = {*messages.send_again(self._queue_url, others), *self._process(taken)}
        done = [message for message in taken if message["messageId"] not in failed]
        messages.remove(self._queue_url, [message for message in done if message in gathered])
        events.publish_tasks(self._event_bus, self._events)
        reported = [message["messageId"] for message in received]
        return {
            "batchItemFailures": [
                {"itemIdentifier": message_id} for message_id in reported if message_id in failed
            ]
        }

    def _process(self, taken: Sequence[Message]) -> set[str]:
        """Drive each request; returns the messages that failed."""
        self._taken = {message["messageId"]: self._take(message["body"]) for message in taken}
        self._described = self._describe(self._taken.values())
        self._next_polls = {}
        self._events = []
        response = process_partial_response(
            event={"Records": list(taken)},
            record_handler=self._poll,
            processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
            context=self._context,
        )
        failed = {str(failure["itemIdentifier"]) for failure in response["batchItemFailures"]}
        return failed | self._send_next_polls()

    def _send_next_polls(self) -> set[str]:
        """Send the next polls of the requests that continue; returns the messages that failed.

        They are sent together, so that they are received together.
        """
        polls = [(each.poll, each.seconds) for each in self._next_polls.values()]
        unsent = poll_queue.send_together(self._queue_url, polls)
        failed = set()
        for message_id, next_poll in self._next_polls.items():
            with about(next_poll.record.key):
                try:
                    self._save_progress(next_poll, unsent.get(next_poll.record.key))
                except InstanceBundleError:
                    logger.exception(_FAILED)
                    failed.add(message_id)
        return failed

    def _save_progress(self, next_poll: NextPoll, unsent: InstanceBundleError | None) -> None:
        record = next_poll.record
        event = progress.next_event(next_poll) if self._event_bus else None
        mark = event.mark if event is not None else None
        try:
            if unsent is not None:
                raise unsent
            poll, due = next_poll.poll, next_poll.due
            if self._ledger.save_progress(record, next_poll.task, poll.generation, due, mark):
                self._poll_at_once(poll)
        except PassingFault as fault:
            self._wait_out(fault, Poll(record.key, record.generation))
        else:
            progress.report(next_poll)
            if event is not None:
                self._events.append(event)

    def _poll_at_once(self, poll: Poll) -> None:
        """For an event that came while the request was driven: what it is about may not have been
        seen."""
        try:
            if self._ledger.hints.make_due(poll) is not None:
                poll_queue.send(self._queue_url, poll, 0)
        except InstanceBundleError as error:
            logger.warning("Not polled before its time", why=str(error))

    def _take(self, body: str) -> Record | InstanceBundleError:
        """Take the lease of the request that a message is about, or return why that failed."""
        try:
            poll = Poll.parse(body)
            with about(poll.key):
                return self._ledger.take(poll.key, poll.generation, budget.lease())
        except InstanceBundleError as obstacle:
            return obstacle

    def _describe(
        self, taken: Iterable[Record | InstanceBundleError]
    ) -> Callable[[Record], Task | None]:
        """Describe all tasks of a method at once; a failure concerns only that method's tasks."""
        task_ids = {item.task.id for item in taken if isinstance(item, Record) and item.task}
        seen = self._methods.describe(task_ids)

        def described(record: Record) -> Task | None:
            return known(seen.get(record.task.id)) if record.task else None

        return described

    def _poll(self, record: SQSRecord) -> None:
        try:
            poll = Poll.parse(record.body)
            with about(poll.key):
                self._handle_message(record.message_id, poll)
        except Exception:
            logger.exception(_FAILED)
            raise

    def _handle_message(self, message_id: str, poll: Poll) -> None:
        taken = self._taken[message_id]
        match taken:
            case Record():
                self._resume_one(taken, message_id, poll)
            case Stale():
                logger.info("Dropped a poll that is no longer valid", generation=poll.generation)
            case Busy():
                # After that process's lease. If the request has continued by then, it is dropped.
                poll_queue.send(self._queue_url, poll, math.ceil(max(1, taken.seconds)))
            case PassingFault() if not isinstance(taken, Refused):
                self._wait_out(taken, poll)
            case _:
                raise taken

    def _resume_one(self, record: Record, message_id: str, poll: Poll) -> None:
        if self._begun and budget.left() < budget.WORK:
            # The remaining time is for the next polls: a batch that times out comes again late.
            logger.warning("Will poll again: the time is short", begun=self._begun)
            self._put_off(record, poll, budget.NEXT_POLL)
            return
        self._begun += 1
        try:
            next_poll = self._resume(record, lambda: self._described(record))
        except PassingFault as fault:
            logger.warning("Will poll again", fault=str(fault))
            self._put_off(record, poll, budget.AFTER_FAULT)
        else:
            if next_poll is not None:
                self._next_polls[message_id] = next_poll

    def _wait_out(self, fault: PassingFault, poll: Poll) -> None:
        """Send the same poll again, as a new message: a passing fault makes no dead letter."""
        logger.warning("Will poll again", fault=str(fault))
        poll_queue.send(self._queue_url, poll, budget.AFTER_FAULT)

    def _put_off(self, record: Record, poll: Poll, seconds: int) -> None:
        """Send the same poll again, and release the request's lease for it."""
        poll_queue.send(self._queue_url, poll, seconds)
        try:
            self._ledger.save_progress(record, None, poll.generation)
        except PassingFault as fault:
            logger.warning("The request's lease is not released", fault=str(fault))
