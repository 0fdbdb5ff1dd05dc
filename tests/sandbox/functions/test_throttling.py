"""Functions that have no concurrency left: batches of messages, and asynchronous events."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.functions import async_events, event_sources
from sandbox.functions import service as lambda_functions
from tests.fixtures import Clock

from .conftest import Account, wait_for


@contextmanager
def installed(account: Account, **settings: Any) -> Iterator[None]:
    functions = lambda_functions.install({}, account.log, **settings)
    sources = event_sources.install(functions)
    try:
        yield
    finally:
        sources.close()
        functions.close()


def reserve(account: Account, concurrency: int, name: str = "Fn") -> None:
    account.client("lambda").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=concurrency
    )


def send(account: Account, url: str, *bodies: str) -> None:
    for body in bodies:
        account.client("sqs").send_message(QueueUrl=url, MessageBody=body)


def test_messages_of_a_function_that_has_no_concurrency_end_in_the_dead_letter_queue(
    account: Account,
) -> None:
    with installed(account):
        dead, dead_arn = account.create_queue("dead")
        redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
        url, arn = account.create_queue("work", VisibilityTimeout="1", RedrivePolicy=redrive)
        account.deploy("take_batch", Timeout=1)
        reserve(account, 0)
        send(account, url, "never handled")
        account.map_queue(arn)

        [message] = wait_for(lambda: account.messages(dead))

        assert message["Body"] == "never handled"
        assert account.records() == []
        assert account.metric("Throttles") == 3
        assert account.metric("Invocations") == 0


def test_a_throttled_batch_is_tried_again_before_its_messages_are_visible(
    account: Account,
) -> None:
    with installed(account):
        url, arn = account.create_queue("work", VisibilityTimeout="3600")
        account.deploy("take_batch")
        reserve(account, 0)
        send(account, url, "late")
        account.map_queue(arn)
        wait_for(lambda: account.metric("Throttles") >= 2)

        reserve(account, 1)

        [seen] = wait_for(account.records)
        [message] = seen["event"]["Records"]
        assert message["attributes"]["ApproximateReceiveCount"] == "1"
        wait_for(lambda: account.held(url) == 0)


def test_a_mapping_with_a_maximum_concurrency_receives_no_more_than_the_function_can_take(
    account: Account,
) -> None:
    with installed(account):
        url, arn = account.create_queue("work", VisibilityTimeout="3600")
        account.deploy("hold")
        reserve(account, 2)
        send(account, url, "one", "two", "three")
        account.map_queue(arn, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
        wait_for(lambda: len(account.records()) == 2)
        assert account.held(url, "ApproximateNumberOfMessages") == 1
        account.release.touch()
        wait_for(lambda: account.held(url) == 0)
        assert account.metric("Throttles") == 0


def test_a_mapping_without_one_hands_over_five_batches_at_a_time(account: Account) -> None:
    with installed(account):
        url, arn = account.create_queue("work", VisibilityTimeout="3600")
        account.deploy("hold")
        send(account, url, *"1234567")
        account.map_queue(arn, BatchSize=1)
        wait_for(lambda: len(account.records()) == 5)
        assert account.held(url, "ApproximateNumberOfMessages") == 2
        account.release.touch()
        wait_for(lambda: account.held(url) == 0)


def test_all_functions_share_what_the_account_has_and_others_did_not_reserve(
    account: Account,
) -> None:
    with installed(account, concurrency=2):
        for name in ("Fn", "Other", "Reserved"):
            account.deploy("hold", name)
        reserve(account, 1, "Reserved")
        account.invoke(name="Fn", InvocationType="Event")
        wait_for(account.records)
        with pytest.raises(ClientError, match="TooManyRequestsException") as refused:
            account.invoke(name="Other")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert account.metric("Throttles", "Other") == 1

        account.invoke(name="Reserved", InvocationType="Event")
        wait_for(lambda: len(account.records()) == 2)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            account.invoke(name="Reserved")
        account.release.touch()


def test_a_throttled_event_is_tried_less_and_less_often(account: Account, clock: Clock) -> None:
    with installed(account, clock=clock):
        account.deploy("hold")
        reserve(account, 1)
        account.invoke("first", InvocationType="Event")
        wait_for(account.records)
        account.invoke("second", InvocationType="Event")
        wait_for(lambda: account.metric("Throttles") == 1)
        start = clock.now
        for tries, waited in ((2, 1), (3, 1 + 2), (4, 1 + 2 + 4)):
            wait_for(lambda: clock.advance(0.25) and account.metric("Throttles") == tries)  # noqa: B023
            assert clock.now - start >= waited
        account.release.touch()
        wait_for(lambda: clock.advance(1) and len(account.records()) == 2)


def test_a_throttled_event_is_tried_every_five_minutes_at_last() -> None:
    pauses = list(islice(async_events.pauses(), 11))
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_an_event_for_a_function_without_any_concurrency_goes_to_the_destination_at_once(
    account: Account, clock: Clock
) -> None:
    with installed(account, clock=clock):
        url, queue_arn = account.create_queue("failures")
        account.deploy("echo")
        account.client("lambda").put_function_event_invoke_config(
            FunctionName="Fn", DestinationConfig={"OnFailure": {"Destination": queue_arn}}
        )
        reserve(account, 0)
        account.invoke("never handled", InvocationType="Event")
        [message] = wait_for(lambda: account.messages(url))
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert record["requestPayload"] == "never handled"
        assert "responseContext" not in record
