"""The answer of one request: stored first, then sent."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from crhelper import SUCCESS

from instance_bundle.errors import ConditionFailed, Denied, PassingFault
from instance_bundle.lifecycle import id_of_failure
from instance_bundle.request import Request, conceal
from instance_bundle.responses import delivery, response
from instance_bundle.settings import Settings
from instance_bundle.state import Answer, Done, Failed, Ledger, Record, Response
from instance_bundle.telemetry import count, logger, measure


@dataclass(frozen=True, slots=True)
class Responder:
    """Stores and sends the answer of a request.

    Attributes:
        request: the request.
        settings: of this process.
        ledger: stores an answer before it is sent.
        clock: epoch seconds.
    """

    request: Request
    settings: Settings
    ledger: Ledger
    clock: Callable[[], float] = time.time

    def send_acceptance(self, record: Record, acceptance: Done | None) -> None:
        """Answer CloudFormation that the work is accepted, if it is.

        If the answer does not arrive, the next poll sends it again.

        Args:
            record: the request's record.
            acceptance: the answer, if the work has just been accepted.
        """
        if acceptance is not None:
            acceptance = self.ledger.store_acceptance(record, acceptance)
        elif record.response == Response.ACCEPTANCE_STORED:
            acceptance = record.acceptance
        if acceptance is None:
            return
        _log(acceptance)
        try:
            delivery.send_acceptance(self.request, acceptance, self.settings)
        except PassingFault:
            logger.exception("CloudFormation does not have the acceptance yet")
        else:
            self.ledger.acceptance_sent(record)

    def answer(self, record: Record | None, answer: Answer) -> None:
        """Store an answer, then send the one that was stored first.

        Args:
            record: the request's record; None if the ledger has none.
            answer: the answer.

        Raises:
            PassingFault: it could not be stored, or it did not arrive and the request has not timed
                out.
        """
        answer = self._without_secrets(answer)
        if record is None:
            count("Failed")
            self._put(answer)
            return
        try:
            stored, answer = self.ledger.store_answer(record, answer)
        except (ConditionFailed, Denied) as refused:
            # The ledger refuses all writes: the answer says that.
            logger.exception("The answer could not be stored")
            answer = self._without_secrets(Failed(id_of_failure(record), str(refused)))
            _log(answer)
            delivery.deliver(self.request, record, answer, self.settings)
            return
        is_first = record.answer is None
        if is_first:
            self._measure(record, answer)
        self._deliver(stored, answer, is_first=is_first)

    def _deliver(self, record: Record, answer: Answer, *, is_first: bool) -> None:
        _log(answer)
        try:
            if is_first:
                delivery.deliver(self.request, record, answer, self.settings)
            else:
                delivery.repeat(self.request, record, answer, self.ledger, self.settings)
        except PassingFault:
            if not self._has_timed_out(record):
                raise
            logger.exception("The request has timed out; the answer is not sent again")
        self.ledger.delivered(record.key)

    def _put(self, answer: Answer) -> None:
        _log(answer)
        text = response.body(self.request.key, answer)
        origin = self.settings.limits.response_origin
        response.deliver(self.request.response_url, text, origin)

    def _without_secrets(self, answer: Answer) -> Answer:
        if isinstance(answer, Done):
            return answer
        return Failed(answer.physical_id, conceal(answer.reason, self.request))

    def _has_timed_out(self, record: Record) -> bool:
        timeout = self.request.timeout(accepted=record.acceptance is not None)
        return self.clock() > record.sent_at + timeout.seconds

    def _measure(self, record: Record, answer: Answer) -> None:
        seconds = self.clock() - record.first_receipt
        measure("TimeToAnswer", seconds)
        if isinstance(answer, Failed):
            count("Failed")
        elif self.request.request_type != "Delete":
            count("Completed")
            measure("Duration", seconds)


def _log(answer: Answer) -> None:
    if isinstance(answer, Done):
        logger.info("Answering", status=SUCCESS, physical_id=answer.physical_id)
    else:
        logger.error("Answering", status="FAILED", reason=answer.reason)
