"""The trace headers of messages, by SendMessage, SendMessageBatch and ReceiveMessage."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.functions import trace_headers
from sandbox.functions.lineage import HEADER

from .conftest import Account

OF_REQUEST = "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:1|68fd508a:5"
OWN = "Root=1-5759e988-bd862e3fe1be46a994272794"


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    with trace_headers.kept():
        yield


@pytest.fixture
def url(account: Account) -> str:
    url, _ = account.create_queue("work", MaximumMessageSize="1024")
    return url


def with_header(account: Account) -> Any:
    """A client of SQS's that sends a trace header, encoded as botocore does."""
    client = account.client("sqs")

    def add_header(params: dict[str, Any], **_: Any) -> None:
        params["headers"][HEADER] = OF_REQUEST.replace("|", "%7C")

    client.meta.events.register("before-call.sqs", add_header)
    return client


def received(account: Account, url: str) -> dict[str, str | None]:
    return {
        message["Body"]: message["Attributes"].get("AWSTraceHeader")
        for message in account.messages(url)
    }


def test_messages_have_the_trace_header_of_their_request(account: Account, url: str) -> None:
    client = with_header(account)
    client.send_message(QueueUrl=url, MessageBody="one")
    entries = [{"Id": body, "MessageBody": body} for body in ("two", "three")]
    client.send_message_batch(QueueUrl=url, Entries=entries)
    assert received(account, url) == dict.fromkeys(("one", "two", "three"), OF_REQUEST)


def test_the_message_system_attribute_goes_before_the_header(account: Account, url: str) -> None:
    client = with_header(account)
    own = {"AWSTraceHeader": {"DataType": "String", "StringValue": OWN}}
    client.send_message(QueueUrl=url, MessageBody="one", MessageSystemAttributes=own)
    entries = [
        {"Id": "two", "MessageBody": "two", "MessageSystemAttributes": own},
        {"Id": "three", "MessageBody": "three"},
    ]
    client.send_message_batch(QueueUrl=url, Entries=entries)
    assert received(account, url) == {"one": OWN, "two": OWN, "three": OF_REQUEST}


def test_a_message_without_a_trace_header_has_none(account: Account, url: str) -> None:
    account.client("sqs").send_message(QueueUrl=url, MessageBody="one")
    assert received(account, url) == {"one": None}


def test_the_trace_header_does_not_count_towards_the_size(account: Account, url: str) -> None:
    body = "x" * 1024
    with_header(account).send_message(QueueUrl=url, MessageBody=body)
    assert received(account, url) == {body: OF_REQUEST}
