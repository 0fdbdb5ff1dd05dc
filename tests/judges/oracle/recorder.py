"""A sandbox whose calls and answers are recorded."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel

from sandbox.calls.api_calls import call_name, read_body, service_of
from sandbox.clients import Clients
from sandbox.server import Server

from .answers import Answer

OPERATION = "X-Judged-Operation"
"""The header in which the clients of `Judged` name the call."""

_KINDS = {"Content-Type": "CONTENT_TYPE", "X-Amz-Target": "HTTP_X_AMZ_TARGET"}
_SERVICES = {"monitoring": "cloudwatch"}
"""botocore's names of services, where signatures have another."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request.

    Attributes:
        service: that it is signed for.
        path: with the query.
        headers: those that say what the body is.
    """

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call, as `service:Operation` by botocore's names, and its answer."""

    call: str
    sent: Sent
    answer: Answer


class Recording(Server):
    """The sandbox. exchanges: the calls of AWS's operations so far, in the order of their ends."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._recording = threading.Lock()
        super().__init__(iam_delay=0, ec2_delay=0)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        named = environ.get("HTTP_X_JUDGED_OPERATION") or call_name(environ) or ""
        service, _, action = named.partition(":")
        service = _SERVICES.get(service, service)
        begun: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
            return start_response(status, headers, exc_info)

        call = f"{service}:{action}"
        if operation(call) is None:
            return super()._answer(environ, start_response)
        sent = Sent(
            service_of(environ),
            environ["REQUEST_METHOD"],
            environ["REQUEST_URI"],
            {name: environ[key] for name, key in _KINDS.items() if environ.get(key)},
            read_body(environ),
        )
        return self._recorded(call, sent, begun, super()._answer(environ, begin))

    def _recorded(
        self, call: str, sent: Sent, begun: list[Any], body: Iterable[bytes]
    ) -> Iterator[bytes]:
        parts = []
        for part in body:
            parts.append(part)
            yield part
        answer = Answer(begun[0], begun[1], b"".join(parts), head=sent.method == "HEAD")
        with self._recording:
            self.exchanges.append(Exchange(call, sent, answer))


class Judged(Clients):
    """Clients that name each call in a header: paths and subresources of S3 do not always."""

    def client(self, service: Any) -> Any:
        client = super().client(service)

        def name(request: Any, operation_name: str, **_: Any) -> None:
            request.headers[OPERATION] = f"{service}:{operation_name}"

        client.meta.events.register("request-created", name)
        return client


@cache
def operation(call: str) -> OperationModel | None:
    """The model of a call, `service:Operation`; None where there is no such call."""
    service, _, name = call.partition(":")
    if service not in botocore.session.get_session().get_available_services():
        return None
    model = model_of(service)
    return model.operation_model(name) if name in model.operation_names else None


@cache
def model_of(service: str) -> ServiceModel:
    """The model of a service, by botocore's name."""
    return botocore.session.get_session().get_service_model(service)
