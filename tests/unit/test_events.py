"""The events for `sam local invoke` are what the function takes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instance_bundle.request.event import Request, RequestKey
from instance_bundle.request.properties import Properties, problems
from instance_bundle.request.receipt import RefusedRequest, receive
from instance_bundle.settings import Limits, Settings
from instance_bundle.state.poll_queue import Poll
from sandbox import deployment, world
from sandbox.__main__ import DEFAULT_PORT

EVENTS = Path(__file__).parents[2] / "events"
ORIGIN = f"http://host.docker.internal:{DEFAULT_PORT}"
REQUESTS = sorted(
    path.stem
    for path in EVENTS.glob("*.json")
    if path.stem.startswith(("create", "update", "delete"))
)


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return content


def keys_of_messages(name: str) -> list[RequestKey]:
    return [Poll.parse(message["body"]).key for message in event(name)["Records"]]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_one_whose_answer_goes_to_the_sandbox(name: str) -> None:
    request = Request.parse(event(name))

    if name != "create-bad-response-url":
        request.require_answerable(ORIGIN)
        assert request.response_url == f"{ORIGIN}/sandbox/responses/{name}"


LOCAL = "arn:aws:lambda:us-east-1:012345678912:function:InstanceBundleFunction"
"""What Lambda's runtime emulator says to a function that `sam local` invokes (`InvokedFunctionArn`
in cmd/aws-lambda-rie/handlers.go of aws/aws-lambda-runtime-interface-emulator)."""


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "create-bad-response-url"])
def test_a_request_is_taken_where_requests_are_not_verified(name: str) -> None:
    settings = Settings("ledger", "requests", "polls", Limits(response_origin=ORIGIN), "")

    assert isinstance(receive(event(name), LOCAL, settings), RefusedRequest)
    by_hand = replace(settings, verify_requests=False)
    assert receive(event(name), LOCAL, by_hand) == Request.parse(event(name))
    own = event(name)["ServiceToken"]
    assert receive(event(name), own, settings) == Request.parse(event(name))


def test_no_two_requests_are_taken_for_one() -> None:
    keys = [Request.parse(event(name)).key for name in REQUESTS]

    assert len({key.request_id for key in keys}) == len(REQUESTS)


@pytest.mark.parametrize("name", [name for name in REQUESTS if "bad" not in name])
def test_the_properties_are_valid(name: str) -> None:
    raw = event(name)["ResourceProperties"]

    assert problems(raw) == []
    assert Properties.parse(raw).instance_id in (world.INSTANCE_ID, world.EBS_INSTANCE_ID)


def test_the_polls_are_about_the_create_and_the_replacement() -> None:
    made = [Request.parse(event(name)).key for name in ("create", "update-with-replacement")]

    assert keys_of_messages("poll") == made


def test_the_dead_letter_is_about_the_image() -> None:
    assert keys_of_messages("dead-letter") == [Request.parse(event("create-store-image")).key]


def test_the_crashed_event_is_a_request() -> None:
    crashed = Request.parse(event("crashed-event")["requestPayload"])

    crashed.require_answerable(ORIGIN)


def test_updates_and_the_delete_name_the_first_bundle() -> None:
    for name in ("update-in-place", "update-with-replacement", "delete"):
        assert event(name)["PhysicalResourceId"] == world.BUNDLE_ID


def test_the_variables_are_those_that_the_template_names_and_the_sandbox_has() -> None:
    given = event("env")["Parameters"]
    template = deployment.template()
    function = template["Resources"]["InstanceBundleFunction"]["Properties"]
    named = [
        each["Environment"]["Variables"] for each in (template["Globals"]["Function"], function)
    ]

    assert set(given) <= set().union(*named)
    assert given["AWS_ENDPOINT_URL"] == given["SANDBOX_RESPONSE_ORIGIN"] == ORIGIN
    assert given["LEDGER_TABLE"] == world.LEDGER_TABLE
    assert given["REQUEST_TABLE"] == world.REQUEST_TABLE
    assert given["VERIFY_REQUESTS"] == "false"
    assert given["POLL_QUEUE_URL"].startswith(f"{ORIGIN}/")
    assert given["POLL_QUEUE_URL"].endswith(f"/{world.POLL_QUEUE}")
