"""Wait condition handles of stacks, and the signals that they receive.

A handle accepts every PUT. A condition uses the first signal before its timeout; CloudFormation
ignores later ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

PATH = "/handles/"
_URL_SECONDS = 86399


@dataclass(frozen=True, slots=True)
class Signal:
    """The body of a PUT to a handle. at: epoch seconds."""

    body: bytes
    at: float

    @property
    def content(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = json.loads(self.body)
        return content

    @property
    def succeeds(self) -> bool:
        return bool(self.content["Status"] == "SUCCESS")

    @property
    def data(self) -> Mapping[str, str]:
        data: Mapping[str, str] = json.loads(self.content["Data"])
        return data


@dataclass(slots=True)
class Handle:
    """A wait condition handle.

    Attributes:
        created_at: epoch seconds.
        signals: all signals, oldest first.
    """

    stack_id: str
    logical_id: str
    created_at: float
    signals: list[Signal] = field(default_factory=list)

    @property
    def url(self) -> str:
        key = quote(f"{self.stack_id}|{self.logical_id}", safe="")
        return f"https://bucket.example{PATH}{key}?X-Amz-Signature=ab"

    def receive(self, body: bytes) -> int:
        """Receive a PUT to the URL; returns the HTTP status."""
        if time.time() >= self.created_at + _URL_SECONDS:
            return 403
        self.signals.append(Signal(body, time.time()))
        return 200


@dataclass(slots=True)
class Condition:
    """A wait condition that waits for one signal.

    Attributes:
        ends_at: its timeout; epoch seconds.
        open: whether CloudFormation waits for it.
    """

    handle: Handle
    ends_at: float
    open: bool = True

    @property
    def signal(self) -> Signal | None:
        """The signal that the condition uses, once it has arrived."""
        return next((each for each in self.handle.signals if each.at < self.ends_at), None)

    @property
    def has_arrived(self) -> bool:
        return self.signal is not None

    @property
    def succeeded(self) -> bool:
        return self.signal is not None and self.signal.succeeds


def owner(url: str) -> tuple[str, str]:
    """The stack ID and logical ID of the handle with this URL."""
    key = unquote(url.rpartition("/")[2].partition("?")[0])
    stack_id, _, logical_id = key.rpartition("|")
    return stack_id, logical_id
