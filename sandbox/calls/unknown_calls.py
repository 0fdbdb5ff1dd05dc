"""The server's calls; what no service of AWS's would carry out gets an error of that service's, in
the protocol of the request, and never a page of HTML.

What a request has to have is known of its service's model (`request_members`). What moto lacks is
answered as what AWS lacks.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from botocore.model import OperationModel, ServiceModel
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import (
    UNSIGNED_ACTIONS,
    UNSIGNED_REQUESTS,
    DomainDispatcherApplication,
)

from sandbox.calls import request_members
from sandbox.calls.api_calls import (
    ServiceError,
    call_name,
    error_answer,
    read_body,
    service_of,
    usual_error,
    with_request_id,
)
from sandbox.calls.lambda_calls import pattern
from sandbox.calls.request_members import Problem
from sandbox.faults.faulty_app import Wsgi

_FORM = "application/x-www-form-urlencoded"

_MODELS: Mapping[str, str] = {
    name: name
    for name in (
        *("cloudformation", "dynamodb", "ec2", "events", "iam", "kms", "lambda", "logs", "rbin"),
        *("secretsmanager", "serverlessrepo", "sns", "sqs", "ssm", "sts"),
    )
} | {"monitoring": "cloudwatch"}
"""The models of the services whose requests are checked, by the name that signatures have."""

_BY_FORM = ("cloudformation", "ec2", "iam", "sns", "sts")
"""The services that have the query protocol, or EC2's form of it, and no other."""

_MALFORMED_XML = ServiceError(400, "MalformedXML", "The XML you provided was not well-formed.")

_logger = logging.getLogger("sandbox")


class UnknownService(NotImplementedError):
    """A call of a service that is not here."""


class Dispatcher(DomainDispatcherApplication):
    """moto's choice of a service. Raises UnknownService."""

    def get_application(self, environ: dict[str, Any]) -> Any:
        try:
            return super().get_application(environ)
        except Exception as error:
            raise UnknownService("There is no such service here.") from error


class KnownCalls:
    """A WSGI application that answers what nothing can carry out.

    Args:
        app: what carries calls out. It may raise, or answer with HTML.
    """

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        service = service_of(environ)
        name = call_name(environ) or f"{service}:"
        refusal = _refusal(environ, service, name)
        if refusal is not None:
            return error_answer(environ, name, refusal)(environ, start_response)
        begun: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun[:] = [status, headers]
            if _is_page(status, headers, service):
                return None
            return start_response(status, with_request_id(headers, service or "s3"), exc_info)

        try:
            answer = self._app(environ, begin)
        except ConnectionError:
            raise
        except ExpatError:
            failed = _MALFORMED_XML
        except NotImplementedError:
            failed = _unknown(environ, service, name, lacking=True)
        except Exception:
            _logger.exception("%s failed", name)
            failed = usual_error(environ, name, "fail")
        else:
            if not (begun and _is_page(begun[0], begun[1], service)):
                return answer
            failed = _unknown(environ, service, name, lacking=True)
        return error_answer(environ, name, failed)(environ, start_response)


def _is_page(status: str, headers: Iterable[tuple[str, str]], service: str) -> bool:
    """Whether an answer says, in HTML, that there is nothing at this path."""
    types = [value for key, value in headers if key.lower() == "content-type"]
    return (
        status[:3] in ("404", "405", "500")
        and service not in ("", "s3")
        and any(value.startswith("text/html") for value in types)
    )


def _refusal(environ: dict[str, Any], service: str, name: str) -> ServiceError | None:
    """What is wrong with a request before anything is carried out."""
    if not service:
        return _without_scope(environ)
    if service == "s3":
        return _MALFORMED_XML if _has_bad_xml(environ, name) else None
    if service not in _MODELS:
        return None
    model = get_service_model(_MODELS[service])
    if "HTTP_X_AMZ_TARGET" in environ:
        return _refusal_of_target(environ, service, name, model)
    if model.resolved_protocol == "rest-json":
        operation = _rest_operation(model, environ)
        return _refusal_of_json(environ, service, operation) if operation else None
    if model.resolved_protocol in ("ec2", "query") or _has_form(environ):
        return _refusal_of_form(environ, service, name, model)
    if environ["PATH_INFO"] == "/" and environ.get("CONTENT_TYPE", "").startswith(
        "application/x-amz-json"
    ):
        return _unknown(environ, service, name)
    return None


def _has_bad_xml(environ: dict[str, Any], name: str) -> bool:
    """Whether a call of S3's that takes a document has one that is none."""
    model, operation = get_service_model("s3"), name.partition(":")[2]
    if operation not in model.operation_names:
        return False
    shape = model.operation_model(operation).input_shape
    payload = shape.serialization.get("payload") if shape else None
    if shape is None or payload is None or shape.members[payload].type_name != "structure":
        return False
    text = read_body(environ)
    try:
        if text:
            ElementTree.fromstring(text)  # noqa: S314  of a local client
    except ElementTree.ParseError:
        return True
    return False


def _without_scope(environ: dict[str, Any]) -> ServiceError | None:
    """Of a request that is signed for no service: S3 takes it, unless it names another's action."""
    if environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4-HMAC-SHA256"):
        return ServiceError(
            400, "IncompleteSignature", "The request signature does not conform to AWS standards."
        )
    if "HTTP_AUTHORIZATION" in environ:
        return None
    target = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[0]
    action = _form_of(environ).get("Action", "") if _has_form(environ) else ""
    if (target and target not in UNSIGNED_REQUESTS) or (action and action not in UNSIGNED_ACTIONS):
        return ServiceError(
            403, "MissingAuthenticationToken", "Request is missing Authentication Token"
        )
    return None


def _refusal_of_target(
    environ: dict[str, Any], service: str, name: str, model: ServiceModel
) -> ServiceError | None:
    prefix, _, action = environ["HTTP_X_AMZ_TARGET"].rpartition(".")
    if environ["PATH_INFO"] != "/" and service != "sqs":  # whose clients call the queue's URL
        return _unknown(environ, service, name)
    if prefix != model.metadata.get("targetPrefix"):  # such as DynamoDB's streams
        return None
    if action not in model.operation_names:
        return _unknown(environ, service, name)
    return _refusal_of_json(environ, service, model.operation_model(action))


def _refusal_of_json(
    environ: dict[str, Any], service: str, operation: OperationModel
) -> ServiceError | None:
    shape = operation.input_shape
    if shape is None or shape.serialization.get("payload"):
        return None
    members = [each for each in shape.members.values() if "location" not in each.serialization]
    text = read_body(environ)
    if not (members and (text or shape.required_members)):
        return None
    try:
        body = json.loads(text or b"{}")
    except ValueError:
        return _malformed(service, "The request body is not valid JSON.")
    problem = next(request_members.of_json(shape, body), None)
    return _of_problem(service, problem) if problem else None


def _refusal_of_form(
    environ: dict[str, Any], service: str, name: str, model: ServiceModel
) -> ServiceError | None:
    parameters = _form_of(environ)
    action = parameters.get("Action", "")
    if not action:
        return ServiceError(400, "MissingAction", "The request is missing an action.")
    if action not in model.operation_names:
        return _unknown(environ, service, name)
    if model.resolved_protocol not in ("ec2", "query"):  # it had the query protocol before
        return None
    shape = model.operation_model(action).input_shape
    ec2 = model.resolved_protocol == "ec2"
    problem = next(request_members.of_form(shape, parameters.items(), ec2=ec2), None)
    return _of_problem(service, problem) if problem else None


def _has_form(environ: dict[str, Any]) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith(_FORM)


def _form_of(environ: dict[str, Any]) -> dict[str, str]:
    text = environ.get("QUERY_STRING", "")
    if _has_form(environ):
        text = f"{text}&{read_body(environ).decode(errors='replace')}"
    return dict(parse_qsl(text, keep_blank_values=True))


def _rest_operation(model: ServiceModel, environ: dict[str, Any]) -> OperationModel | None:
    # An ID may have slashes, which only the path as it was sent distinguishes from the others.
    path = str(environ.get("REQUEST_URI", environ["PATH_INFO"])).partition("?")[0]
    method = environ["REQUEST_METHOD"]
    for its_method, its_path, name in _rest_operations(model.service_name):
        if its_method == method and its_path.fullmatch(path):
            return model.operation_model(name)
    return None


@functools.cache
def _rest_operations(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    model = get_service_model(service)
    operations = [model.operation_model(name) for name in model.operation_names]
    return [
        (each.http["method"], pattern(each.http["requestUri"]), each.name) for each in operations
    ]


def _unknown(
    environ: dict[str, Any], service: str, name: str, *, lacking: bool = False
) -> ServiceError:
    """An operation that the service does not have.

    name: what `call_name` said of the request. lacking: whether AWS may have it, and moto does not.
    """
    called = name.partition(":")[2] or environ["PATH_INFO"]
    if service == "s3":
        if environ["REQUEST_METHOD"] in ("DELETE", "GET", "HEAD", "POST", "PUT"):
            message = "A header you provided implies functionality that is not implemented."
            return ServiceError(501, "NotImplemented", message)
        message = "The specified method is not allowed against this resource."
        return ServiceError(405, "MethodNotAllowed", message)
    lacked = f"The sandbox has no operation {called} of {service}."
    if _is_json(environ):
        return ServiceError(400, "UnknownOperationException", lacked)
    if not (_has_form(environ) or service in _BY_FORM):
        return ServiceError(404, "UnknownOperationException", lacked)
    version = "" if lacking else _form_of(environ).get("Version", "")
    words = (
        f"The action {called} is not valid for this web service."
        if service == "ec2"
        else f"Could not find operation {called} for version {version}"
    )
    return ServiceError(400, "InvalidAction", lacked if lacking else words)


def _is_json(environ: dict[str, Any]) -> bool:
    kind = str(environ.get("CONTENT_TYPE", ""))
    return "HTTP_X_AMZ_TARGET" in environ or kind.startswith("application/x-amz-json")


def _malformed(service: str, message: str) -> ServiceError:
    code = {
        "rbin": "ValidationException",
        "serverlessrepo": "BadRequestException",
    }.get(service, "SerializationException")
    return ServiceError(400, code, message)


def _of_problem(service: str, problem: Problem) -> ServiceError:
    """The service's error about a member."""
    where = problem.path or "the request"
    if problem.kind == "unknown":
        return ServiceError(400, "UnknownParameter", f"The parameter {where} is not recognized")
    by_form = service in _BY_FORM
    if problem.kind == "type":
        message = f"The value '{problem.value}' at '{where}' is of another type."
        if not by_form:
            return _malformed(service, message)
        code = "InvalidParameterValue" if service == "ec2" else "MalformedInput"
        return ServiceError(400, code, message)
    if service in ("ec2", "sqs"):
        asked = where if service == "ec2" else where[0].upper() + where[1:]
        return ServiceError(
            400, "MissingParameter", f"The request must contain the parameter {asked}"
        )
    code = {"serverlessrepo": "BadRequestException"}.get(
        service, "ValidationError" if by_form else "ValidationException"
    )
    return ServiceError(
        400,
        code,
        f"1 validation error detected: Value null at '{where}' failed to satisfy constraint: "
        "Member must not be null",
    )
