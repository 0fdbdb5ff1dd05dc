"""Faults to order: calls that fail, hang or are cut off, and processes that die on them.

A fault is set over HTTP, strikes the calls that it names when their turn comes, and tells which
it struck. README.md says what there is.
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from werkzeug import Request, Response

from sandbox.api_calls import call_name, call_text, error_answer
from sandbox.calls_made import CallsMade

PATH = "/sandbox/faults"

EVENT_DELIVERY = "event:Delivery"
"""An asynchronous event handed to a function."""

MESSAGE_DELIVERY = "message:Delivery"
"""A batch of messages handed to a function by an event source mapping."""

KINDS = ("fail", "throttle", "deny", "delay", "cut", "cut-after", "kill", "kill-after", "twice")

_DELIVERIES = (EVENT_DELIVERY, MESSAGE_DELIVERY)
_EVERY_CALL = "*"
_LONGEST_DELAY = 3600
_CALL = re.compile(r"[a-z][a-z0-9.-]*:[A-Z][A-Za-z0-9]*")

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NotAFault(ValueError):
    """What was to be set is not a fault; says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen to which calls.

    call: `service:Action`, `*` for every call of a function, or one of the deliveries.
    fault: one of KINDS.
    nth: the first matching call that is struck, counted from 1.
    times: how many matching calls in a row are struck.
    about: text that the event holds which the calling function handles; None for any caller.
    holding: text that the call itself holds, in its path, query or body (not Amazon S3's); None for
        any call.
    seconds: how long `delay` waits.
    """

    call: str
    fault: str
    nth: int = 1
    times: int = 1
    about: str | None = None
    holding: str | None = None
    seconds: float = 1.0

    @classmethod
    def parse(cls, body: bytes) -> "Fault":
        """The fault that a JSON object describes. Raises NotAFault if it describes none."""
        try:
            given = json.loads(body)
        except ValueError as problem:
            raise NotAFault(f"The body is not JSON: {problem}") from problem
        if not isinstance(given, dict):
            raise NotAFault("The body is not a JSON object.")
        known = [member.name for member in fields(cls)]
        for name, value in given.items():
            if name not in known:
                raise NotAFault(f"{name!r} is no member of a fault; these are: {', '.join(known)}.")
            is_right, right = _MEMBERS[name]
            if not is_right(value):
                raise NotAFault(f"{name} is {json.dumps(value)}, and has to be {right}.")
        for name in ("call", "fault"):
            if name not in given:
                raise NotAFault(f"{name} is missing; it has to be {_MEMBERS[name][1]}.")
        if (given["call"] in _DELIVERIES) != (given["fault"] == "twice"):
            raise NotAFault(f"twice is for {' and '.join(_DELIVERIES)}, and they are for twice.")
        return cls(**given)

    def matches(self, name: str, event: str | None, text: str, *, by_function: bool) -> bool:
        """Whether the fault counts a call; see `Faults.strike`."""
        if self.about is not None and (event is None or self.about not in event):
            return False
        if self.holding is not None and self.holding not in text:
            return False
        if self.call == _EVERY_CALL:
            return by_function
        return self.call == name and (by_function or self.fault not in ("kill", "kill-after"))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


_MEMBERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "call": (
        lambda value: (
            value == _EVERY_CALL or (isinstance(value, str) and bool(_CALL.fullmatch(value)))
        ),
        "service:Action, such as ec2:BundleInstance, or * for every call of a function",
    ),
    "fault": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "nth": (_is_count, "a whole number from 1"),
    "times": (_is_count, "a whole number from 1"),
    "about": (_is_text, "text, and not empty"),
    "holding": (_is_text, "text, and not empty"),
    "seconds": (
        lambda value: type(value) in (int, float) and 0 <= value <= _LONGEST_DELAY,
        f"a number of seconds from 0 to {_LONGEST_DELAY}",
    ),
}


@dataclass(slots=True)
class _Entry:
    """A fault that is set, the number of calls that matched it, and those that it struck."""

    fault: Fault
    seen: int = 0
    hits: list[str] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        return self.fault.nth <= self.seen < self.fault.nth + self.fault.times


class Faults:
    """The faults that are set, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._entries: dict[str, _Entry] = {}

    @property
    def any_set(self) -> bool:
        """Whether there are any."""
        return bool(self._entries)

    def set(self, fault: Fault) -> dict[str, Any]:
        """Add a fault; its description."""
        with self._lock:
            fault_id = str(next(self._ids))
            entry = self._entries[fault_id] = _Entry(fault)
            return _described(fault_id, entry)

    def clear(self, fault_id: str | None = None) -> bool:
        """Take away one fault, or all; whether there was one of this ID."""
        with self._lock:
            if fault_id is not None:
                return self._entries.pop(fault_id, None) is not None
            self._entries.clear()
            return True

    def described(self) -> list[dict[str, Any]]:
        """Each fault as JSON can hold it, with its `id`, `seen` and `hits`."""
        with self._lock:
            return [_described(fault_id, entry) for fault_id, entry in self._entries.items()]

    def strike(
        self, name: str, event: str | None, text: str = "", *, by_function: bool
    ) -> Fault | None:
        """Count a call, and answer the fault that strikes it: the oldest whose turn it is.

        name: of the call, or of the delivery.
        event: JSON text of what the calling function handles, or of what is delivered.
        text: what the call itself holds.
        by_function: whether a function makes the call.
        """
        with self._lock:
            matching = [
                entry
                for entry in self._entries.values()
                if entry.fault.matches(name, event, text, by_function=by_function)
            ]
            for entry in matching:
                entry.seen += 1
            striking = next((entry for entry in matching if entry.is_due), None)
            if striking is None:
                return None
            striking.hits.append(name)
            return striking.fault


def _described(fault_id: str, entry: _Entry) -> dict[str, Any]:
    return {"id": fault_id, **asdict(entry.fault), "seen": entry.seen, "hits": list(entry.hits)}


def serve(faults: Faults, request: Request) -> Response:
    """Answer a request to set, show or clear faults."""
    fault_id = request.path.removeprefix(PATH).lstrip("/") or None
    match request.method, fault_id:
        case "POST", None:
            try:
                fault = Fault.parse(request.get_data())
            except NotAFault as problem:
                return Response(f"{problem}\n", status=400)
            return _json(faults.set(fault), status=201)
        case "GET", None:
            return _json(faults.described())
        case "DELETE", _:
            if faults.clear(fault_id):
                return Response(status=204)
            return Response(f"There is no fault {fault_id}.\n", status=404)
        case _:
            return Response(
                f"GET, POST and DELETE {PATH}, and DELETE {PATH}/<id>, are what there is.\n",
                status=405,
            )


def _json(content: Any, status: int = 200) -> Response:
    text = json.dumps(content, indent=2) + "\n"
    return Response(text, status=status, content_type="application/json")


class Caller(Protocol):
    """The process of a function, which calls while it handles an event."""

    @property
    def function_name(self) -> str:
        """The function's name."""

    @property
    def event(self) -> str | None:
        """JSON text of the event; None while there is none."""

    def kill(self) -> None:
        """End the process at once, and return when it is gone."""


class FaultyApp:
    """A WSGI application with faults on its way, which counts the calls of functions.

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
            self._calls.add(caller.function_name, name)
        if not self._faults.any_set:
            return self._app(environ, start_response)
        fault = self._faults.strike(
            name,
            caller.event if caller else None,
            call_text(environ, name),
            by_function=caller is not None,
        )
        match fault:
            case None:
                return self._app(environ, start_response)
            case Fault(fault="delay", seconds=seconds):
                time.sleep(seconds)
                return self._app(environ, start_response)
            case Fault(fault="fail" | "throttle" | "deny" as kind):
                return error_answer(environ, name, kind)(environ, start_response)
        if fault.fault.endswith("-after"):
            Response.from_app(self._app, environ, buffered=True)
        if caller is not None and fault.fault.startswith("kill"):
            caller.kill()
        raise ConnectionAbortedError(f"{name} gets no answer")
