"""The server's calls. Answers have the members that the models of AWS's APIs have, no others.

moto has some of its own in them, headers of the request, null for what there is none of, and the
content type of a page. The models are botocore's.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from moto.core.utils import get_service_model
from werkzeug import Response

from sandbox.calls.api_calls import call_name
from sandbox.faults.faulty_app import Wsgi

_BODIES: Mapping[str, frozenset[str]] = {
    "events": frozenset({"ListRules", "ListTargetsByRule"}),
    "kms": frozenset({"CreateKey", "DisableKey", "EnableKey"}),
    "lambda": frozenset(
        {
            *("CreateEventSourceMapping", "CreateFunction", "DeleteEventSourceMapping"),
            *("GetEventSourceMapping", "GetFunction", "GetFunctionConfiguration"),
            *("ListEventSourceMappings", "ListFunctions", "UpdateEventSourceMapping"),
            *("UpdateFunctionCode", "UpdateFunctionConfiguration"),
        }
    ),
}
"""The operations by service whose answers moto does not serialize by the models."""


class Tidied:
    """A WSGI application whose answers are tidied. app: what answers."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        service, _, name = (call_name(environ) or "").partition(":")
        if service == "s3" and name:
            return self._app(environ, _with_known_headers(start_response, name))
        if "HTTP_X_AMZ_TARGET" in environ:
            start_response = _with_type_of(environ, start_response)
        if name not in _BODIES.get(service, ()):
            return self._app(environ, start_response)
        answer = Response.from_app(self._app, environ, buffered=True)
        if answer.status_code < 300:
            _tidy(answer, get_service_model(service).operation_model(name))
        return answer(environ, start_response)


def _tidy(answer: Response, operation: OperationModel) -> None:
    answer.status_code = operation.http.get("responseCode", answer.status_code)
    shape = operation.output_shape
    text = answer.get_data(as_text=True)
    answer.set_data("" if shape is None else json.dumps(_known(shape, json.loads(text or "{}"))))


def _known(shape: Shape, value: Any) -> Any:
    """The value without members that the shape does not have, and without those that are null."""
    match shape, value:
        case StructureShape(), dict():
            members = {
                member.serialization.get("name", name): member
                for name, member in shape.members.items()
            }
            return {
                name: _known(members[name], each)
                for name, each in value.items()
                if name in members and each is not None
            }
        case ListShape(), list():
            return [_known(shape.member, each) for each in value]
        case MapShape(), dict():
            return {key: _known(shape.value, each) for key, each in value.items()}
    return value


def _with_type_of(environ: dict[str, Any], start_response: Any) -> Any:
    """Answers of the JSON protocol have the content type of the request
    (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html)."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        others = [each for each in headers if each[0].lower() != "content-type"]
        kind = ("Content-Type", environ.get("CONTENT_TYPE", ""))
        return start_response(status, [*others, kind], exc_info)

    return start


def _with_known_headers(start_response: Any, name: str) -> Any:
    """Without the headers of S3's that moto has of the request or of the object."""
    known, prefixes = _headers(name)

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        kept = [
            (header, value)
            for header, value in headers
            if not header.lower().startswith("x-amz-")
            or header.lower() in known
            or header.lower().startswith(prefixes)
        ]
        return start_response(status, kept, exc_info)

    return start


@functools.cache
def _headers(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The headers that an answer of S3's can have, and how the names of others begin."""
    shape = get_service_model("s3").operation_model(name).output_shape
    members = list(shape.members.items()) if isinstance(shape, StructureShape) else []
    places: dict[str, set[str]] = {"header": set(), "headers": set()}
    for member_name, member in members:
        location = member.serialization.get("location")
        if location in places:
            places[location].add(str(member.serialization.get("name", member_name)).lower())
    always = {"x-amz-bucket-region", "x-amz-id-2", "x-amz-request-id"}
    return frozenset(places["header"] | always), tuple(places["headers"])
