"""The last resort: FAILED for what kept crashing the function, so that no stack waits for nothing.

Two kinds of letters come to it: polls that were received too often, from the dead-letter queue; and
events whose invocation crashed to the end, from Lambda itself (an invocation record, the event in
its `requestPayload`): what holds a ResponseURL goes through no queue. Should the last resort fail
at such an event to the end as well, Lambda hands it back to the function, and so on until one of
them answers. It imports as little of the package as it can.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import delivery, pace, poll_queue, response
from instance_bundle.errors import (
    Denied,
    InstanceBundleError,
    InvalidEvent,
    NothingDone,
    PassingFault,
    Stale,
    Throttled,
)
from instance_bundle.history import Record
from instance_bundle.ledger import Ledger
from instance_bundle.outcome import Failed
from instance_bundle.poll_queue import Poll
from instance_bundle.properties import DEFAULT_COMPLETION_TIMEOUT
from instance_bundle.redaction import conceal
from instance_bundle.request import Request, unwrapped
from instance_bundle.settings import settings
from instance_bundle.telemetry import about, count, logger, metrics

_PASSING = {fault.__name__ for fault in (PassingFault, NothingDone, Throttled)}


@cache
def ledger() -> Ledger:
    """The ledger that the function keeps."""
    return Ledger(settings().ledger_table)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any] | None:
    """Answer a crashed event, or each dead letter of a batch; what could not be comes again.

    Raises:
        InstanceBundleError: a crashed event could not be answered; Lambda repeats the invocation.
    """
    lease = context.get_remaining_time_in_millis() / 1000
    if "requestPayload" in event:
        _answer_crashed_event(event, lease)
        return None
    failures = []
    for message in event["Records"]:
        try:
            answer_letter(message["body"], lease)
        except InstanceBundleError:
            if _is_past_listening(message):
                logger.exception("CloudFormation no longer waits for this; it is given up")
                continue
            logger.exception("A dead letter could not be answered; it comes again")
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def _answer_crashed_event(event: dict[str, Any], lease: float) -> None:
    try:
        answer_letter(json.dumps(event), lease)
    except InstanceBundleError:
        now = time.time()
        if Request.parse(unwrapped(event)).given_up(now) > now:
            raise
        logger.exception("CloudFormation no longer waits for this; it is given up")


def answer_letter(body: str, lease: float) -> None:
    """Answer what one dead letter is about, with the answer that stands or with FAILED.

    Args:
        body: the letter: a poll message, or an invocation record.
        lease: seconds for which this process will drive the letter's request.

    Raises:
        Busy: another process drives it; to be tried again.
        PassingFault: likewise.
        Denied: likewise, once the permission is there.
    """
    try:
        letter = _read(body, lease)
    except InvalidEvent as error:
        logger.error("A dead letter is about no request", error=str(error))
        return
    except Stale:
        logger.info("The request of a dead letter has gone on since")
        return
    if letter is None:
        return
    with about(letter.request.key):
        logger.error("Answering a dead letter", cause=letter.cause)
        _answer(letter)
        count("DeadLettersAnswered")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter whose request waits for an answer.

    Attributes:
        request: what CloudFormation asked.
        record: what the ledger knows of it; None where the ledger can't be written to.
        cause: what went wrong, for a person.
    """

    request: Request
    record: Record | None
    cause: str


def _read(body: str, lease: float) -> Letter | None:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise InvalidEvent("The letter is no JSON") from error
    if isinstance(content, dict) and "requestPayload" in content:
        return _read_crashed_event(content, lease)
    poll = Poll.parse(body)
    record = ledger().take(poll.key, poll.generation, lease)
    return _letter(record, "its polls kept failing")


def _read_crashed_event(content: Mapping[str, Any], lease: float) -> Letter | None:
    """A letter, unless the request's polls can see to it."""
    request = Request.parse(unwrapped(content))
    request.demand_answerable(settings().limits.response_origin)
    try:
        record, is_new = ledger().open(request, lease)
    except Denied as denied:
        return Letter(request, None, conceal(str(denied), request))
    if record.answer is None and (not is_new or _error_type(content) in _PASSING):
        logger.info("The polls take the request up", request_id=request.request_id)
        if is_new:
            ledger().carry_on(record, None, record.generation)
        poll = Poll(record.key, record.generation)
        poll_queue.send(settings().poll_queue_url, poll, pace.SOONEST)
        return None
    return _letter(record, _cause(content))


def _letter(record: Record, cause: str) -> Letter | None:
    if record.request is None:
        logger.info("The request of a dead letter has been answered")
        return None
    return Letter(record.request, record, cause)


def _error_type(content: Mapping[str, Any]) -> str:
    payload = content.get("responsePayload")
    return str(payload.get("errorType")) if isinstance(payload, dict) else ""


def _cause(content: Mapping[str, Any]) -> str:
    context = content.get("requestContext") or {}
    condition = context.get("condition", "its invocations failed")
    times = context.get("approximateInvokeCount", "several")
    return f"{condition} after {times} invocations"


def _answer(letter: Letter) -> None:
    request, record = letter.request, letter.record
    failed = Failed(
        record.task.id if record and record.task else request.id_of_failure,
        f"The function could not carry the request out: {letter.cause}. Its log tells why: look "
        f"for request_id {request.request_id} in the log group of the InstanceBundle function.",
    )
    if record is None:
        text = response.body(request.key, failed)
        response.deliver(request.response_url, text, settings().limits.response_origin)
        return
    record, answer = ledger().answer(request.key, failed)
    delivery.deliver(request, record, answer, settings())
    ledger().delivered(request.key)


def _is_past_listening(message: Mapping[str, Any]) -> bool:
    """Whether a letter is older than any stack waits, for a resource or a handle."""
    sent = message.get("attributes", {}).get("SentTimestamp")
    return sent is not None and time.time() - int(sent) / 1000 > DEFAULT_COMPLETION_TIMEOUT
