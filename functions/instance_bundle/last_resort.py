"""The last resort: FAILED for what kept crashing the function, so that no stack waits for nothing.

It reads the dead-letter queue, where two kinds of letters arrive: polls that were received too
often, and events whose invocation crashed to the end (an on-failure record, the event in its
`requestPayload`). It imports as little of the package as it can.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import response
from instance_bundle.errors import InstanceBundleError, InvalidEvent
from instance_bundle.ledger import Ledger, Record
from instance_bundle.outcome import Failed
from instance_bundle.poll_queue import Poll
from instance_bundle.request import Request
from instance_bundle.settings import settings
from instance_bundle.telemetry import about, count, logger, metrics


@cache
def ledger() -> Ledger:
    """The ledger that the function keeps."""
    return Ledger(settings().ledger_table)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Answer each dead letter of the batch; report those that could not be, to come again."""
    failures = []
    for message in event["Records"]:
        try:
            answer_letter(message["body"])
        except InstanceBundleError:
            logger.exception("A dead letter could not be answered; it comes again")
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def answer_letter(body: str) -> None:
    """Answer what one dead letter is about, with the answer that stands or with FAILED.

    Raises:
        PassingFault: to be tried again.
        Denied: likewise, once the permission is there.
    """
    try:
        letter = _read(body)
    except InvalidEvent as error:
        logger.error("A dead letter is about no request", error=str(error))
        return
    if letter is None:
        logger.info("The request of a dead letter has been answered")
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
        record: what the ledger knows of it; None where the function never came so far.
        cause: what went wrong, for a person.
    """

    request: Request
    record: Record | None
    cause: str


def _read(body: str) -> Letter | None:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise InvalidEvent("The letter is no JSON") from error
    if isinstance(content, dict) and "requestPayload" in content:
        request = Request.parse(content["requestPayload"])
        record = ledger().read(request.key)
        waiting = record.request if record else request
        cause = _cause(content)
    else:
        record = ledger().read(Poll.parse(body).key)
        if record is None:
            raise InvalidEvent("The ledger knows no such request")
        waiting = record.request
        cause = "its polls kept failing"
    return Letter(waiting, record, cause) if waiting else None


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
    answer = ledger().answer(request.key, failed) if record else failed
    text = response.body(request.key, answer)
    response.deliver(request.response_url, text, settings().response_origin)
    if record:
        ledger().delivered(request.key)
