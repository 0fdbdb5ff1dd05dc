"""The failure handler: FAILED for what kept crashing the function, so that no stack waits in vain.

Two kinds of dead letters come to it: polls that were received too often, from the dead-letter
queue; and events that the function did not handle, from Lambda itself (an invocation record, the
event in its `requestPayload`): what holds a ResponseURL goes through no queue. What was only
throttled, or met a passing fault, is resumed where its deadline is ahead. Should this function fail
at an event to the end as well, Lambda hands it back to the other one, and so on until one of them
answers. It imports as little of the package as it can.
"""

import json
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import budget
from instance_bundle.errors import (
    Denied,
    Doubtful,
    InvalidEvent,
    NothingDone,
    PassingFault,
    Refused,
    Stale,
    Throttled,
)
from instance_bundle.request import (
    DEFAULT_COMPLETION_TIMEOUT,
    Request,
    RequestKey,
    conceal,
    unwrapped,
)
from instance_bundle.responses import delivery, response
from instance_bundle.settings import settings
from instance_bundle.state import Failed, Ledger, Poll, Record, poll_queue
from instance_bundle.telemetry import about, count, logger, metrics

CRASHES = 3
"""Invocations that began with a request and came to no end, after which it is given up: as many as
the poll queue hands a message over."""

_PASSING = {fault.__name__ for fault in (PassingFault, NothingDone, Throttled)}
_REFUSED = {Refused.__name__, Doubtful.__name__}
_CRASHED = "RetriesExhausted"
"""Lambda's condition where each invocation failed (AWS Lambda Developer Guide, Capturing records of
Lambda asynchronous invocations). The guide names no other one: an event that was throttled until it
was too old, or that met a reserved concurrency of 0, has another."""
_GIVEN_UP = "CloudFormation no longer waits for this; it is given up"


@cache
def ledger() -> Ledger:
    """The ledger that the function keeps."""
    return Ledger(settings().ledger_table)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any] | None:
    """Answer an event, or each dead letter of a batch; what could not be comes again.

    Raises:
        Exception: an event could not be answered yet; Lambda repeats the invocation.
    """
    with budget.invocation(context.get_remaining_time_in_millis):
        if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
            left = [message for message in event["Records"] if not _is_dealt_with(message)]
            return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in left]}
        _answer_event(event)
        return None


def _is_dealt_with(message: Mapping[str, Any]) -> bool:
    """Whether a message of the batch is answered, resumed or given up; no other message suffers
    from what this one causes."""
    if budget.left() < budget.WORK:
        return False
    try:
        _deal_with(message.get("body", ""))
    except Exception:  # noqa: BLE001  whatever it is, the other letters are to be answered
        if _is_past_listening(message):
            logger.exception(_GIVEN_UP)
            return True
        logger.exception("A dead letter could not be answered; it comes again")
        return False
    return True


def _deal_with(body: Any) -> None:
    """Resume the request that a message is about, or answer it.

    An invocation record can be a message too: an application of before had a queue for them.
    """
    try:
        event = json.loads(body)
        if isinstance(event, Mapping) and "requestPayload" in event:
            _answer_event(event)
        else:
            _deal_with_poll(Poll.parse(body))
    except (InvalidEvent, ValueError, RecursionError) as error:
        logger.error("A dead letter is about no request", error=str(error))
    except Stale:
        logger.info("The request of a dead letter has gone on since")


def _deal_with_poll(poll: Poll) -> None:
    try:
        record = ledger().take_over(poll.key, poll.generation, budget.lease())
    except Refused as refused:
        _answer_unstored(poll.key, refused)
        return
    with about(record.key):
        if record.answer is None and record.begun < CRASHES and time.time() < record.deadline:
            _resume(record)
        elif record.begun < CRASHES:
            _answer(record.request, record, "its polls did not run in time")
        else:
            _answer(record.request, record, "its polls kept failing")


def _answer_unstored(key: RequestKey, refused: Refused) -> None:
    """Answer a request that the ledger can tell, but nothing can be written down about.

    Raises:
        PassingFault: the ledger can't tell either.
    """
    record = ledger().read(key)
    if record is not None and record.request is not None and record.answer is None:
        with about(key):
            _answer(record.request, None, conceal(str(refused), record.request))


def _answer_event(event: Any) -> None:
    request = _read(event)
    if request is None:
        return
    with about(request.key):
        try:
            _resume_or_answer(request, event)
        except Exception:
            if time.time() < request.given_up(_received(event)):
                raise
            logger.exception(_GIVEN_UP)


def _read(event: Any) -> Request | None:
    """The request that an invocation record is about; None where it is about none, such as one that
    was too large for its payload."""
    try:
        request = Request.parse(unwrapped(event))
        request.require_answerable(settings().limits.response_origin)
    except InvalidEvent as error:
        context = event.get("requestContext") if isinstance(event, Mapping) else None
        logger.error("An event is about no request", error=str(error), invocation=context)
        return None
    return request


def _received(event: Mapping[str, Any]) -> float:
    """When an event was received at the latest, epoch seconds: when its first record was made."""
    record = event
    while "requestPayload" in record.get("requestPayload", ()):
        record = record["requestPayload"]
    try:
        return datetime.fromisoformat(str(record.get("timestamp"))).timestamp()
    except ValueError:
        return time.time()


def _resume_or_answer(request: Request, event: Mapping[str, Any]) -> None:
    """Leave the request to its polls where they can see to it."""
    try:
        record, is_new = ledger().open(request, budget.lease())
    except (Denied, Refused) as refused:
        _answer(request, None, conceal(str(refused), request))
        return
    crashed = is_new and not _is_passing(event)
    if record.answer is None and not crashed and time.time() < record.deadline:
        _resume(record)
    else:
        _answer(record.request, record, conceal(_cause(event), request))


def _resume(record: Record) -> None:
    """Send the request's poll once more."""
    logger.warning("The polls take the request up again", begun=record.begun)
    poll = Poll(record.key, record.generation)
    poll_queue.send(settings().poll_queue_url, poll, budget.NEXT_POLL)
    ledger().carry_on(record, None, record.generation)


def _is_passing(event: Mapping[str, Any]) -> bool:
    """Whether an event was not handled because of what passes: throttling, or a fault of AWS's."""
    payload = event.get("responsePayload")
    error = payload.get("errorType") if isinstance(payload, Mapping) else None
    return _context(event).get("condition", _CRASHED) != _CRASHED or error in _PASSING


def _cause(event: Mapping[str, Any]) -> str:
    payload, context = event.get("responsePayload"), _context(event)
    if isinstance(payload, Mapping) and payload.get("errorType") in _REFUSED:
        return str(payload.get("errorMessage"))
    condition = context.get("condition", "its invocations failed")
    times = context.get("approximateInvokeCount", "several")
    return f"{condition} after {times} invocations"


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("requestContext")
    return context if isinstance(context, Mapping) else {}


def _answer(request: Request | None, record: Record | None, cause: str) -> None:
    """Answer a request with FAILED, unless the ledger has an answer.

    Args:
        request: what CloudFormation asked; None where it has been answered.
        record: what the ledger knows of it; None where the ledger can't be written to.
        cause: what went wrong, for a person.
    """
    if request is None:
        logger.info("The request of a dead letter has been answered")
        return
    logger.error("Answering a dead letter", cause=cause)
    failed = Failed(
        record.task.id if record and record.task else request.id_of_failure,
        f"The function could not carry the request out: {cause}. Its log tells why: look "
        f"for request_id {request.request_id} in the log group of the InstanceBundle function.",
    )
    if record is None:
        text = response.body(request.key, failed)
        response.deliver(request.response_url, text, settings().limits.response_origin)
    else:
        record, answer = ledger().answer(request.key, failed)
        if answer == failed:
            delivery.deliver(request, record, answer, settings())
        else:
            delivery.repeat(request, record, answer, ledger(), settings())
        ledger().delivered(request.key)
    count("DeadLettersAnswered")


def _is_past_listening(message: Mapping[str, Any]) -> bool:
    """Whether no stack waits any more for what a dead letter is about."""
    try:
        record = ledger().read(Poll.parse(message["body"]).key)
        return record is None or record.request is None or time.time() > _given_up(record)
    except Exception:  # noqa: BLE001  what the letter is about is not known: its age tells
        sent = str(message.get("attributes", {}).get("SentTimestamp", ""))
        logger.warning("It is not known who waits for a dead letter", sent=sent)
        age = time.time() - int(sent) / 1000 if sent.isdecimal() else 0
        return age > DEFAULT_COMPLETION_TIMEOUT


def _given_up(record: Record) -> float:
    """When nobody waits for a request's answer, or signal, any more; epoch seconds."""
    assert record.request is not None  # noqa: S101  the caller has looked
    return record.sent_at + record.request.timeout(accepted=record.accepted is not None).seconds
