"""Wait condition handles of stacks, and what is put to them.

A handle takes whatever is put to it; a condition counts the first signal that comes in its time,
and CloudFormation ignores what comes after that.
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
    """What was put to a handle. at: epoch seconds."""

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
    """A wait condition handle. made: epoch seconds. signals: all that came, oldest first."""

    stack_id: str
    logical_id: str
    made: float
    signals: list[Signal] = field(default_factory=list)

    @property
    def url(self) -> str:
        key = quote(f"{self.stack_id}|{self.logical_id}", safe="")
        return f"https://bucket.example{PATH}{key}?X-Amz-Signature=ab"

    def take(self, body: bytes) -> int:
        """Take what is put to the URL; the HTTP status."""
        if time.time() >= self.made + _URL_SECONDS:
            return 403
        self.signals.append(Signal(body, time.time()))
        return 200


@dataclass(slots=True)
class Condition:
    """A wait condition that waits for one signal.

    Attributes:
        ends: epoch seconds; it fails then.
        open: whether CloudFormation waits for it.
    """

    handle: Handle
    ends: float
    open: bool = True

    @property
    def signal(self) -> Signal | None:
        """The one that counts, once it is there."""
        return next((each for each in self.handle.signals if each.at < self.ends), None)

    @property
    def has_come(self) -> bool:
        return self.signal is not None

    @property
    def succeeded(self) -> bool:
        return self.signal is not None and self.signal.succeeds


def place(url: str) -> tuple[str, str]:
    """The stack ID and logical ID of the handle that has a URL."""
    key = unquote(url.rpartition("/")[2].partition("?")[0])
    stack_id, _, logical_id = key.rpartition("|")
    return stack_id, logical_id
