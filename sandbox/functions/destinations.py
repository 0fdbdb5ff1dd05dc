"""Where Lambda reports asynchronous invocations that failed: on-failure destinations.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend
from moto.sqs.exceptions import SQSException
from moto.sqs.models import sqs_backends

from sandbox.functions.runtime import InvokeResult

logger = logging.getLogger("sandbox")


@dataclass(frozen=True, slots=True)
class Failure:
    """An asynchronous invocation that Lambda has given up.

    Attributes:
        payload: the event, as JSON.
        condition: `RetriesExhausted` or `EventAgeExceeded`.
        attempts: how often the function was invoked.
        result: what came of the last attempt; None if there was none.
        moment: epoch seconds.
    """

    request_id: str
    function_arn: str
    version: str
    payload: bytes
    condition: str
    attempts: int
    result: InvokeResult | None
    moment: float

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


Invoke = Callable[[LambdaFunction, bytes], Any]
"""Invokes a function asynchronously with a payload, which is JSON."""


def deliver(failure: Failure, destination: str, invoke: Invoke) -> str | None:
    """Hand a failure's record to a destination.

    Args:
        destination: the ARN of a queue or a function.
        invoke: what a destination function is invoked with.

    Returns:
        The action that the role of the failed function has to allow for it, such as
        `sqs:SendMessage`; None if the record was not delivered.
    """
    _, _, service, region, account, name = destination.split(":", 5)
    record = json.dumps(failure.record())
    try:
        match service:
            case "sqs":
                sqs_backends[account][region].send_message(name, record)
                return "sqs:SendMessage"
            case "lambda":
                invoke(get_backend(account, region).get_function(destination), record.encode())
                return "lambda:InvokeFunction"
    except (LambdaClientError, SQSException):
        logger.exception("destination %s could not be reached", destination)
        return None
    logger.warning("destination %s is not supported: it is no queue or function", destination)
    return None


def _qualified(arn: str, version: str) -> str:
    suffix = f":{version}"
    return arn if arn.endswith(suffix) else arn + suffix


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
