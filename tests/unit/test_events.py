"""The events for `sam local invoke` are what the function takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from instance_bundle.errors import InvalidProperties
from instance_bundle.poll_queue import Poll
from instance_bundle.properties import Properties
from instance_bundle.request import Request

EVENTS = Path(__file__).parents[2] / "events"


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", ["create", "create-invalid", "delete"])
def test_a_request_is_one(name: str) -> None:
    assert Request.parse(event(name)).logical_id == "Bundle"


def test_the_properties_of_create_are_valid() -> None:
    Properties.parse(event("create")["ResourceProperties"])


def test_the_properties_of_create_invalid_are_not() -> None:
    with pytest.raises(InvalidProperties, match="3 problems"):
        Properties.parse(event("create-invalid")["ResourceProperties"])


def test_the_poll_is_about_the_create() -> None:
    [message] = event("poll")["Records"]

    assert Poll.parse(message["body"]).key == Request.parse(event("create")).key


def test_the_dead_letter_is_about_the_create() -> None:
    [message] = event("dead-letter")["Records"]

    assert Poll.parse(message["body"]).key == Request.parse(event("create")).key


def test_the_crashed_event_holds_the_create() -> None:
    assert event("crashed-event")["requestPayload"] == event("create")


@pytest.mark.parametrize("name", ["create", "create-invalid", "delete"])
def test_its_answer_may_go_where_it_asks_for(name: str) -> None:
    Request.parse(event(name)).demand_answerable(None)
