"""The response to CloudFormation: its text, and the PUT to a pre-signed URL."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import urllib3

from instance_bundle import budget
from instance_bundle.errors import PassingFault
from instance_bundle.request import RequestKey, may_be_answered
from instance_bundle.state import Answer, Done

LIMIT = 4096
"""Most bytes of a response to CloudFormation (CloudFormation User Guide, Custom resources)."""

_logger = logging.getLogger("instance-bundle")
_TIMEOUT = urllib3.Timeout(connect=budget.CONNECT, read=budget.READ)
_FORBIDDEN = 403
"""The URL has expired, or its signature is wrong (Amazon S3 API Reference, Error responses); a
retry does not help."""


def body(key: RequestKey, answer: Answer) -> bytes:
    """The response's text, at most 4,096 bytes; a Reason that is too long is truncated."""
    response: dict[str, Any] = {
        "Status": "SUCCESS" if isinstance(answer, Done) else "FAILED",
        "PhysicalResourceId": answer.physical_id,
        "StackId": key.stack_id,
        "RequestId": key.request_id,
        "LogicalResourceId": key.logical_id,
    }
    if isinstance(answer, Done):
        return _encode({**response, "Data": dict(answer.attributes)})
    return fitted({**response, "Reason": answer.reason})


def fitted(document: Mapping[str, str]) -> bytes:
    """A document as text of at most 4,096 bytes; a Reason that is too long is truncated."""
    reason = document["Reason"]
    text = _encode(document)
    while len(text) > LIMIT and reason:
        reason = reason[: -max(1, (len(text) - LIMIT) // 6)]
        text = _encode({**document, "Reason": f"{reason}…"})
    return text


def deliver(url: str, text: bytes, allowed_origin: str | None) -> None:
    """PUT a response, or a signal, to a pre-signed URL, without redirects and without a proxy.

    A URL that S3 forbids, or that may not be answered, is only logged: a retry does not help. Other
    errors of S3 may be transient, such as 400 RequestTimeout.

    Args:
        url: a ResponseURL, or that of a wait condition handle.
        text: the response's or signal's text.
        allowed_origin: `scheme://host:port` that may be answered in addition to CloudFormation's
            buckets, or None.

    Raises:
        PassingFault: no attempt succeeded; a retry may help later.
    """
    if not may_be_answered(url, allowed_origin):
        _logger.error("The URL is not one of CloudFormation's; nothing is sent there")
        return
    problem = ""
    for _ in budget.attempts("The response"):
        try:
            status = _put(url, text)
        except urllib3.exceptions.HTTPError as error:
            problem = type(error).__name__
            continue
        if status < 300:
            return
        if status == _FORBIDDEN:
            _logger.error("CloudFormation's bucket refused the response with status 403")
            return
        problem = f"status {status}"
    raise PassingFault(f"The response did not arrive: {problem}")


def _put(url: str, text: bytes) -> int:
    """PUT once; returns the HTTP status."""
    with urllib3.PoolManager(retries=False, timeout=_TIMEOUT) as http:
        # The URL is signed for a request without a content type.
        headers = {"Content-Type": ""}
        return http.request("PUT", url, body=text, headers=headers, redirect=False).status


def _encode(response: Mapping[str, Any]) -> bytes:
    return json.dumps(response, ensure_ascii=False).encode("utf-8", "backslashreplace")
