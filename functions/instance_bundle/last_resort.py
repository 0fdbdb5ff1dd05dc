"""The failure handler: it answers FAILED if the function keeps crashing, so that no stack waits.

It handles two kinds of dead letters. Polls that were received too often come from the dead-letter
queue. Events that the function did not handle come from Lambda, in the `requestPayload` of an
invocation record: events have a ResponseURL, and so go through no queue. A request that was only
throttled, or met a passing fault, is resumed if its deadline is not over. If all retries of an
event fail in this function too, Lambda passes it back to the other function, and so on until one of
them answers. This module imports as little of the package as it can.
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
from instance_bundle.lifecycle import id_of_failure
from instance_bundle.request import (
    DEFAULT_COMPLETION_TIMEOUT,
    RefusedRequest,
    Request,
    conceal,
    receive,
)
from instance_bundle.responses import delivery, response
from instance_bundle.settings import settings
from instance_bundle.state import Failed, Ledger, Poll, Record, poll_queue
from instance_bundle.telemetry import about, count, logger, measure, metrics

CRASHES = 3
"""Invocations that began with a request and did not end, after which it is answered FAILED: as many
as the poll queue's maxReceiveCount."""

_PASSING = {fault.__name__ for fault in (PassingFault, NothingDone, Throttled)}
_REFUSED = {Refused.__name__, Doubtful.__name__}
_CRASHED = "RetriesExhausted"
"""Lambda's condition if each invocation failed (AWS Lambda Developer Guide, Capturing records of
Lambda asynchronous invocations). The guide names no other condition; an event that was throttled
until it was too old, or that met a reserved concurrency of 0, has another one."""
_TIMED_OUT = "CloudFormation no longer waits for this answer; it is not retried"


@cache
def ledger() -> Ledger:
    """The ledger of the application."""
    return Ledger(settings().ledger_table, settings().request_table)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any] | None:
    """Answer an event, or each dead letter of a batch; those that fail come again.

    Raises:
        Exception: an event could not be answered yet; Lambda retries the invocation.
    """
    with budget.invocation(context.get_remaining_time_in_millis):
        if isinstance(event, Mapping) and isinstance(event.get("Records"), list):
            arn = context.invoked_function_arn
            left = [message for message in event["Records"] if not _is_dealt_with(message, arn)]
            return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in left]}
        _answer_event(event, context.invoked_function_arn)
        return None


def _is_dealt_with(message: Mapping[str, Any], function_arn: str) -> bool:
    """Whether a message of the batch is answered, resumed or dropped.

    An exception concerns only this message.
    """
    if budget.left() < budget.WORK:
        return False
    try:
        _deal_with(message.get("body", ""), function_arn)
    except Exception:  # noqa: BLE001  the other dead letters must be answered
        if _nobody_waits(message):
            logger.exception(_TIMED_OUT)
            return True
        logger.exception("A dead letter could not be answered; it comes again")
        return False
    return True


def _deal_with(body: Any, function_arn: str) -> None:
    """Resume the request that a message is about, or answer it.

    An invocation record can be a message too: an earlier version had a queue for them.
    """
    try:
        event = json.loads(body)
        if isinstance(event, Mapping) and "requestPayload" in event:
            _answer_event(event, function_arn)
        else:
            poll = Poll.parse(body)
            with about(poll.key):
                _deal_with_poll(poll)
    except (InvalidEvent, ValueError, RecursionError) as error:
        logger.error("A dead letter is about no request", error=str(error))
    except Stale:
        logger.info("The request of a dead letter has continued")


def _deal_with_poll(poll: Poll) -> None:
    found = ledger().read(poll.key)
    if found is None or not found.undelivered:
        raise Stale("its request has been answered")
    try:
        record = ledger().take_over(poll.key, poll.generation, budget.lease())
    except Refused as refused:
        _answer_unstored(found, refused)
        return
    if record.answer is None and record.begun < CRASHES and time.time() < record.deadline:
        _resume(record)
    elif record.begun < CRASHES:
        _answer(record.request, record, "its polls did not run in time")
    else:
        _answer(record.request, record, "its polls kept failing")


def _answer_unstored(record: Record, refused: Refused) -> None:
    """Answer a request that can be read from the ledger, but not written."""
    if record.answer is None:
        request = ledger().texts.of(record)
        _answer(request, None, conceal(str(refused), request))


def _answer_event(event: Any, function_arn: str) -> None:
    request = _read(event, function_arn)
    if request is None:
        return
    with about(request.key):
        try:
            if isinstance(request, RefusedRequest):
                delivery.refuse(request, settings())
            else:
                _resume_or_answer(request, event)
        except Exception:
            if time.time() < request.times_out_at(_received(event)):
                raise
            logger.exception(_TIMED_OUT)


def _read(event: Any, function_arn: str) -> Request | RefusedRequest | None:
    """The request that an invocation record is about; None if it has none, for example because the
    event was too large for the record."""
    try:
        return receive(event, function_arn, settings())
    except InvalidEvent as error:
        context = event.get("requestContext") if isinstance(event, Mapping) else None
        logger.error("An event is about no request", error=str(error), invocation=context)
        return None


def _received(event: Mapping[str, Any]) -> float:
    """The latest time when an event was received: that of its first record, epoch seconds."""
    record = event
    while "requestPayload" in record.get("requestPayload", ()):
        record = record["requestPayload"]
    try:
        return datetime.fromisoformat(str(record.get("timestamp"))).timestamp()
    except ValueError:
        return time.time()


def _resume_or_answer(request: Request, event: Mapping[str, Any]) -> None:
    """Resume the request by a poll, unless it crashed or its deadline is over; then answer it."""
    try:
        record, is_new = ledger().receive(request, budget.lease())
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
    logger.warning("The request is resumed by its polls", begun=record.begun)
    poll = Poll(record.key, record.generation)
    poll_queue.send(settings().poll_queue_url, poll, budget.NEXT_POLL)
    ledger().save_progress(record, None, record.generation)


def _is_passing(event: Mapping[str, Any]) -> bool:
    """Whether an event was not handled because of throttling, or of a transient error of AWS."""
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
    """Answer a request with FAILED, unless the ledger has another answer.

    Args:
        request: the request; None if it has been answered.
        record: its record; None if the ledger can't be written.
        cause: what went wrong, for a person.
    """
    if request is None:
        logger.info("The request of a dead letter has been answered")
        return
    logger.error("Answering a dead letter", cause=cause)
    failed = Failed(
        id_of_failure(record) if record else request.id_of_failure,
        f"The function did not complete the request: {cause}. For details, search the log group "
        f"of the InstanceBundle function for request_id {request.request_id}.",
    )
    if record is None:
        text = response.body(request.key, failed)
        response.deliver(request.response_url, text, settings().limits.response_origin)
    else:
        is_first = record.answer is None
        record, answer = ledger().store_answer(record, failed)
        if is_first:
            measure("TimeToAnswer", time.time() - record.first_receipt)
        if answer == failed:
            delivery.deliver(request, record, answer, settings())
        else:
            delivery.repeat(request, record, answer, ledger(), settings())
        ledger().delivered(request.key)
    count("DeadLettersAnswered")


def _nobody_waits(message: Mapping[str, Any]) -> bool:
    """Whether the request of a dead letter has timed out."""
    try:
        record = ledger().read(Poll.parse(message["body"]).key)
        return record is None or not record.undelivered or time.time() > _times_out_at(record)
    except Stale:
        return True
    except Exception:  # noqa: BLE001  its request is not known: the dead letter's age decides
        sent = str(message.get("attributes", {}).get("SentTimestamp", ""))
        logger.warning("The request of a dead letter could not be read", sent=sent)
        age = time.time() - int(sent) / 1000 if sent.isdecimal() else 0
        return age > DEFAULT_COMPLETION_TIMEOUT


def _times_out_at(record: Record) -> float:
    """When CloudFormation, or the handle's condition, stops waiting; epoch seconds."""
    request = ledger().texts.of(record)
    return record.sent_at + request.timeout(accepted=record.acceptance is not None).seconds
