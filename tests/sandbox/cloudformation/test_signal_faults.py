"""Faults that strike signals, and functions that send them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.sandbox.cloudformation.serving import Served, condition, handle, put, signal
from tests.sandbox.cloudformation.support import zipped

SENDER = """
import json, urllib.request

def handler(event, context):
    request = urllib.request.Request(
        event["url"], json.dumps(event["signal"]).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request) as response:
        return response.status
"""


@pytest.fixture
def faulty(served: Served) -> Iterator[Served]:
    """The server, with no faults afterwards."""
    yield served
    urllib3.request("DELETE", f"{served.endpoint}/sandbox/faults")


def waiting(served: Served) -> tuple[str, str]:
    """The ID of a stack whose condition waits, and the URL of its handle."""
    stack_id = served.create({"Handle": handle(), "Condition": condition()})
    return stack_id, served.physical_id(stack_id, "Handle")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("fail", 500, "InternalError"),
        ("throttle", 503, "SlowDown"),
        ("deny", 403, "AccessDenied"),
    ],
)
def test_a_signal_that_a_fault_strikes_gets_s3s_error_and_is_not_received(
    faulty: Served, fault: str, status: int, code: str
) -> None:
    stack_id, url = waiting(faulty)
    faulty.set_fault("signal:Put", fault)

    answer = put(url, signal())

    assert answer.status == status
    assert f"<Error><Code>{code}</Code>".encode() in answer.data
    assert faulty.signals(stack_id) == []
    assert put(url, signal()).status == 200
    faulty.until(stack_id, "CREATE_COMPLETE")


def test_a_signal_whose_answer_is_cut_off_counts(faulty: Served) -> None:
    stack_id, url = waiting(faulty)
    faulty.set_fault("signal:Put", "cut-after")

    with pytest.raises(urllib3.exceptions.ProtocolError):
        put(url, signal())

    faulty.until(stack_id, "CREATE_COMPLETE")
    assert put(url, signal()).status == 200, "a retransmission"


def test_a_fault_finds_a_signal_by_what_it_holds(faulty: Served) -> None:
    stack_id, url = waiting(faulty)
    faulty.set_fault("signal:Put", "fail", holding="step two")
    faulty.set_fault("response:Put", "fail")

    assert put(url, signal(Data="step one")).status == 200
    assert put(url, signal("two", Data="step two")).status == 500

    faulty.until(stack_id, "CREATE_COMPLETE")


def test_a_signal_is_a_call_of_the_function_that_sends_it(faulty: Served) -> None:
    stack_id, url = waiting(faulty)
    name = deployed(faulty)
    event = {"url": url, "signal": signal()}

    faulty.set_fault("*", "kill", about=url, holding=stack_id)
    assert "FunctionError" in invoke(faulty, name, event)
    assert faulty.signals(stack_id) == []
    assert invoke(faulty, name, event)["StatusCode"] == 200

    faulty.until(stack_id, "CREATE_COMPLETE")
    [fault] = faulty.listed("faults")
    assert fault["hits"] == ["signal:Put"]
    made = {(entry["function"], entry["call"]): entry["count"] for entry in listed_calls(faulty)}
    assert made[name, "signal:Put"] == 2


def deployed(served: Served) -> str:
    """The name of a new function that sends the signal of its event."""
    name = f"sender-{uuid.uuid4().hex[:8]}"
    role = served.clients.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    served.clients.client("lambda").create_function(
        FunctionName=name,
        Handler="app.handler",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": zipped(SENDER)},
        Timeout=20,
    )
    return name


def invoke(served: Served, name: str, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = served.clients.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event)
    )
    answer["Payload"].read()
    return answer


def listed_calls(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.listed("api-calls")
    return found
