"""The signals that are put to wait condition handles.

What a signal contains is in "Create wait conditions in a CloudFormation template" in the
CloudFormation User Guide. A handle keeps its signals from its creation on: a wait condition that
is created later finds the earlier ones ("might evaluate old signals",
AWS::CloudFormation::WaitCondition in the template reference).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sandbox.cloudformation.presigned import (
    is_the_signed,
    on_record,
    readable,
    refusal,
    signature_of,
    signed_query,
)

SIGNAL_PATH = "/cloudformation-waitcondition-"
"""What the path of every handle's URL starts with; the region follows."""

URL_LIFETIME = 86399  # seconds; not documented, but seen

KEPT = 2000
"""How many signals are listed, so that memory is bounded: the newest."""

DATA_LIMIT = 4096  # bytes that cfn-signal can pass (AWS CloudFormation quotas)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal, of success or of failure. data: for the template. reason: for people."""

    success: bool
    unique_id: str
    data: str
    reason: str

    @classmethod
    def parse(cls, body: bytes) -> Signal | None:
        """The signal that a body holds; None where it holds none."""
        match readable(body):
            case {
                "Status": "SUCCESS" | "FAILURE" as status,
                "UniqueId": str(unique_id),
                "Data": str(data),
                "Reason": str(reason),
            } if unique_id and len(data.encode()) <= DATA_LIMIT:
                return cls(status == "SUCCESS", unique_id, data, reason)
        return None


@dataclass(slots=True)
class Handle:
    """A handle: where signals are put, and those that came.

    key: its stack's ARN and its logical ID. made: epoch seconds. signals: oldest first; None is a
    body that holds none. closed: whether it is deleted, and its signals count no more.
    """

    key: str
    url: str
    made: float
    signals: list[Signal | None] = field(default_factory=list)
    closed: bool = False

    def take(self, signal: Signal | None) -> bool:
        """Keep a signal, unless it repeats one: CloudFormation ignores what has the UniqueId of a
        signal before it. Returns whether it is kept."""
        known = {kept.unique_id for kept in self.signals if kept}
        if self.closed or (signal and signal.unique_id in known):
            return False
        self.signals.append(signal)
        return True


class Signals:
    """The handles of all stacks, and what was put to them."""

    def __init__(
        self,
        endpoint: Callable[[], str],
        clock: Callable[[], float],
        changed: Condition,
        signature_version: int,
    ) -> None:
        """endpoint: the server's own URL. clock: epoch seconds. changed: notified on signals.
        signature_version: of the URLs."""
        self._endpoint = endpoint
        self._clock = clock
        self._changed = changed
        self._signature_version = signature_version
        self._handles: dict[str, Handle] = {}
        self._received: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def open(self, key: str, region: str) -> Handle:
        """A new handle, whose URL is signed now."""
        made = self._clock()
        query = signed_query(
            self._signature_version, region=region, signed=made, lifetime=URL_LIFETIME
        )
        bucket = f"{self._endpoint().rstrip('/')}{SIGNAL_PATH}{region}"
        handle = Handle(key, f"{bucket}/{quote(key)}?{query}", made)
        with self._changed:
            self._handles[signature_of(query)] = handle
        return handle

    def find(self, url: str) -> Handle | None:
        """The handle of that URL, where it is not deleted."""
        with self._changed:
            for handle in self._handles.values():
                if handle.url == url and not handle.closed:
                    return handle
        return None

    def close(self, url: str) -> None:
        """Count no more signals to the URL. As S3's, it takes them on until it expires."""
        with self._changed:
            handle = self.find(url)
            if handle:
                handle.closed = True

    def receive(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str]:
        """Take the PUT of `body` to a path that starts with `SIGNAL_PATH`, quoted or not.

        Returns the HTTP status and body that S3 would answer: 200 for whatever is signed right,
        even if CloudFormation can't read it or ignores it, else 403.
        """
        key = unquote(path.removeprefix(SIGNAL_PATH).partition("/")[2])
        with self._changed:
            handle = self._handles.get(signature_of(query))
            refused = refusal(
                headers,
                known=handle is not None
                and handle.key == key
                and is_the_signed(query, urlsplit(handle.url).query),
                expired=handle is not None and self._clock() >= handle.made + URL_LIFETIME,
            )
            if handle is None or refused is not None:
                self._record(key, body, status=403, taken=False)
                return 403, refused or ""
            self._record(key, body, status=200, taken=handle.take(Signal.parse(body)))
            self._changed.notify_all()
            return 200, ""

    def _record(self, key: str, body: bytes, *, status: int, taken: bool) -> None:
        stack_id, _, logical_id = key.rpartition("/")
        place = {"stackId": stack_id, "logicalResourceId": logical_id}
        self._received.append(
            on_record(place, body, moment=self._clock(), status=status, taken=taken)
        )

    def received(self) -> list[dict[str, Any]]:
        """Each PUT that came, oldest first, as JSON can hold it: ``stackId``,
        ``logicalResourceId`` (the handle's), ``received`` (ISO 8601, UTC), ``statusCode`` (that it
        was given), ``body`` (parsed, or as text where it is no JSON) and ``taken`` (whether wait
        conditions use it: not if it was refused, repeated, or received after the deletion)."""
        with self._changed:
            return [dict(received) for received in self._received]

    def reset(self) -> None:
        """Forget all handles and signals."""
        with self._changed:
            self._handles.clear()
            self._received.clear()
