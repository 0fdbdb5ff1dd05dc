"""crhelper's `CfnResource`, with what is unsafe in it replaced.

crhelper routes Create, Update, Delete and their polls to functions. Here the polls come through an
SQS queue instead of a rule and a permission for each request, requests are known again by the
ledger, functions answer with an outcome, and the response goes out through a sender that looks at
the HTTP status. What is replaced are private methods of the crhelper version that
`functions/requirements.txt` pins; a contract test holds each.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from crhelper import SUCCESS, CfnResource

from instance_bundle import budget
from instance_bundle.errors import (
    DeadlineExceeded,
    Denied,
    InstanceBundleError,
    InvalidEvent,
    PassingFault,
    Refusal,
    Refused,
    RefusedToTheEnd,
)
from instance_bundle.methods import Task
from instance_bundle.request import Request, conceal, unwrapped
from instance_bundle.responses import delivery, response
from instance_bundle.settings import Settings
from instance_bundle.state import (
    Answer,
    Done,
    Doubt,
    Failed,
    Ledger,
    Outcome,
    Pending,
    Poll,
    Record,
    poll_queue,
)
from instance_bundle.telemetry import about, count, duration, logger

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NextPoll:
    """What follows a poll whose request goes on: a message, and then a line in the ledger.

    Attributes:
        record: the request's record.
        task: as it is now; None where there is none yet.
        seconds: until the next look.
    """

    record: Record
    task: Task | None
    seconds: int

    @property
    def poll(self) -> Poll:
        """The poll that looks again."""
        return Poll(self.record.key, self.record.generation + 1)


class BundleResource(CfnResource):
    """The resource's conversation with CloudFormation.

    Args:
        settings: asked for when a request needs them.
        ledger: likewise.
        clock: epoch seconds.
    """

    _event: Event
    _context: LambdaContext
    _request: Request
    _record: Record | None
    _outcome: Outcome
    _continuation: NextPoll | None
    _look: Callable[[], Task | None]

    def __init__(
        self,
        settings: Callable[[], Settings],
        ledger: Callable[[], Ledger],
        clock: Callable[[], float] = time.time,
    ) -> None:
        with _as_in_a_local_run():
            super().__init__(
                log_level=logging.getLevelName(logging.getLogger().level),
                boto_level="WARNING",
                sleep_on_delete=0,
            )
        self._sam_local = None
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._begin()

    def __call__(self, event: Any, context: LambdaContext) -> None:
        """Take an event of CloudFormation's, sent by it or handed back by the last resort.

        Another's is refused with a log line.
        """
        self._begin()
        try:
            self._request = Request.parse(unwrapped(event))
            self._request.require_answerable(self._settings().limits.response_origin)
        except InvalidEvent as error:
            logger.error("Refused what is no custom resource event", error=str(error))
            return
        with about(self._request.key):
            logger.info("Received", request_type=self._request.request_type)
            super().__call__(self._request.as_event(), context)

    @property
    def request(self) -> Request:
        """The request that is being dealt with."""
        return self._request

    def resume(
        self, record: Record, look: Callable[[], Task | None], context: LambdaContext
    ) -> NextPoll | None:
        """Take up a request whose lease a poll has taken.

        Args:
            record: the request's record.
            look: how far its task is now; None where EC2 does not list it.
            context: of the invocation.

        Returns:
            What is left to do where the request goes on; None where it has been answered.
        """
        self._begin()
        assert record.request is not None  # noqa: S101  none whose answer was delivered is taken
        self._request, self._record, self._look = record.request, record, look
        if self._clock() >= record.deadline:
            # Should this process crash, its message comes back too late: the next one goes first.
            self._poll_later(record, record.generation + 1, budget.NEXT_POLL)
        super().__call__({**record.request.as_event(), "CrHelperPoll": True}, context)
        return self._continuation

    def accept(
        self,
        step: Callable[[Record], Outcome],
        admit: Callable[[], object] = lambda: None,
    ) -> str | None:
        """Open the request's ledger item, admit the request, and send its first poll; then, and
        only then, do the step.

        A request that was received before gets its answer again, or is left to its poll: it is
        admitted once. One that is refused is in the ledger too, which tells a later Delete what
        CloudFormation asked last.

        Args:
            step: what the request asks for.
            admit: raises a `Refusal` where the request asks for what it may not; makes no call.

        Returns:
            The physical ID once there is an answer, None before: what crhelper expects.
        """
        try:
            record, is_new = self._ledger().open(self._request, budget.lease())
        except (Denied, Refused) as refused:
            admit()  # such as of a property so large that nothing can store it
            raise self._lasting(refused) from refused
        if record.answer is not None:
            self._record = record
            return self._comes_to(record.answer)
        try:
            if is_new:
                admit()
            self._poll_later(record, record.generation, self._soon(record))
        except (Refusal, Refused) as refused:
            lasting = self._lasting(refused)
            if isinstance(lasting, Refusal):
                self._record = record
            raise lasting from refused
        if not is_new:
            logger.info("Received again; its poll takes it up")
            return None
        # From here on a fault is waited out by the polls; before, by repeating the event.
        self._record = record
        return self._comes_to(step(record))

    def carry_on(self, step: Callable[[Record, Task | None], Outcome]) -> str | None:
        """Do the step with the request's task as it is now; an answer that stands is repeated.

        Returns:
            The physical ID once there is an answer, None before: what crhelper expects.
        """
        assert self._record is not None  # noqa: S101  resume() has set it
        return self._comes_to(self._record.answer or step(self._record, self._look()))

    # What follows replaces private methods of crhelper's.

    def _log_setup(self, event: Event, context: LambdaContext) -> None:
        """Nothing: the logger is set up, and keeps secrets out."""

    def _set_timeout(self) -> None:
        """Nothing: the Lambda's own time-out hands over to the queue; it is no failure."""

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
            self._accept(self._record, self._outcome.accepted)
            if "CrHelperPoll" in event:
                self._continuation = NextPoll(
                    self._record, self._outcome.task, self._outcome.seconds
                )
            else:
                self._ledger().carry_on(self._record, self._outcome.task, self._record.generation)

    def _cfn_response(self, event: Event) -> None:
        self._send()

    def _send(self, status: str | None = None, reason: str = "") -> None:
        if status is not None:
            # crhelper would answer FAILED for a crash. Lambda and the queue repeat what crashed,
            # and the last resort answers what keeps crashing.
            raise
        assert not isinstance(self._outcome, Pending)  # noqa: S101  _polling_init has seen to it
        answer = self._without_secrets(self._outcome)
        if self._record is None:
            count("Failed")
            self._put(answer)
            return
        try:
            record, answer = self._ledger().answer(self._record.key, answer)
        except (Denied, Refused) as refused:
            # Nothing can be stored: that is the answer.
            logger.exception("The answer could not be stored")
            answer = self._without_secrets(Failed(answer.physical_id, str(refused)))
            self._log_answer(answer)
            delivery.deliver(self._request, self._record, answer, self._settings())
            return
        self._measure(self._record, answer)
        self._deliver(record, answer)

    # End of what is replaced.

    def _begin(self) -> None:
        """Forget the request before: nothing of it may show in the next one's answer."""
        self.NoEcho = False
        self._init_failed = None
        self._response_url = ""
        self._record = None
        self._outcome = Pending(budget.NEXT_POLL)
        self._continuation = None
        self._look = lambda: None

    def _comes_to(self, outcome: Outcome) -> str | None:
        self._outcome = outcome
        return None if isinstance(outcome, Pending) else outcome.physical_id

    def _without_secrets(self, answer: Answer) -> Answer:
        if isinstance(answer, Done):
            return answer
        return Failed(answer.physical_id, conceal(answer.reason, self._request))

    def _accept(self, record: Record, accepted: Done | None) -> None:
        """Have CloudFormation hear that the work is accepted, once there is an answer that says so;
        where that does not get through, the next poll repeats it."""
        if accepted is not None:
            accepted = self._ledger().accept(record, accepted)
        elif not record.told:
            accepted = record.accepted
        if accepted is None:
            return
        self._log_answer(accepted)
        try:
            delivery.accept(self._request, accepted, self._settings())
        except PassingFault:
            logger.exception("CloudFormation has not heard yet that the work is accepted")
        else:
            self._ledger().told(record)

    def _deliver(self, record: Record, answer: Answer) -> None:
        self._log_answer(answer)
        is_first = self._record is not None and self._record.answer is None
        try:
            if is_first:
                delivery.deliver(self._request, record, answer, self._settings())
            else:
                delivery.repeat(self._request, record, answer, self._ledger(), self._settings())
        except PassingFault:
            if not self._is_past_listening(record):
                raise
            logger.exception("CloudFormation no longer waits for the answer; it is given up")
        self._ledger().delivered(record.key)

    def _put(self, answer: Answer) -> None:
        self._log_answer(answer)
        text = response.body(self._request.key, answer)
        origin = self._settings().limits.response_origin
        response.deliver(self._request.response_url, text, origin)

    def _log_answer(self, answer: Answer) -> None:
        if isinstance(answer, Done):
            logger.info("Answering", status=SUCCESS, physical_id=answer.physical_id)
        else:
            logger.error("Answering", status="FAILED", reason=answer.reason)

    def _lasting(self, refused: Refusal | Refused) -> InstanceBundleError:
        """What a refusal means before the first poll is sent: Lambda sends the event again, while
        there is time, since permissions that were just changed may not be there yet."""
        now = self._clock()
        in_time = self._request.given_up(now) - now > budget.EVENT_RETRIES
        return refused if isinstance(refused, Refusal) or in_time else refused.refusal

    def _soon(self, record: Record) -> int:
        """Seconds until a poll that is sent now comes: soon, and not after the deadline."""
        return max(1, min(budget.NEXT_POLL, round(record.deadline - self._clock())))

    def _after_fault(self, record: Record, fault: PassingFault) -> Outcome:
        left = record.deadline - self._clock()
        if left > 0:
            logger.warning("Will try again", fault=str(fault))
            self._note(record, fault)
            return Pending(max(1, min(budget.AFTER_FAULT, round(left))))
        timeout = self._request.timeout(accepted=record.accepted is not None)
        if isinstance(fault, Refused):
            last_seen = str(record.task) if record.task else None
            ended: Refusal = RefusedToTheEnd(timeout, str(fault), last_seen)
        else:
            ended = DeadlineExceeded(timeout, str(fault))
        return Failed(self._id_of_failure(), str(ended))

    def _note(self, record: Record, fault: PassingFault) -> None:
        """Write a refusal down: some are believed when they are repeated, and the Reason at the
        deadline names one."""
        now = self._clock()
        noted = record.doubt is not None and record.doubt.is_about(str(fault), now)
        if not isinstance(fault, Refused) or noted:
            return
        try:
            self._ledger().doubt(record, Doubt(str(fault), now))
        except PassingFault as another:
            logger.warning("The refusal is not written down", fault=str(another))

    def _is_past_listening(self, record: Record) -> bool:
        timeout = self._request.timeout(accepted=record.accepted is not None)
        return self._clock() > record.sent_at + timeout.seconds

    def _measure(self, record: Record, answer: Answer) -> None:
        if record.answer is not None:
            return
        if isinstance(answer, Failed):
            count("Failed")
        elif self._request.request_type != "Delete":
            count("Completed")
            duration(self._clock() - record.first_receipt)

    def _poll_later(self, record: Record, generation: int, delay: int) -> None:
        poll_queue.send(self._settings().poll_queue_url, Poll(record.key, generation), delay)

    def _id_of_failure(self) -> str:
        if self._record is not None and self._record.task is not None:
            return self._record.task.id
        return self._request.id_of_failure


@contextmanager
def _as_in_a_local_run() -> Iterator[None]:
    """Keep crhelper from making three clients that a queue does not need: it makes none locally."""
    before = os.environ.get("AWS_SAM_LOCAL")
    os.environ["AWS_SAM_LOCAL"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_SAM_LOCAL"]
        else:
            os.environ["AWS_SAM_LOCAL"] = before
