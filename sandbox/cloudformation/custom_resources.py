"""Custom resources: the request to a function, and the answer that it puts to the ResponseURL.

What requests and answers contain, and how large they may be, is from the custom resource reference
of the CloudFormation user guide; the wording of failures was observed on CloudFormation.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Condition
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from sandbox.cloudformation import service_tokens
from sandbox.cloudformation.intrinsics import as_text, invalid, text
from sandbox.cloudformation.presigned import (
    is_the_signed,
    on_record,
    readable,
    refusal,
    signature_of,
    signed_query,
)
from sandbox.cloudformation.providers import (
    Failed,
    Finished,
    Made,
    Order,
    Outcome,
    Work,
    generated_id,
)
from sandbox.cloudformation.request_forms import RequestForms

log = logging.getLogger("sandbox")

RESPONSE_PATH = "/cloudformation-custom-resource-response-"
"""What the path of every ResponseURL starts with; the region follows."""

RESPONSE_LIMIT = 4096  # bytes
PHYSICAL_ID_LIMIT = 1024  # bytes
URL_LIFETIME = 7200  # seconds; not documented, but seen
KEPT = 2000
"""How many requests and responses are known, so that memory is bounded: the newest."""
SERVICE_TIMEOUT_LIMIT = 3600  # seconds, and the default

_ANOTHER_FUNCTION = "Modifying service token is not allowed."
"""The error of an update that names another function, before any is called
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html,
ServiceToken; the words: https://github.com/cloudcomponents/cdk-constructs/issues/197)."""

_KEY = ("StackId", "LogicalResourceId", "RequestId")


@dataclass(frozen=True, slots=True)
class _Request:
    order: Order
    request_id: str
    query: str
    """Of the ResponseURL."""
    physical_id: str
    """The resource's, or the one that CloudFormation makes up for a Create."""
    sent: float
    timeout: int

    @property
    def key(self) -> str:
        """The name of the object that the answer is put to."""
        return f"{self.order.stack_id}|{self.order.logical_id}|{self.request_id}"


@dataclass(slots=True)
class _Exchange:
    """A request and, once there is one, the answer that was taken."""

    request: _Request
    clock: Callable[[], float]
    changed: Condition
    answer: Outcome | None = None
    closed: bool = False

    def outcome(self) -> Outcome | None:
        with self.changed:
            late = self.clock() >= self.request.sent + self.request.timeout
            if self.answer is None and late:
                self.closed = True
                self.answer = Failed(_unanswered(self.request), self.request.physical_id)
            return self.answer

    def abandon(self) -> str:
        with self.changed:
            self.closed = True
            return self.request.physical_id

    def take(self, answer: Outcome) -> bool:
        """Take the first answer that comes while somebody waits for it."""
        with self.changed:
            if self.closed:
                return False
            self.answer, self.closed = answer, True
            self.changed.notify_all()
            return True


@dataclass(frozen=True, slots=True)
class _Data:
    """The attributes that a custom resource answered."""

    key: str
    data: Mapping[str, Any] = field(repr=False)
    hidden: bool

    def attribute(self, name: str) -> Any:
        if name not in self.data:
            raise invalid(
                f"CustomResource attribute error: Vendor response doesn't contain {name} "
                f"attribute in object {self.key}"
            )
        return self.data[name]


def is_custom(resource_type: str) -> bool:
    """Whether it is a type of custom resources."""
    return (
        resource_type.startswith("Custom::")
        or resource_type == "AWS::CloudFormation::CustomResource"
    )


class CustomResources:
    """Provider of ``Custom::*`` and ``AWS::CloudFormation::CustomResource``.

    Functions are invoked asynchronously through moto's Lambda backend, or requests are published to
    a topic; they are answered by a PUT that the server hands to `receive`.
    """

    def __init__(
        self,
        endpoint: Callable[[], str],
        clock: Callable[[], float],
        changed: Condition,
        forms: RequestForms,
        refusal: Callable[[str, str], str | None] = lambda *_: None,
    ) -> None:
        """endpoint: the server's own URL, as functions reach it. changed: notified on answers.
        forms: of the requests. refusal: why a stack's role may not invoke a function, by their
        ARNs."""
        self._endpoint = endpoint
        self._clock = clock
        self._changed = changed
        self._forms = forms
        self._refusal_to_invoke = refusal
        self._exchanges: dict[str, _Exchange] = {}
        self._received: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def create(self, order: Order) -> Work:
        return self._send("Create", order, generated_id(order), {})

    def update(self, order: Order, made: Made) -> Work:
        old = self._stated(made.order)["ResourceProperties"]
        if text(order.properties.get("ServiceToken", "")) != old.get("ServiceToken", ""):
            return Finished(Failed(_ANOTHER_FUNCTION, untouched=True))
        return self._send(
            "Update",
            order,
            made.physical_id,
            {"PhysicalResourceId": made.physical_id, "OldResourceProperties": old},
        )

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Work:
        order = replace(made.order, role_arn=order.role_arn) if made else order
        return self._send("Delete", order, physical_id, {"PhysicalResourceId": physical_id})

    def _send(
        self, request_type: str, order: Order, physical_id: str, more: Mapping[str, Any]
    ) -> Work:
        service_token = text(order.properties.get("ServiceToken", ""))
        if not service_tokens.is_valid(service_token):
            return Finished(Failed(f"Invalid service token. ({service_token})"))
        timeout = _service_timeout(order.properties.get("ServiceTimeout", SERVICE_TIMEOUT_LIMIT))
        if timeout is None:
            return Finished(
                Failed(f"ServiceTimeout must be an integer from 1 to {SERVICE_TIMEOUT_LIMIT}")
            )
        refused = (
            order.role_arn
            and service_tokens.is_function(service_token)
            and self._refusal_to_invoke(order.role_arn, service_token)
        )
        if refused:
            return Finished(Failed(refused))
        exchange = self._open(order, physical_id, timeout)
        request = exchange.request
        event = {
            "RequestType": request_type,
            "ServiceToken": service_token,
            "ResponseURL": self._response_url(request),
            "StackId": order.stack_id,
            "RequestId": request.request_id,
            "LogicalResourceId": order.logical_id,
            "ResourceType": order.type,
            **self._stated(order),
            **more,
        }
        try:
            service_tokens.send(service_token, json.dumps(event))
        except Exception as problem:  # a backend may raise anything
            log.info("a custom resource's function was not invoked", exc_info=True)
            exchange.abandon()
            return Finished(Failed(getattr(problem, "message", None) or str(problem)))
        return exchange

    def _stated(self, order: Order) -> dict[str, Any]:
        """The members of an event that say what the template does."""
        properties = as_text(order.properties)
        if self._forms.service_timeout == "properties" or "ServiceTimeout" not in properties:
            return {"ResourceProperties": properties}
        timeout = properties.pop("ServiceTimeout")
        return {"ServiceTimeout": timeout, "ResourceProperties": properties}

    def _open(self, order: Order, physical_id: str, timeout: int) -> _Exchange:
        sent = self._clock()
        version = self._forms.signature_version
        request = _Request(
            order=order,
            request_id=str(uuid4()),
            query=signed_query(version, region=order.region, signed=sent, lifetime=URL_LIFETIME),
            physical_id=physical_id,
            sent=sent,
            timeout=timeout,
        )
        exchange = _Exchange(request, self._clock, self._changed)
        with self._changed:
            self._exchanges[signature_of(request.query)] = exchange
            oldest = next(iter(self._exchanges))
            if len(self._exchanges) > KEPT and self._exchanges[oldest].closed:
                del self._exchanges[oldest]
        return exchange

    def _response_url(self, request: _Request) -> str:
        bucket = f"{self._endpoint().rstrip('/')}{RESPONSE_PATH}{request.order.region}"
        return f"{bucket}/{quote(request.key, safe='')}?{request.query}"

    def receive(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """Take the PUT of `body` to a path that starts with `RESPONSE_PATH`, quoted or not.

        Returns the HTTP status and body that S3 would answer: 200 for whatever is signed right,
        even if CloudFormation finds it wrong or no longer waits for it, else 403.
        """
        key = unquote(path.removeprefix(RESPONSE_PATH).partition("/")[2])
        with self._changed:
            exchange = self._exchanges.get(signature_of(query))
        refused = self._refusal(exchange, key, query, headers)
        if exchange is None or refused is not None:
            self._record(key, body, status=403, taken=False)
            return 403, refused or ""
        answer = _judge(exchange.request, body)
        with self._changed:  # who sees the answer taken sees it received
            self._record(key, body, status=200, taken=exchange.take(answer))
        return 200, ""

    def receive_unasked(self, body: bytes) -> None:
        """Take an answer that no stack waits for, to a request that somebody made by hand."""
        answer = readable(body)
        fields = answer if isinstance(answer, dict) else {}
        key = "|".join(str(fields.get(name, "")) for name in _KEY)
        self._record(key, body, status=200, taken=False)

    def _refusal(
        self, exchange: _Exchange | None, key: str, query: str, headers: Mapping[str, str]
    ) -> str | None:
        if exchange is None:
            return refusal(headers, known=False, expired=False)
        request = exchange.request
        expired = self._clock() >= request.sent + URL_LIFETIME
        known = request.key == key and is_the_signed(query, request.query)
        return refusal(headers, known=known, expired=expired)

    def _record(self, key: str, body: bytes, *, status: int, taken: bool) -> None:
        stack_id, logical_id, request_id = (*key.split("|"), "", "", "")[:3]
        place = {
            "requestId": request_id,
            "stackId": stack_id,
            "logicalResourceId": logical_id,
        }
        moment = self._clock()
        with self._changed:
            self._received.append(on_record(place, body, moment=moment, status=status, taken=taken))

    def responses_received(self) -> list[dict[str, Any]]:
        """Each response that came, oldest first, as JSON can hold it: ``requestId``, ``stackId``,
        ``logicalResourceId``, ``received`` (ISO 8601, UTC), ``statusCode`` (that it was given),
        ``body`` (parsed, or as text where it is no JSON) and ``taken`` (whether it counted)."""
        with self._changed:
            return [dict(received) for received in self._received]

    def reset(self) -> None:
        """Forget all requests and responses."""
        with self._changed:
            self._exchanges.clear()
            self._received.clear()


def _service_timeout(value: Any) -> int | None:
    written = text(value)
    if not written.isdecimal() or not 1 <= int(written) <= SERVICE_TIMEOUT_LIMIT:
        return None
    return int(written)


def _unanswered(request: _Request) -> str:
    return (
        "CloudFormation did not receive a response from your Custom Resource. Please check your "
        f"logs for requestId [{request.request_id}]. If you are using the Python cfn-response "
        "module, you may need to update your Lambda function code so that CloudFormation can "
        "attach the updated version."
    )


def _judge(request: _Request, body: bytes) -> Outcome:
    """What CloudFormation makes of the answer."""
    if len(body) > RESPONSE_LIMIT:
        return Failed("Response object is too long.", request.physical_id)
    answer = readable(body)
    if not isinstance(answer, dict):
        return Failed("Invalid Response object: it is no JSON object", request.physical_id)
    problem = _problem(request, answer)
    if problem:
        return Failed(problem, request.physical_id)
    physical_id: str = answer["PhysicalResourceId"]
    if answer["Status"] == "FAILED":
        return Failed(
            "Received response status [FAILED] from custom resource. Message returned: "
            f"{answer['Reason']} (RequestId: {request.request_id})",
            physical_id,
        )
    hidden = text(answer.get("NoEcho", False)).lower() == "true"
    data = _Data(request.key, answer.get("Data") or {}, hidden)
    return Made(physical_id, request.order, data)


def _problem(request: _Request, answer: Mapping[str, Any]) -> str | None:
    status = answer.get("Status")
    if status not in ("SUCCESS", "FAILED"):
        return f"Invalid Response object: '{status}' is not a valid ResponseStatus"
    expected = {
        "StackId": request.order.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.order.logical_id,
    }
    for name, value in expected.items():
        if answer.get(name) != value:
            return f"Invalid Response object: {name} is not the request's"
    physical_id = answer.get("PhysicalResourceId")
    if not isinstance(physical_id, str) or not 0 < len(physical_id.encode()) <= PHYSICAL_ID_LIMIT:
        return "Invalid PhysicalResourceId"
    if status == "FAILED" and not answer.get("Reason"):
        return "Invalid Response object: a FAILED response must have a Reason"
    if not isinstance(answer.get("Data") or {}, dict):
        return "Invalid Response object: Value of property Data must be an object"
    return None
