"""Functions as on-failure destinations of asynchronous invocations."""

import logging
from collections.abc import Iterator

import pytest

from sandbox.functions import service as lambda_functions
from sandbox.observation.calls_made import CallsMade

from .conftest import Account, wait_for


@pytest.fixture
def calls(account: Account) -> Iterator[CallsMade]:
    """The calls of functions whose retries come at once."""
    calls = CallsMade()
    service = lambda_functions.install({}, account.log, retry_delays=(0.0, 0.0), calls=calls)
    yield calls
    service.close()


def send_failures_to(account: Account, destination: str, name: str = "Fn") -> None:
    account.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": destination}},
    )


def test_a_function_gets_the_record_of_an_event_that_failed_to_the_end(
    account: Account, calls: CallsMade
) -> None:
    failing, destination = account.deploy("die"), account.deploy("fail", "Last")
    send_failures_to(account, destination)

    account.invoke({"key": "value"}, InvocationType="Event")

    # The destination fails too, and is tried again by its own config, which is the default.
    first, second, *taken = wait_for(lambda: (found := account.records())[4:] and found)
    assert first["request_id"] == second["request_id"]
    assert len({record["request_id"] for record in taken}) == 1
    record = taken[0]["event"]
    assert [again["event"] for again in taken] == [record] * 3
    assert record["requestContext"] == {
        "requestId": first["request_id"],
        "functionArn": f"{failing}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert record["requestPayload"] == {"key": "value"}
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorType"] == "Runtime.ExitError"
    assert {"function": "Fn", "call": "lambda:InvokeFunction", "count": 1} in calls.described()


def test_a_queue_as_destination_takes_permission_to_send(
    account: Account, calls: CallsMade
) -> None:
    account.deploy("fail")
    url, arn = account.create_queue("failures")
    send_failures_to(account, arn)

    account.invoke(InvocationType="Event")

    wait_for(lambda: account.messages(url))
    wait_for(calls.described)
    assert calls.described() == [{"function": "Fn", "call": "sqs:SendMessage", "count": 1}]


@pytest.mark.parametrize(
    ("destination", "words", "called"),
    [
        (
            "arn:aws:lambda:us-east-1:123456789012:function:Gone",
            "could not be reached",
            ["lambda:InvokeFunction"],
        ),
        ("arn:aws:sqs:us-east-1:123456789012:gone", "could not be reached", ["sqs:SendMessage"]),
        ("arn:aws:sns:us-east-1:123456789012:topic", "is not supported", []),
    ],
)
def test_a_destination_that_takes_nothing_is_logged(
    account: Account,
    calls: CallsMade,
    caplog: pytest.LogCaptureFixture,
    destination: str,
    words: str,
    called: list[str],
) -> None:
    caplog.set_level(logging.WARNING, "sandbox")
    account.deploy("fail")
    send_failures_to(account, destination)

    account.invoke(InvocationType="Event")

    wait_for(lambda: f"destination {destination} {words}" in caplog.text)
    assert [made["call"] for made in calls.described()] == called
