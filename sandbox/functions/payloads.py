"""The payload of a function: JSON, and no larger than it may be.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import json

from moto.awslambda.exceptions import LambdaClientError

SYNC_BYTES = 6 * 1024 * 1024
"""Of a request that waits for its answer, a batch of an event source mapping among them."""
ASYNC_BYTES = 1024 * 1024
"""Of an event."""
ANSWER_BYTES = SYNC_BYTES + 100
"""Of what a handler returns, as the error for more says
(https://github.com/aws/aws-lambda-dotnet/issues/1815)."""


class RequestEntityTooLargeException(LambdaClientError):
    """A payload is larger than it may be."""

    code = 413

    def __init__(self, message: str) -> None:
        super().__init__("RequestEntityTooLargeException", message)


def require_sync_size(payload: bytes) -> None:
    """Refuse a request that is too large, in the words that Lambda was seen to use."""
    if len(payload) > SYNC_BYTES:
        raise RequestEntityTooLargeException(
            f"Request must be smaller than {SYNC_BYTES} bytes for the InvokeFunction operation"
        )


def require_async_size(payload: bytes) -> None:
    """Refuse an event that is too large, in the words that Lambda was seen to use."""
    if len(payload) > ASYNC_BYTES:
        raise RequestEntityTooLargeException(
            f"{len(payload)} byte payload is too large for the Event invocation type "
            f"(limit {ASYNC_BYTES} bytes)"
        )


def json_payload(body: str | bytes) -> bytes:
    """A payload as bytes of JSON; an empty one is an empty object.

    Raises AWS's InvalidRequestContentException for what is no JSON.
    """
    payload = body.encode() if isinstance(body, str) else body
    try:
        json.loads(payload or b"{}")
    except ValueError as problem:
        raise LambdaClientError(
            "InvalidRequestContentException", f"Could not parse request body into json: {problem}"
        ) from problem
    return payload or b"{}"
