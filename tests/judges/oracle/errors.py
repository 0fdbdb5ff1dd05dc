"""What the models, and the protocols, say of errors."""

import json
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from botocore.model import OperationModel, StructureShape

from . import json_members

COMMON = {
    *("AccessDenied", "AccessDeniedException", "IncompleteSignature", "InternalError"),
    *("InternalFailure", "InternalServerError", "InvalidAction", "MalformedInput"),
    *("MissingAction", "MissingAuthenticationToken", "MissingParameter", "SerializationException"),
    *("Throttling", "ThrottlingException", "UnknownOperationException", "ValidationError"),
    *("ValidationException", "InvalidParameterValue", "RequestThrottled"),
}
"""Errors that any operation may answer (such as CloudFormation API Reference, Common Errors); the
models do not have them."""


def without_id(protocol: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Whether the request's ID is missing from the headers of an answer."""
    names = ("x-amz-request-id", "x-amz-id-2") if protocol == "rest-xml" else ("x-amzn-requestid",)
    yield from (f"the header {name}: is missing" for name in names if not headers.get(name))


def problems(
    operation: OperationModel, status: int, headers: Mapping[str, str], body: bytes
) -> Iterator[str]:
    """What in an error is not as AWS writes it."""
    protocol = operation.service_model.resolved_protocol
    if "html" in headers.get("content-type", ""):
        yield "an error is a page of HTML"
        return
    try:
        if protocol in ("json", "rest-json"):
            yield from _of_json(operation, status, headers, body)
        else:
            yield from _of_xml(protocol, operation, status, body)
    except (ET.ParseError, ValueError) as error:
        yield f"an error can't be read ({error}): {body[:80]!r}"


_PLACES = {
    "ec2": ("Response", "{*}Errors/{*}Error", "{*}RequestID"),
    "query": ("ErrorResponse", "{*}Error", "{*}RequestId"),
    "rest-xml": ("Error", ".", "{*}RequestId"),
}


def _of_xml(protocol: str, operation: OperationModel, status: int, body: bytes) -> Iterator[str]:
    name, place, id_place = _PLACES[protocol]
    root = ET.fromstring(body)  # noqa: S314  the sandbox's own
    error = root.find(place)
    if root.tag.rpartition("}")[2] != name or error is None:
        yield f"an error begins {body[:80]!r}"
        return
    if root.find(id_place) is None:
        yield f"an error has no {id_place}"
    code = error.findtext("{*}Code")
    if not code or error.find("{*}Message") is None:
        yield f"an error has no Code or Message: {body[:200]!r}"
        return
    if protocol == "query":
        yield from _of_code(operation, code, status)
        blamed = error.findtext("{*}Type")
        if blamed != ("Receiver" if status >= 500 else "Sender"):
            yield f"an error has the Type {blamed}"


def _of_json(
    operation: OperationModel, status: int, headers: Mapping[str, str], body: bytes
) -> Iterator[str]:
    value = json.loads(body)
    code = headers.get("x-amzn-errortype") or value.get("__type", "")
    code = code.rpartition("#")[2].partition(":")[0]
    if not code:
        yield f"an error has no code: {value}"
        return
    query = headers.get("x-amzn-query-error", "").partition(";")[0]
    yield from _of_code(operation, code, status, query)
    shape = _shape(operation, code)
    if shape is None:
        if not isinstance(value.get("message", value.get("Message")), str):
            yield f"an error has no message: {value}"
        return
    members = {
        name: each
        for name, each in value.items()
        if name != "__type" and (name in shape.members or name.lower() != "message")
    }
    yield from (f"{code}{problem}" for problem in json_members.problems(shape, members))


def _of_code(
    operation: OperationModel, code: str, status: int, query_code: str = ""
) -> Iterator[str]:
    shape = _shape(operation, code)
    if shape is None:
        if {code, query_code}.isdisjoint(COMMON):
            yield f"{code} is no error of {operation.name}"
        return
    expected = shape.metadata.get("error", {}).get("httpStatusCode")
    if expected and expected != status:
        yield f"{code} has the status {status}, not {expected}"


def _shape(operation: OperationModel, code: str) -> StructureShape | None:
    for shape in operation.error_shapes:
        if isinstance(shape, StructureShape) and code in (shape.name, shape.error_code):
            return shape
    return None
