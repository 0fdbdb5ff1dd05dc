"""Fault injection: calls that fail, hang or are cut off, and processes that are killed in them.

A fault is set over HTTP, strikes the calls that it names when their turn comes, and lists which
it struck. README.md describes them.
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from werkzeug import Request, Response

from sandbox.faults.garbled import BODIES, TRUNCATED

PATH = "/sandbox/faults"

EVENT_DELIVERY = "event:Delivery"
"""An asynchronous event that is delivered to a function."""

MESSAGE_DELIVERY = "message:Delivery"
"""A batch of messages that an event source mapping delivers to a function."""

BUS_DELIVERY = "bus:Delivery"
"""An event that EventBridge delivers to a target of a rule."""

KINDS = (
    *("fail", "throttle", "deny", "refuse", "garble", "delay"),
    *("cut", "cut-after", "kill", "kill-after", "twice"),
)

_OF_DELIVERIES: dict[str, tuple[str, ...]] = {
    EVENT_DELIVERY: ("twice",),
    MESSAGE_DELIVERY: ("twice",),
    BUS_DELIVERY: ("twice", "delay", "cut"),
}
"""The kinds of faults that strike a delivery."""
_EVERY_CALL = "*"
_LONGEST_DELAY = 3600
_CALL = re.compile(r"[a-z][a-z0-9.-]*:[A-Z][A-Za-z0-9]*")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,127}")
_INTERVAL = 0.1
"""Seconds between two checks whether the caller of a held call is still connected."""


class NotAFault(ValueError):
    """The given object is not a fault; says why, and what would be valid."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Which calls fail, and how.

    call: `service:Action`, `*` for every call of a function, or one of the deliveries.
    fault: one of KINDS.
    nth: the first matching call that is struck, counted from 1.
    times: how many matching calls in a row are struck.
    about: text that the event holds which the calling function handles; None for any caller.
    holding: text that the call itself holds, in its path, query or body (not Amazon S3's); None for
        any call.
    seconds: how long `delay` holds the call.
    body: one of BODIES, what `garble` answers.
    code, message, status: the error that `refuse` answers: AWS's code, words, HTTP's status.
    """

    call: str
    fault: str
    nth: int = 1
    times: int = 1
    about: str | None = None
    holding: str | None = None
    seconds: float = 1.0
    body: str | None = None
    code: str | None = None
    message: str | None = None
    status: int | None = None

    @classmethod
    def parse(cls, body: bytes) -> "Fault":
        """The fault that a JSON object describes. Raises NotAFault if it describes none."""
        try:
            given = json.loads(body)
        except ValueError as problem:
            raise NotAFault(f"The body is not JSON: {problem}") from problem
        if not isinstance(given, dict):
            raise NotAFault("The body is not a JSON object.")
        for name, value in given.items():
            _check_member(name, value)
        _check_together(given)
        return cls(**{**_DEFAULTS.get(given["fault"], {}), **given})

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
    "body": (lambda value: value in BODIES, f"one of {', '.join(BODIES)}"),
    "code": (
        lambda value: isinstance(value, str) and bool(_CODE.fullmatch(value)),
        "an error code of AWS's, such as RequestTimeout",
    ),
    "message": (lambda value: isinstance(value, str), "text"),
    "status": (
        lambda value: type(value) is int and 400 <= value <= 599,
        "a status of HTTP from 400 to 599",
    ),
}
_OF_ONE_KIND = {"body": "garble", "code": "refuse", "message": "refuse", "status": "refuse"}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "garble": {"body": TRUNCATED},
    "refuse": {"message": "The request was refused.", "status": 400},
}


def _check_member(name: str, value: Any) -> None:
    if name not in _MEMBERS:
        raise NotAFault(f"{name!r} is no member of a fault; these are: {', '.join(_MEMBERS)}.")
    is_right, right = _MEMBERS[name]
    if not is_right(value):
        raise NotAFault(f"{name} is {json.dumps(value)}, and has to be {right}.")


def _check_together(given: Mapping[str, Any]) -> None:
    required = ["call", "fault", *(["code"] if given.get("fault") == "refuse" else [])]
    for name in required:
        if name not in given:
            raise NotAFault(f"{name} is missing; it has to be {_MEMBERS[name][1]}.")
    kinds = _OF_DELIVERIES.get(given["call"])
    if kinds is None and given["fault"] == "twice":
        raise NotAFault(f"twice is for {' and '.join(_OF_DELIVERIES)}.")
    if kinds is not None and given["fault"] not in kinds:
        raise NotAFault(f"{given['call']} takes {', '.join(kinds)}.")
    for name, kind in _OF_ONE_KIND.items():
        if name in given and given["fault"] != kind:
            raise NotAFault(f"{name} is for {kind} only.")


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
        self._changed = threading.Condition()
        self._held = 0
        self._closed = False
        self._ids = itertools.count(1)
        self._entries: dict[str, _Entry] = {}

    @property
    def any_set(self) -> bool:
        """Whether there are any."""
        return bool(self._entries)

    def set(self, fault: Fault) -> dict[str, Any]:
        """Add a fault; its description."""
        with self._changed:
            fault_id = str(next(self._ids))
            entry = self._entries[fault_id] = _Entry(fault)
            return _described(fault_id, entry)

    def clear(self, fault_id: str | None = None) -> bool:
        """Take away one fault, or all; whether there was one of this ID."""
        with self._changed:
            self._changed.notify_all()
            if fault_id is not None:
                return self._entries.pop(fault_id, None) is not None
            self._entries.clear()
            return True

    def hold(self, fault: Fault, is_gone: Callable[[], bool]) -> bool:
        """Hold a call that `delay` strikes, until its time is over, the fault is cleared, or its
        caller is gone. Returns whether it is to be carried out: not once the faults are closed.

        is_gone: whether the caller waits no longer.
        """
        due = time.monotonic() + fault.seconds
        with self._changed:
            self._held += 1
            while not (self._closed or is_gone()) and self._is_set(fault):
                left = due - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _INTERVAL))
            self._held -= 1
            self._changed.notify_all()
            return not self._closed

    def close(self) -> None:
        """Release all calls that are held, and hold none from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._held)

    def _is_set(self, fault: Fault) -> bool:
        return any(entry.fault is fault for entry in self._entries.values())

    def described(self) -> list[dict[str, Any]]:
        """Each fault as JSON can hold it, with its `id`, `seen` and `hits`."""
        with self._changed:
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
        with self._changed:
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
