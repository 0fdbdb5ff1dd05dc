"""Limits of AWS's services that moto has, and that the application comes near to."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.server import Server

ITEM_BYTES = 400 * 1024
"""Of names and values
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Server() as server:
        yield Clients(server.endpoint)


def test_an_item_of_dynamodb_has_at_most_400_kilobytes(clients: Clients) -> None:
    dynamodb = clients.client("dynamodb")
    dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def put(size: int) -> None:
        rest = "x" * (size - len("id" + "item" + "text"))
        item = {"id": {"S": "item"}, "text": {"S": rest}}
        dynamodb.put_item(TableName="table", Item=item)

    put(ITEM_BYTES - 10_000)  # moto's limit is 405,000 bytes
    with pytest.raises(ClientError) as refusal:
        put(ITEM_BYTES + 1)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert (
        "size has exceeded the maximum allowed size" in refusal.value.response["Error"]["Message"]
    )
