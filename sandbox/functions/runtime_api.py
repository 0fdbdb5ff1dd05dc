"""The Lambda Runtime API for one process, by which it takes invocations and gives results.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from sandbox.functions.payloads import ANSWER_BYTES

logger = logging.getLogger("sandbox")

_TOO_LARGE = json.dumps(
    {
        "errorMessage": f"Exceeded maximum allowed payload size ({ANSWER_BYTES} bytes).",
        "errorType": "RequestEntityTooLarge",
    }
).encode()
_JOIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class InvokeResult:
    """The result of an invocation.

    payload: JSON: the handler's answer, or AWS's description of the error.
    error: None, or `Unhandled` as in the header X-Amz-Function-Error.
    timed_out: the function was killed at its deadline.
    """

    payload: bytes
    error: str | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    request_id: str
    payload: bytes
    timeout: float
    trace_header: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The process has asked for the invocation: its code is loaded, and its time runs."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The handler's answer was refused for its size; the process ends of it."""


@dataclass(frozen=True, slots=True)
class InitFailed:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Exited:
    status: int


Event = Taken | InvokeResult | TooLarge | InitFailed | Exited


class RuntimeApi(socketserver.TCPServer):
    """The Lambda Runtime API for one process: the only client, with one call at a time.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    def __init__(self, function_arn: str, events: queue.SimpleQueue[Event]) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApiHandler)
        self.function_arn = function_arn
        self.events = events
        self.invocations: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(
            target=self._serve, name=f"Runtime API of {function_arn}", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def offer(self, invocation: Invocation) -> None:
        self.invocations.put(invocation)

    def close(self) -> None:
        self._closed = True
        self.invocations.put(None)
        with contextlib.suppress(OSError):  # it only wakes the thread, which may be gone already
            socket.create_connection(self.socket.getsockname(), timeout=_JOIN_SECONDS).close()
        self._thread.join(_JOIN_SECONDS)
        self.server_close()

    def _serve(self) -> None:
        while not self._closed:
            self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        logger.debug("the process of %s hung up", self.function_arn, exc_info=True)


class _RuntimeApiHandler(http.server.BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        if self.path != "/2018-06-01/runtime/invocation/next":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        invocation = self.server.invocations.get()
        if invocation is None:  # the environment is closing, its process is dead
            return
        self.server.events.put(Taken())
        deadline = time.time() + invocation.timeout
        self._answer(
            HTTPStatus.OK,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self.server.function_arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_header,
            },
        )

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        payload = self.rfile.read(length)
        if len(payload) < length:  # the process died while it answered
            return
        match self.path.removeprefix("/2018-06-01/runtime/").split("/"):
            case ["invocation", _, "response"] if length > ANSWER_BYTES:
                self.server.events.put(TooLarge())
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, {})
                return
            case ["invocation", _, "response"]:
                self.server.events.put(InvokeResult(payload))
            case ["invocation", _, "error"]:
                self.server.events.put(InvokeResult(payload, "Unhandled"))
            case ["init", "error"]:
                self.server.events.put(InitFailed(payload))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
        self._answer(HTTPStatus.ACCEPTED, b'{"status":"OK"}', {})

    def log_message(self, *_: object) -> None:
        """Say nothing: the Runtime API is no business of the sandbox's user."""

    def _answer(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
