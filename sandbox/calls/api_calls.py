"""AWS's API calls as HTTP requests: what a request calls, and how its service answers an error."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote_plus
from xml.sax.saxutils import escape

from werkzeug import Response
from werkzeug.wsgi import get_input_stream

from sandbox.calls import lambda_calls
from sandbox.cloudformation.custom_resources import RESPONSE_PATH
from sandbox.cloudformation.signals import SIGNAL_PATH

RESPONSE_PUT = "response:Put"
"""The PUT of a custom resource's answer to its ResponseURL."""

SIGNAL_PUT = "signal:Put"
"""The PUT of a signal to a wait condition handle's URL."""

_PRESIGNED_PUTS = {RESPONSE_PATH: RESPONSE_PUT, SIGNAL_PATH: SIGNAL_PUT}

_CREDENTIAL_SCOPE = re.compile(
    r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)

_S3_SERVICE = {"GET": "ListBuckets"}
_S3_BUCKET = {
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    "PUT": "CreateBucket",
    "DELETE": "DeleteBucket",
}
_S3_OBJECT = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}
# Each of these in the query makes another call of it; other subresources have no name here.
_S3_BUCKET_SUBRESOURCES = {
    ("POST", "delete"): "DeleteObjects",
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "notification"): "GetBucketNotificationConfiguration",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("GET", "object-lock"): "GetObjectLockConfiguration",
    ("PUT", "object-lock"): "PutObjectLockConfiguration",
}
_S3_OBJECT_SUBRESOURCES = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("GET", "uploadId"): "ListParts",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "retention"): "GetObjectRetention",
    ("PUT", "retention"): "PutObjectRetention",
    ("GET", "legal-hold"): "GetObjectLegalHold",
    ("PUT", "legal-hold"): "PutObjectLegalHold",
}
_S3_OPTIONS = {
    *("continuation-token", "delimiter", "encoding-type", "fetch-owner", "marker", "max-keys"),
    *("partNumber", "prefix", "start-after", "versionId", "x-id"),
}

_Errors = Mapping[str, tuple[int, str]]
"""HTTP status and AWS's code of each kind of error."""

_ERRORS: Mapping[str, _Errors] = {
    "ec2": {
        "fail": (500, "InternalError"),
        "throttle": (503, "RequestLimitExceeded"),
        "deny": (403, "UnauthorizedOperation"),
    },
    "s3": {
        "fail": (500, "InternalError"),
        "throttle": (503, "SlowDown"),
        "deny": (403, "AccessDenied"),
    },
    "dynamodb": {
        "fail": (500, "InternalServerError"),
        "throttle": (400, "ThrottlingException"),
        "deny": (400, "AccessDeniedException"),
    },
    "sqs": {
        "fail": (500, "InternalFailure"),
        "throttle": (400, "RequestThrottled"),
        "deny": (403, "AccessDenied"),
    },
}
_OTHER_JSON_ERRORS: _Errors = {
    "fail": (500, "InternalFailure"),
    "throttle": (400, "ThrottlingException"),
    "deny": (400, "AccessDeniedException"),
}
_OTHER_QUERY_ERRORS: _Errors = {
    "fail": (500, "InternalFailure"),
    "throttle": (400, "Throttling"),
    "deny": (403, "AccessDenied"),
}
_MESSAGES = {
    "fail": "We encountered an internal error. Please try again.",
    "throttle": "Rate exceeded. Please reduce your request rate.",
    "deny": "You are not authorized to perform this operation.",
}
_REST_SERVICES = ("lambda", "rbin", "serverlessrepo")
_ID_HEADERS: Mapping[str, tuple[str, ...]] = {"s3": ("x-amz-request-id", "x-amz-id-2")}
_REQUEST_ID = "5a4db0f0-0000-4000-8000-000000000000"


def call_name(environ: dict[str, Any]) -> str | None:
    """What a request (a WSGI environ) calls, as `service:Action`; None if that is not known.

    A body that had to be read is put back.
    """
    for path, name in _PRESIGNED_PUTS.items():
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].startswith(path):
            return name
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        return None
    service = scope["service"]
    read = {"s3": _s3_action, "lambda": lambda_calls.action_of}.get(service, _action)
    action = read(environ)
    return f"{service}:{action}" if action else None


def region_of(environ: dict[str, Any]) -> str:
    """The Region that a call is signed for, which `call_name` gave a name of a service."""
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["region"] if scope else ""


def service_of(environ: dict[str, Any]) -> str:
    """The service that a call is signed for, by the name that signatures have; empty if it is not
    signed."""
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["service"] if scope else ""


def access_key_of(environ: dict[str, Any]) -> str:
    """The ID of the access key that a call is signed with; empty if it is not signed."""
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return scope["key"] if scope else ""


def call_text(environ: dict[str, Any], name: str) -> str:
    """What a request holds: its path and query, and its body unless it is an object of S3's.

    name: what `call_name` said of the request.
    """
    place = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
    if name.startswith("s3:"):
        return place
    return f"{place}\n{unquote_plus(read_body(environ).decode(errors='replace'))}"


@dataclass(frozen=True, slots=True)
class ServiceError:
    """An error that a service answers. status: HTTP's. code: AWS's. message: for people."""

    status: int
    code: str
    message: str


def usual_error(environ: dict[str, Any], name: str, kind: str) -> ServiceError:
    """The called service's own error of a kind: `fail`, `throttle` or `deny`.

    name: what `call_name` said of the request.
    """
    others = _OTHER_JSON_ERRORS if "HTTP_X_AMZ_TARGET" in environ else _OTHER_QUERY_ERRORS
    status, code = _ERRORS.get(_service(name), others)[kind]
    return ServiceError(status, code, _MESSAGES[kind])


def error_answer(environ: dict[str, Any], name: str, error: ServiceError) -> Response:
    """An error as the called service writes it.

    name: what `call_name` said of the request.
    """
    answer = _error_answer(environ, _service(name), error)
    answer.headers.extend(_request_ids([*answer.headers], _service(name)))
    return answer


def with_request_id(headers: list[tuple[str, str]], service: str) -> list[tuple[str, str]]:
    """The headers of an answer, with the request's ID.

    "Every request" to S3 has one in x-amz-request-id, next to x-amz-id-2 (Amazon S3 User Guide,
    Getting Amazon S3 request IDs for AWS Support); other services have x-amzn-RequestId.
    """
    return [*headers, *_request_ids(headers, service)]


def _request_ids(headers: list[tuple[str, str]], service: str) -> Iterator[tuple[str, str]]:
    given = {name.lower(): value for name, value in headers}
    request_id = given.get("x-amzn-requestid", _REQUEST_ID)
    for name in _ID_HEADERS.get(service, ("x-amzn-RequestId",)):
        if name.lower() not in given:
            yield name, request_id


def _error_answer(environ: dict[str, Any], service: str, error: ServiceError) -> Response:
    is_json = environ.get("CONTENT_TYPE", "").startswith("application/x-amz-json")
    if is_json or "HTTP_X_AMZ_TARGET" in environ:
        return _json_error(environ, error)
    if service in _REST_SERVICES:
        return _rest_error(service, error)
    if environ["REQUEST_METHOD"] == "HEAD":
        return Response(status=error.status)
    return _xml_error(service, error)


def read_body(environ: dict[str, Any]) -> bytes:
    """The body of a request, which is put back."""
    body = get_input_stream(environ).read()
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _service(name: str) -> str:
    return "s3" if name in _PRESIGNED_PUTS.values() else name.partition(":")[0]


def _xml_error(service: str, refused: ServiceError) -> Response:
    status = refused.status
    error = f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
    match service:
        case "ec2":
            body = (
                f"<Response><Errors><Error>{error}</Error></Errors>"
                f"<RequestID>{_REQUEST_ID}</RequestID></Response>"
            )
        case "s3":
            body = f"<Error>{error}<RequestId>{_REQUEST_ID}</RequestId></Error>"
        case _:
            body = (
                f"<ErrorResponse><Error><Type>{_blamed(status)}</Type>{error}</Error>"
                f"<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>"
            )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Response(text, status=status, content_type="text/xml;charset=UTF-8")


def _action(environ: dict[str, Any]) -> str | None:
    target: str | None = environ.get("HTTP_X_AMZ_TARGET")
    if target is not None:
        return target.rpartition(".")[2]
    parameters = parse_qs(environ.get("QUERY_STRING", ""))
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        parameters |= parse_qs(read_body(environ).decode(errors="replace"))
    [action] = parameters.get("Action", [""])[:1]
    return action or None


def _s3_action(environ: dict[str, Any]) -> str | None:
    method = environ["REQUEST_METHOD"]
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).keys()
    subresources = _S3_OBJECT_SUBRESOURCES if key else _S3_BUCKET_SUBRESOURCES
    for (its_method, subresource), name in subresources.items():
        if method == its_method and subresource in query:
            return name
    if query - _S3_OPTIONS:
        return None
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    plain = _S3_OBJECT if key else _S3_BUCKET if bucket else _S3_SERVICE
    return plain.get(method)


def _json_error(environ: dict[str, Any], error: ServiceError) -> Response:
    namespace = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[0]
    body = {"__type": f"{namespace}#{error.code}", "message": error.message}
    answer = Response(
        json.dumps(body), status=error.status, content_type="application/x-amz-json-1.0"
    )
    if namespace == "AmazonSQS":  # it had the query protocol before, and SDKs go by its codes
        answer.headers["x-amzn-query-error"] = f"{error.code};{_blamed(error.status)}"
    return answer


def _rest_error(service: str, error: ServiceError) -> Response:
    body = {
        "lambda": {"Type": "User", "Message": error.message},
        "rbin": {"Message": error.message},
        "serverlessrepo": {"errorCode": error.code, "message": error.message},
    }[service]
    answer = Response(json.dumps(body), status=error.status, content_type="application/json")
    answer.headers["x-amzn-ErrorType"] = error.code
    return answer


def _blamed(status: int) -> str:
    return "Receiver" if status >= 500 else "Sender"
