"""The events that were put onto buses, as the server lists them."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.cloudformation.serving import Served


def entry(source: str, **more: Any) -> dict[str, Any]:
    """An entry of PutEvents."""
    detail = {"state": "complete", "progress": 100}
    return {"Source": source, "DetailType": "Bundle", "Detail": json.dumps(detail), **more}


def put(served: Served, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    answer = served.clients.client("events").put_events(Entries=entries)
    results: list[dict[str, Any]] = answer["Entries"]
    return results


def events(served: Served, source: str) -> list[dict[str, Any]]:
    """The events of a source."""
    return [event for event in served.listed("events") if event["Source"] == source]


def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def test_an_event_is_listed_with_all_that_was_put(served: Served) -> None:
    source, bus = name(), name()
    served.clients.client("events").create_event_bus(Name=bus)
    moment = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)

    put(served, entry(source, EventBusName=bus, Resources=["arn:aws:x"], Time=moment))

    assert events(served, source) == [
        {
            "EventBusName": bus,
            "Source": source,
            "DetailType": "Bundle",
            "Detail": {"state": "complete", "progress": 100},
            "Resources": ["arn:aws:x"],
            "Time": "2026-11-24T10:00:00+00:00",
        }
    ]


def test_an_event_without_bus_resources_or_time_has_the_defaults(served: Served) -> None:
    source = name()

    put(served, entry(source))

    [event] = events(served, source)
    assert (event["EventBusName"], event["Resources"]) == ("default", [])
    age = datetime.now(UTC) - datetime.fromisoformat(event["Time"])
    assert timedelta() <= age < timedelta(seconds=30)


def test_a_bus_that_is_given_by_its_arn_is_listed_by_its_name(served: Served) -> None:
    source, bus = name(), name()
    arn = served.clients.client("events").create_event_bus(Name=bus)["EventBusArn"]

    put(served, entry(source, EventBusName=arn))

    assert [event["EventBusName"] for event in events(served, source)] == [bus]


def test_events_are_listed_oldest_first_without_those_that_are_refused(served: Served) -> None:
    source = name()

    results = put(
        served,
        entry(source, DetailType="first"),
        entry(source, Detail="{no JSON"),
        entry(source, DetailType="second"),
    )
    put(served, entry(source, DetailType="third"))

    assert results[1] == {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    listed = [event["DetailType"] for event in events(served, source)]
    assert listed == ["first", "second", "third"]


def test_a_call_that_fails_puts_no_event_on_record(served: Served) -> None:
    source, client = name(), served.clients.client("events")

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        put(served, entry(source, EventBusName="unknown"))

    assert events(served, source) == []


def test_a_fault_strikes_put_events(served: Served) -> None:
    source = name()
    served.set_fault("events:PutEvents", "fail", holding=source)

    put(served, entry(source))  # the SDK tries again

    assert len(events(served, source)) == 1
    assert [fault["hits"] for fault in served.listed("faults")] == [["events:PutEvents"]]
