"""Where Lambda reports asynchronous invocations that failed: on-failure destinations.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.sqs.exceptions import SQSException
from moto.sqs.models import sqs_backends

from sandbox.functions import trace_headers
from sandbox.functions.lineage import Lineage
from sandbox.functions.runtime_api import InvokeResult

logger = logging.getLogger("sandbox")

Condition = Literal[
    "EventAgeExceeded", "RecursiveInvocation", "RetriesExhausted", "ZeroReservedConcurrency"
]
"""Why an event was discarded. AWS documents none but `RetriesExhausted`, in an example;
`RecursiveInvocation` is assumed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An asynchronous invocation that Lambda has discarded.

    Attributes:
        payload: the event, as JSON.
        attempts: how often the function was invoked.
        result: the result of the last attempt; None if there was none.
        moment: epoch seconds.
        chain: the chain of requests that the record goes on with.
    """

    request_id: str
    function_arn: str
    version: str
    payload: bytes
    condition: Condition
    attempts: int
    result: InvokeResult | None
    moment: float
    chain: Lineage

    def record(self) -> dict[str, Any]:
        """The invocation record that a destination receives."""
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": _timestamp(self.moment),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": _qualified(self.function_arn, self.version),
                "condition": self.condition,
                "approximateInvokeCount": self.attempts,
            },
            "requestPayload": json.loads(self.payload),
        }
        if self.result is not None:
            record["responseContext"] = {
                "statusCode": 200,
                "executedVersion": self.version,
                "functionError": self.result.error,
            }
            record["responsePayload"] = json.loads(self.result.payload)
        return record


class Send(Protocol):
    """Invokes a function asynchronously with a payload, which is JSON."""

    def __call__(
        self, function: LambdaFunction, payload: bytes, chain: Lineage, *, of_stopped: bool
    ) -> Any: ...


def call_to(destination: str) -> tuple[str | None, dict[str, str]]:
    """The call by which Lambda hands a record to a destination, as `service:Action`, and what says
    in its request where that is; None for one that is no queue or function."""
    _, _, service, _, _, name = destination.split(":", 5)
    match service:
        case "sqs":
            return "sqs:SendMessage", {"QueueUrl": name}
        case "lambda":
            return "lambda:InvokeFunction", {"FunctionName": destination}
    logger.warning("destination %s is not supported: it is no queue or function", destination)
    return None, {}


def deliver(failure: Failure, destination: str, send: Send) -> bool:
    """Hand a failure's record to a destination.

    Args:
        destination: the ARN of a queue or a function.
        send: what a destination function is invoked with.

    Returns:
        Whether the record was delivered; it is not if it is too large, for example.
    """
    _, _, service, region, account, name = destination.split(":", 5)
    record = json.dumps(failure.record())
    try:
        match service:
            case "sqs":
                sqs_backends[account][region].send_message(
                    name,
                    record,
                    system_attributes=trace_headers.system_attributes(failure.chain.header()),
                )
                return True
            case "lambda":
                send(
                    get_backend(account, region).get_function(destination),
                    record.encode(),
                    failure.chain,
                    of_stopped=failure.condition == "RecursiveInvocation",
                )
                return True
    except (LambdaClientError, SQSException):
        logger.exception("destination %s could not be reached", destination)
    return False


def _qualified(arn: str, version: str) -> str:
    suffix = f":{version}"
    return arn if arn.endswith(suffix) else arn + suffix


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
