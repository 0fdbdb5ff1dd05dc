"""How large requests, events, records of failures and batches of messages may be."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from sandbox.functions import event_sources
from sandbox.functions.service import Functions

from .conftest import Account, wait_for

MIB = 1_048_576
QUOTES = 2
"""Bytes around a text that is a payload."""


@pytest.fixture(autouse=True)
def sources(functions: Functions) -> Iterator[None]:
    sources = event_sources.install(functions)
    yield
    sources.close()


def test_a_request_that_waits_has_six_mib_at_most(account: Account) -> None:
    account.deploy("take_anything")
    account.invoke("x" * (6 * MIB - QUOTES))
    with pytest.raises(ClientError, match="RequestEntityTooLargeException") as refused:
        account.invoke("x" * (6 * MIB - QUOTES + 1))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_answer_has_six_mib_at_most(account: Account, functions: Functions) -> None:
    """moto refuses answers from 6,000,000 bytes on, whatever the runtime took."""
    account.deploy("grow")

    assert len(account.invoke({"size": 5_900_000})["Payload"]) == 5_900_000
    refused = account.invoke({"size": 6 * MIB + 100})
    assert refused["FunctionError"] == "Unhandled"
    assert refused["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(account.invoke({"size": 1})["Payload"]) == 1


def test_an_event_has_one_mib_at_most(account: Account) -> None:
    account.deploy("take_anything")
    account.invoke("x" * (MIB - QUOTES), InvocationType="Event")
    with pytest.raises(ClientError, match="RequestEntityTooLargeException") as refused:
        account.invoke("x" * (MIB - QUOTES + 1), InvocationType="Event")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize("destination", ["function", "queue"])
def test_a_record_that_is_larger_than_the_destination_takes_is_lost(
    account: Account, destination: str
) -> None:
    account.deploy("fail")
    last = account.deploy("take_anything", "Last")
    url, queue_arn = account.create_queue("failures")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn",
        MaximumRetryAttempts=0,
        DestinationConfig={
            "OnFailure": {"Destination": last if destination == "function" else queue_arn}
        },
    )
    account.invoke("x" * (MIB - QUOTES), InvocationType="Event")
    wait_for(lambda: account.metric("DestinationDeliveryFailures") == 1)
    wait_for(lambda: account.metric("AsyncEventsDropped") == 1)
    assert account.metric("AsyncEventsReceived", "Last") == 0
    assert account.held(url) == 0


def test_messages_that_are_too_large_for_one_invocation_come_in_several(account: Account) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    for _ in range(8):
        account.client("sqs").send_message(QueueUrl=url, MessageBody="x" * MIB)
    account.map_queue(arn)
    wait_for(lambda: account.held(url) == 0)
    events = [record["event"] for record in account.records()]
    assert [len(event["Records"]) for event in events] == [5, 3]
    assert max(len(json.dumps(event)) for event in events) <= 6 * MIB
