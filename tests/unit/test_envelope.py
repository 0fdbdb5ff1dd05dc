"""What wraps a request is taken off, and nothing else."""

import json
from typing import Any

import pytest

from instance_bundle.errors import InvalidEvent
from instance_bundle.request.envelope import unwrapped

REQUEST = {"RequestType": "Create", "RequestId": "r1"}


def record(message: Any) -> dict[str, Any]:
    """A record of the event that Amazon SNS invokes a function with."""
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:requests:1",
        "Sns": {
            "Type": "Notification",
            "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:requests",
            "Subject": "AWS CloudFormation custom resource request",
            "Message": message,
        },
    }


SENT = {"Records": [record(json.dumps(REQUEST))]}


@pytest.mark.parametrize(
    "event",
    [
        REQUEST,
        SENT,
        {"requestPayload": REQUEST},
        {"requestPayload": SENT},
        {"requestPayload": {"requestPayload": SENT, "responsePayload": {}}},
    ],
)
def test_a_request_is_found_in_what_wraps_it(event: Any) -> None:
    assert unwrapped(event) == REQUEST


@pytest.mark.parametrize(
    "event",
    [
        None,
        7,
        [],
        "text",
        {"Records": []},
        {"Records": "text"},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"Records": [7, None]},
    ],
)
def test_what_is_no_message_of_sns_is_left_as_it_is(event: Any) -> None:
    assert unwrapped(event) is event


@pytest.mark.parametrize(
    ("records", "named"),
    [
        ([record("{}"), record("{}")], "has one, not 2"),
        ([record("{}"), {"eventSource": "aws:sqs"}], "has one, not 2"),
        ([{"EventSource": "aws:sns"}], r"Records\[0\].Sns.Message: "),
        ([{"EventSource": "aws:sns", "Sns": "text"}], r"Records\[0\].Sns.Message: "),
        ([record(None)], "a text"),
        ([record({"RequestType": "Create"})], "a text"),
        ([record("")], "no JSON object"),
        ([record("{")], "no JSON object"),
        ([record("[]")], "no JSON object"),
        ([record("7")], "no JSON object"),
        ([record("[" * 100_000)], "no JSON object"),
    ],
)
def test_a_message_that_holds_no_request_is_refused(records: list[Any], named: str) -> None:
    with pytest.raises(InvalidEvent, match=named):
        unwrapped({"Records": records})


def test_a_message_is_unwrapped_once() -> None:
    """What it holds is CloudFormation's, which wraps nothing."""
    event = {"Records": [record(json.dumps({"requestPayload": REQUEST}))]}

    assert unwrapped(event) == {"requestPayload": REQUEST}
