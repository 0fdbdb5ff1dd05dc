"""The events that were put onto the buses of EventBridge."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from moto.events.models import EventsBackend


class EventsPut:
    """Each entry that PutEvents accepted, from any caller. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a rule may put an event onto another bus meanwhile
        self._entries: list[dict[str, Any]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put on record what comes onto moto's buses, of all accounts and regions.

        Who sees what a rule's target got, sees the event on record.
        """
        put_events = EventsBackend.put_events

        @functools.wraps(put_events)
        def put_and_record(
            backend: EventsBackend, events: list[dict[str, Any]]
        ) -> list[dict[str, Any]]:
            with self._lock:
                results = put_events(backend, events)
                for event, result in zip(events, results, strict=True):
                    if "EventId" in result:
                        self._entries.append(_entry(event))
            return results

        with patch.object(EventsBackend, "put_events", put_and_record):
            yield

    def described(self) -> list[dict[str, Any]]:
        """Each entry as JSON can hold it, oldest first, with the members of PutEvents' entries:
        `EventBusName` (never an ARN), `Source`, `DetailType`, `Detail` (parsed), `Resources` and
        `Time` (ISO 8601, UTC; that of the call where none was given)."""
        with self._lock:
            return [dict(entry) for entry in self._entries]


def _entry(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EventBusName": (event.get("EventBusName") or "default").rpartition("/")[2],
        "Source": event["Source"],
        "DetailType": event["DetailType"],
        "Detail": json.loads(event["Detail"]),
        "Resources": event.get("Resources", []),
        "Time": _moment(event.get("Time")),
    }


def _moment(given: float | str | None) -> str:
    """given: epoch seconds, as SDKs send them, or text, as other callers may."""
    if isinstance(given, str):
        return given
    return datetime.fromtimestamp(time.time() if given is None else given, UTC).isoformat()
