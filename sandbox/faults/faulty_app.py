"""The server's calls, with injected faults."""

import select
import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from werkzeug import Response

from sandbox.calls.api_calls import (
    ServiceError,
    call_name,
    call_text,
    error_answer,
    read_body,
    usual_error,
)
from sandbox.faults.faults import Fault, Faults
from sandbox.faults.garbled import garbled
from sandbox.observation.calls_made import CallsMade

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

CALLER = "sandbox.caller"
"""Where a request's environ has the `Caller`, if a function calls."""


class Caller(Protocol):
    """The process of a function, which calls while it handles an event."""

    @property
    def function_name(self) -> str:
        """The function's name."""

    @property
    def role(self) -> str:
        """The ARN of the role that the function has."""

    @property
    def event(self) -> str | None:
        """JSON text of the event; None while there is none."""

    def kill(self) -> None:
        """End the process at once, and return when it is gone."""


class FaultyApp:
    """A WSGI application that injects faults, and counts the calls of functions.

    Args:
        app: what carries the calls out.
        faults: those that strike.
        calls: where each call of a function is counted, one that a fault strikes too.
        caller: the function that calls, by the request's user agent and TCP port, if one does.

    Where no answer is to come, a ConnectionError is raised: the server has to close the connection.
    """

    def __init__(
        self,
        app: Wsgi,
        faults: Faults,
        calls: CallsMade,
        caller: Callable[[str, int], Caller | None],
    ) -> None:
        self._app = app
        self._faults = faults
        self._calls = calls
        self._caller = caller

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = call_name(environ)
        if name is None:
            return self._app(environ, start_response)
        caller = self._caller(environ.get("HTTP_USER_AGENT", ""), environ["REMOTE_PORT"])
        if caller is not None:
            environ[CALLER] = caller
            self._calls.add(caller.function_name, name)
        if not self._faults.any_set:
            return self._app(environ, start_response)
        fault = self._faults.strike(
            name,
            caller.event if caller else None,
            call_text(environ, name),
            by_function=caller is not None,
        )
        if fault is None:
            return self._app(environ, start_response)
        if fault.fault == "delay":
            read_body(environ)  # so that only the connection's end is left to read
            if self._faults.hold(fault, lambda: _is_gone(environ)):
                return self._app(environ, start_response)
        elif (answer := self._answer(fault, name, environ)) is not None:
            return answer(environ, start_response)
        if fault.fault.endswith("-after"):
            Response.from_app(self._app, environ, buffered=True)
        if caller is not None and fault.fault.startswith("kill"):
            caller.kill()
        raise ConnectionAbortedError(f"{name} gets no answer")

    def _answer(self, fault: Fault, name: str, environ: dict[str, Any]) -> Response | None:
        """What a fault answers; None where no answer is to come."""
        match fault:
            case Fault(fault="garble", body=str(body)):
                return garbled(self._app, environ, body)
            case Fault(fault="refuse", code=str(code), message=str(message), status=int(status)):
                return error_answer(environ, name, ServiceError(status, code, message))
            case Fault(fault="fail" | "throttle" | "deny" as kind):
                return error_answer(environ, name, usual_error(environ, name, kind))
        return None


def _is_gone(environ: dict[str, Any]) -> bool:
    """Whether the caller has closed its connection."""
    connection: socket.socket = environ["werkzeug.socket"]
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))
