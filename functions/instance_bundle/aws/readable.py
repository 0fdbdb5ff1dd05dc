"""Checks that an answer of AWS has the form that the protocol prescribes; an empty answer or a
proxy's page does not.

botocore reads an empty answer to a JSON or S3 call as one with no item, no object and no failure.
Its parsers find all other errors (`botocore.parsers.ResponseParserError`).
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from instance_bundle.errors import PassingFault

if TYPE_CHECKING:
    from botocore.model import OperationModel

_ROOT = re.compile(rb"\s*(?:<\?[^>]*\?>\s*)?<(?:\w+:)?(\w+)")


def require_readable(
    operation_model: "OperationModel", response_dict: Mapping[str, Any], **_: Any
) -> None:
    """Check that an answer can be read; for botocore's event `before-parse`.

    Args:
        operation_model: of the call.
        response_dict: `status_code`, `headers` and `body` of the answer.

    Raises:
        PassingFault: it can't; the call may have had its effect.
    """
    if response_dict["status_code"] < 300 and not _is_readable(operation_model, response_dict):
        service = operation_model.service_model.service_name
        raise PassingFault(f"{service}:{operation_model.name}: the answer can't be read")


def _is_readable(operation: "OperationModel", response: Mapping[str, Any]) -> bool:
    members = operation.output_shape.members if operation.output_shape else {}
    if "ETag" in members and "etag" not in response["headers"]:
        return False
    protocol = operation.service_model.resolved_protocol
    # Some answers have headers only, and the body of others is an object's content.
    has_members_in_body = not operation.has_streaming_output and any(
        "location" not in member.serialization for member in members.values()
    )
    if protocol == "ec2" or has_members_in_body:
        return _READERS[protocol](response["body"], operation.name)
    return True


def _is_json_object(body: bytes, _: str) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def _is_named_after_the_action(body: bytes, operation: str) -> bool:
    """EC2 and CloudFormation name the root after the action (EC2 API Reference; CloudFormation API
    Reference)."""
    return _root(body) == f"{operation}Response"


def _is_s3s(body: bytes, _: str) -> bool:
    """S3's documents are `ListBucketResult`, `DeleteResult`, … (Amazon S3 API Reference), never a
    proxy's HTML page."""
    return _root(body).lower() not in ("", "html")


def _root(body: bytes) -> str:
    found = _ROOT.match(body)
    return found[1].decode() if found else ""


_READERS = {
    "json": _is_json_object,
    "ec2": _is_named_after_the_action,
    "query": _is_named_after_the_action,
    "rest-xml": _is_s3s,
}
