"""What SQS refuses of messages, and what an old receipt handle does."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.functions import message_rules

from .conftest import Account

LIMIT = 1_048_576
"""Bytes of a message, and of the messages of a batch together."""


@pytest.fixture(autouse=True)
def enforced() -> Iterator[None]:
    with message_rules.enforced():
        yield


@pytest.fixture
def url(account: Account) -> str:
    url, _ = account.create_queue("work")
    return url


def sent(account: Account, url: str, body: str, **settings: Any) -> None:
    account.client("sqs").send_message(QueueUrl=url, MessageBody=body, **settings)


def test_the_size_of_a_message_is_in_bytes_and_includes_its_attributes(
    account: Account, url: str
) -> None:
    sent(account, url, "x" * LIMIT)
    with pytest.raises(ClientError, match="must be shorter than 1048576 bytes"):
        sent(account, url, "x" * (LIMIT + 1))
    with pytest.raises(ClientError, match="must be shorter than 1048576 bytes"):
        sent(account, url, "ä" * (LIMIT // 2 + 1))
    attributes = {"name": {"DataType": "String", "StringValue": "value"}}  # 4 + 6 + 5 bytes
    sent(account, url, "x" * (LIMIT - 15), MessageAttributes=attributes)
    with pytest.raises(ClientError, match="must be shorter than 1048576 bytes"):
        sent(account, url, "x" * (LIMIT - 14), MessageAttributes=attributes)


def test_the_messages_of_a_batch_are_no_larger_than_one_may_be(account: Account, url: str) -> None:
    def send(last: str) -> None:
        bodies = ["ä" * (LIMIT // 4), last]
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        account.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)

    send("x" * (LIMIT // 2))
    with pytest.raises(ClientError, match="BatchRequestTooLong"):
        send("x" * (LIMIT // 2 + 1))


def test_control_characters_are_refused(account: Account, url: str) -> None:
    sent(account, url, "tab\t, line\n and return\r")
    with pytest.raises(ClientError, match="InvalidMessageContents"):
        sent(account, url, "bell \x07")


@pytest.mark.parametrize("batch", [False, True])
def test_only_the_latest_receipt_handle_deletes_a_message(
    account: Account, url: str, batch: bool
) -> None:
    sqs = account.client("sqs")

    def delete(handle: str) -> None:
        if batch:
            entries = [{"Id": "1", "ReceiptHandle": handle}]
            answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            assert [each["Id"] for each in answer["Successful"]] == ["1"]
        else:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    sent(account, url, "kept")
    [first] = account.messages(url)
    sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0
    )
    [second] = account.messages(url)
    delete(first["ReceiptHandle"])
    assert account.held(url) == 1
    delete(second["ReceiptHandle"])
    assert account.held(url) == 0
    delete(second["ReceiptHandle"])


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("send_message", {"MessageBody": "late", "DelaySeconds": 901}),
        ("receive_message", {"WaitTimeSeconds": 21}),
        ("receive_message", {"MaxNumberOfMessages": 11}),
        ("receive_message", {"VisibilityTimeout": 43_201}),
        (
            "send_message_batch",
            {"Entries": [{"Id": str(n), "MessageBody": "many"} for n in range(11)]},
        ),
    ],
)
def test_delays_waits_and_batches_have_limits(
    account: Account, url: str, call: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(account.client("sqs"), call)(QueueUrl=url, **arguments)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert account.held(url) == 0
