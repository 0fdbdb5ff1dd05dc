"""crhelper's `CfnResource` for one request; its unsafe parts are replaced.

crhelper routes Create, Update, Delete and their polls to functions. Here, polls come through an SQS
queue instead of a rule and a permission for each request; the ledger makes requests idempotent;
functions return an outcome; and the response's HTTP status is checked. The replaced methods are
private ones of the crhelper version that `functions/requirements.txt` pins; a contract test holds
each. There is one instance for each request: no state is shared between requests.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aws_lambda_powertools.utilities.typing import LambdaContext
from crhelper import CfnResource

from instance_bundle import budget
from instance_bundle.errors import (
    DeadlineExceeded,
    Denied,
    InstanceBundleError,
    NotEnded,
    PassingFault,
    Refusal,
    Refused,
    RefusedToTheEnd,
)
from instance_bundle.lifecycle import Described, id_of_failure
from instance_bundle.methods import Task
from instance_bundle.request import Properties, Request, conceal
from instance_bundle.responses.responder import Responder
from instance_bundle.settings import Settings
from instance_bundle.state import Doubt, Failed, Ledger, Outcome, Pending, Poll, Record, poll_queue
from instance_bundle.telemetry import logger

Event = dict[str, Any]


class Drive(Protocol):
    """A function that drives a request until it waits or has its answer: `Lifecycle.drive`."""

    def __call__(
        self, record: Record, described: Described | None = None, admitted: Properties | None = None
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class NextPoll:
    """The next poll of a request that continues: a message is sent, then the progress is saved.

    Attributes:
        record: the request's record.
        task: as it is now; None if there is none yet.
        seconds: until the next poll.
        due: the time of the next poll, epoch seconds.
    """

    record: Record
    task: Task | None
    seconds: int
    due: float

    @property
    def poll(self) -> Poll:
        """The next poll."""
        return Poll(self.record.key, self.record.generation + 1)


class BundleResource(CfnResource):
    """Handles one request: receives it or resumes it, drives it, and answers it.

    Args:
        request: the request.
        settings: of this process.
        ledger: the ledger.
        record: the request's record, if a poll has its lease.
        described: returns its task, if EC2 described it already.
        clock: epoch seconds.
    """

    _event: Event
    _context: LambdaContext

    def __init__(
        self,
        request: Request,
        settings: Settings,
        ledger: Ledger,
        *,
        record: Record | None = None,
        described: Described | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        with _as_in_a_local_run():
            super().__init__(
                log_level=logging.getLevelName(logging.getLogger().level),
                boto_level="WARNING",
                sleep_on_delete=0,
            )
        self._sam_local = None
        self._request = request
        self._settings = settings
        self._ledger = ledger
        self._record = record
        self._described = described
        self._clock = clock
        self._responder = Responder(request, settings, ledger, clock)
        self._outcome: Outcome = Pending(budget.NEXT_POLL)
        self._next_poll: NextPoll | None = None

    def begin(self, context: LambdaContext) -> None:
        """Handle the request as CloudFormation sent it."""
        logger.info("Received", request_type=self._request.request_type)
        self(self._request.as_event(), context)

    def resume(self, context: LambdaContext) -> NextPoll | None:
        """Resume the request for a poll.

        Returns:
            The next poll if the request continues; None if it has been answered.
        """
        assert self._record is not None  # noqa: S101  the poll has its lease
        if self._record.begun > 1:
            logger.warning("An earlier poll saved no progress", begun=self._record.begun)
        if self._clock() >= self._record.deadline:
            # If this process crashes, its message comes again too late: so send the next one first.
            self._poll_later(self._record, self._record.generation + 1, budget.NEXT_POLL)
        self({**self._request.as_event(), "CrHelperPoll": True}, context)
        return self._next_poll

    def receive(
        self,
        drive: Drive,
        admit: Callable[[], Properties | None] = lambda: None,
    ) -> str | None:
        """Put the request's ledger item, admit the request, send its first poll, and then drive it.

        A request that was received before is answered again, or left to its poll: it is admitted
        once. A refused request is in the ledger too, since a later Delete needs to know what
        CloudFormation requested last.

        Args:
            drive: drives the request.
            admit: raises a `Refusal` if the request is invalid or not allowed; makes no call.

        Returns:
            The physical ID once there is an answer, None before: what crhelper expects.
        """
        try:
            record, is_new = self._ledger.receive(self._request, budget.lease())
        except (Denied, Refused) as refused:
            admit()  # it may refuse, for example, a property that is too large for the ledger
            raise self._lasting(refused) from refused
        if record.answer is not None:
            self._record = record
            return self._set_outcome(record.answer)
        try:
            admitted = admit() if is_new else None
            self._poll_later(record, record.generation, self._soon(record))
        except (Refusal, Refused) as refused:
            lasting = self._lasting(refused)
            if isinstance(lasting, Refusal):
                self._record = record
            raise lasting from refused
        if not is_new:
            logger.info("Received again; its poll resumes it")
            return None
        # From here on the polls retry after a fault; before, Lambda retries the event.
        self._record = record
        return self._set_outcome(drive(record, admitted=admitted))

    def poll(self, drive: Drive) -> str | None:
        """Drive the request; a stored answer is sent again.

        Returns:
            The physical ID once there is an answer, None before: what crhelper expects.
        """
        assert self._record is not None  # noqa: S101  the poll has its lease
        return self._set_outcome(self._record.answer or drive(self._record, self._described))

    # What follows replaces private methods of crhelper's.

    def _log_setup(self, event: Event, context: LambdaContext) -> None:
        """Nothing: the logger is set up already, and conceals secrets."""

    def _set_timeout(self) -> None:
        """Nothing: after the Lambda function's timeout, a poll continues; it is no failure."""

    def _wrap_function(self, func: Callable[[Any, Any], Any]) -> None:
        try:
            func(self._event, self._context)
        except Refusal as refusal:
            self._outcome = Failed(self._id_of_failure(), str(refusal))
        except PassingFault as fault:
            if self._record is None:
                raise
            self._outcome = self._after_fault(self._record, fault)

    def _polling_init(self, event: Event) -> None:
        if not isinstance(self._outcome, Pending):
            self._send_response = True
        elif self._record is not None:
            record, outcome = self._record, self._outcome
            self._responder.send_acceptance(record, outcome.acceptance)
            if "CrHelperPoll" in event:
                due = self._clock() + outcome.seconds
                self._next_poll = NextPoll(record, outcome.task, outcome.seconds, due)
            else:
                self._ledger.save_progress(record, outcome.task, record.generation)

    def _cfn_response(self, event: Event) -> None:
        self._send()

    def _send(self, status: str | None = None, reason: str = "") -> None:
        if status is not None:
            # crhelper would answer FAILED after a crash. Here, Lambda and the queue retry, and if
            # the function keeps crashing, the failure handler answers.
            raise
        assert not isinstance(self._outcome, Pending)  # noqa: S101  see _polling_init
        self._responder.answer(self._record, self._outcome)

    # End of what is replaced.

    def _set_outcome(self, outcome: Outcome) -> str | None:
        self._outcome = outcome
        return None if isinstance(outcome, Pending) else outcome.physical_id

    def _lasting(self, refused: Refusal | Refused) -> InstanceBundleError:
        """The error to raise for a refusal before the first poll is sent.

        While there is time, Lambda retries the event, since changed permissions take effect later.
        """
        now = self._clock()
        in_time = self._request.times_out_at(now) - now > budget.EVENT_RETRIES
        return refused if isinstance(refused, Refusal) or in_time else refused.refusal

    def _soon(self, record: Record) -> int:
        """The delay in seconds of the first poll, which must not come after the deadline."""
        return max(1, min(budget.NEXT_POLL, round(record.deadline - self._clock())))

    def _after_fault(self, record: Record, fault: PassingFault) -> Outcome:
        left = record.deadline - self._clock()
        if left > 0:
            logger.warning("Will try again", fault=str(fault))
            self._note(record, fault)
            return Pending(max(1, min(budget.AFTER_FAULT, round(left))))
        timeout = self._request.timeout(accepted=record.acceptance is not None)
        if isinstance(fault, Refused):
            last_seen = str(record.task) if record.task else None
            ended: Refusal = RefusedToTheEnd(timeout, str(fault), last_seen)
        elif record.request_type == "Delete":
            ended = NotEnded(timeout.seconds, str(fault))
        else:
            ended = DeadlineExceeded(timeout, str(fault))
        return Failed(self._id_of_failure(), str(ended))

    def _note(self, record: Record, fault: PassingFault) -> None:
        """Store a refusal, without secrets: operators may read it. Some are final if repeated, and
        the Reason at the deadline names it."""
        now, reason = self._clock(), conceal(str(fault), self._request)
        noted = record.doubt is not None and record.doubt.is_about(reason, now)
        if not isinstance(fault, Refused) or noted:
            return
        try:
            self._ledger.note_doubt(record, Doubt(reason, now))
        except PassingFault as another:
            logger.warning("The refusal is not stored", fault=str(another))

    def _poll_later(self, record: Record, generation: int, delay: int) -> None:
        poll_queue.send(self._settings.poll_queue_url, Poll(record.key, generation), delay)

    def _id_of_failure(self) -> str:
        if self._record is not None:
            return id_of_failure(self._record)
        return self._request.id_of_failure


@contextmanager
def _as_in_a_local_run() -> Iterator[None]:
    """Keep crhelper from creating three clients that are not needed: it creates none locally."""
    before = os.environ.get("AWS_SAM_LOCAL")
    os.environ["AWS_SAM_LOCAL"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_SAM_LOCAL"]
        else:
            os.environ["AWS_SAM_LOCAL"] = before
