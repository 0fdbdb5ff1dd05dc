"""Which events are requests."""

from typing import Any

import pytest

from instance_bundle.errors import InvalidEvent
from instance_bundle.request import Request

EVENT = {
    "RequestType": "Delete",
    "ResponseURL": "https://example.com/",
    "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/1",
    "RequestId": "r1",
    "LogicalResourceId": "Bundle",
    "PhysicalResourceId": "bun-1",
    "ResourceProperties": {"InstanceId": "i-1"},
    "ResourceType": "Custom::InstanceBundle",
}


def test_an_event_becomes_a_request() -> None:
    request = Request.parse(EVENT)

    assert (request.request_type, request.physical_id) == ("Delete", "bun-1")
    assert (request.stack_name, request.logical_id, request.request_id) == ("web", "Bundle", "r1")
    assert request.properties == {"InstanceId": "i-1"}


def test_a_request_survives_being_an_event_again() -> None:
    request = Request.parse(EVENT)

    assert Request.parse(request.as_event()) == request


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ("text", "event"),
        (None, "event"),
        ([], "event"),
        ({}, "RequestType"),
        (EVENT | {"RequestType": "Upsert"}, "RequestType"),
        (EVENT | {"RequestId": 7}, "RequestId"),
        (EVENT | {"StackId": ""}, "StackId"),
        ({k: v for k, v in EVENT.items() if k != "ResponseURL"}, "ResponseURL"),
        ({k: v for k, v in EVENT.items() if k != "PhysicalResourceId"}, "PhysicalResourceId"),
    ],
)
def test_what_is_no_request_is_refused_by_the_member_that_is_wrong(event: Any, named: str) -> None:
    with pytest.raises(InvalidEvent, match=named):
        Request.parse(event)
