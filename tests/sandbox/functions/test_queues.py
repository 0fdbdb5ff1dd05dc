from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import Message, Queue, sqs_backends

from sandbox.functions import queues
from tests.sandbox.functions.conftest import Account

_DAY = 86_400_000
"""Milliseconds."""


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with queues.quick():
        yield


def kept(account: Account, **attributes: str) -> tuple[str, Queue]:
    """The URL of a new queue, and moto's queue."""
    url = account.client("sqs").create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
    return url, sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].get_queue("work")


def bodies(account: Account, url: str) -> list[str]:
    answer = account.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def test_only_messages_that_are_due_and_not_in_flight_are_received(account: Account) -> None:
    url, queue = kept(account)
    sqs = account.client("sqs")
    for body, delay in (("first", 0), ("delayed", 900), ("last", 0)):
        sqs.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=delay)

    assert bodies(account, url) == ["first", "last"]
    assert bodies(account, url) == []

    first, delayed, _ = _messages(queue)
    first.visible_at = delayed.delayed_until = 0.0
    assert bodies(account, url) == ["first", "delayed"]


def test_a_message_is_received_until_its_retention_period_is_over(account: Account) -> None:
    url, queue = kept(account, MessageRetentionPeriod="172800", VisibilityTimeout="0")
    account.client("sqs").send_message(QueueUrl=url, MessageBody="old")
    [message] = _messages(queue)

    sent: Any = message.sent_timestamp
    vars(message)["sent_timestamp"] = sent - _DAY
    assert bodies(account, url) == ["old"]
    vars(message)["sent_timestamp"] = sent - 2 * _DAY
    assert bodies(account, url) == []


def _messages(queue: Queue) -> list[Message]:
    return queue._messages
