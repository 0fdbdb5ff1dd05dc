"""The table in this process behaves like the real one, on moto, in all calls of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, ConditionBase
from moto import mock_aws

from instance_bundle.errors import ConditionFailed
from instance_bundle.state.table import NEW, THERE, Table
from tests.model.table import MemoryTable

KEY = {"resource": "arn|Bundle", "item": "request|1"}
ITEM = {
    **KEY,
    "text": "a",
    "number": 5,
    "mark": True,
    "version": 2,
    "owner": "me",
    "due": 1000,
    "lease_until": 2000,
    "request": "{}",
    "generation": 3,
}

CONDITIONS: dict[str, ConditionBase] = {
    "new": NEW,
    "there": THERE,
    "version": Attr("version").eq(2),
    "another version": Attr("version").eq(1),
    "a version that is not there": Attr("nothing").eq(2),
    "never written": THERE & Attr("version").not_exists(),
    "never answered": THERE & Attr("answer").not_exists(),
    "free and due": Attr("generation").between(2, 3)
    & (Attr("due").not_exists() | Attr("due").lte(1000))
    & (Attr("lease_until").lte(2000) & Attr("request").exists()),
    "no longer free": Attr("generation").between(4, 5)
    & (Attr("due").not_exists() | Attr("due").lte(1000)),
    "leased": Attr("lease_until").lte(1999) & Attr("request").exists(),
    "claimable": NEW | Attr("owner").eq("me") | Attr("expires").lt(5),
    "claimed": NEW | Attr("owner").eq("another") | Attr("expires").lt(5),
    "expired": NEW | Attr("due").lt(1001),
    "due later": Attr("request").exists() & Attr("answer").not_exists() & Attr("due").gt(999),
    "due earlier": Attr("due").gt(1000) | Attr("due").gte(1001),
    "due then": Attr("due").gte(1000),
    "due, if at all": Attr("nothing").gt(0) | Attr("nothing").gte(0),
    "instead of": (NEW | Attr("owner").eq("another")) | Attr("owner").eq("me"),
    "of another type": Attr("text").eq(5),
}


@pytest.fixture
def real() -> Iterator[Table]:
    with mock_aws():
        import boto3

        boto3.client("dynamodb", region_name="us-east-1").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "resource", "AttributeType": "S"},
                {"AttributeName": "item", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "resource", "KeyType": "HASH"},
                {"AttributeName": "item", "KeyType": "RANGE"},
            ],
        )
        yield Table("ledger")


def calls(condition: ConditionBase) -> list[Callable[[Any], Any]]:
    return [
        lambda table: table.put({**KEY, "text": "b"}, condition),
        lambda table: table.update(
            KEY, {"text": "b"}, condition, removes=("mark",), adds={"version": 1, "begun": 1}
        ),
        lambda table: table.update(KEY, {"text": "b", "new": 1}, condition),
        lambda table: table.update(KEY, {}, condition, adds={"version": 1}),
    ]


def test_both_tables_evaluate_conditions_alike(real: Table) -> None:
    for name, condition in CONDITIONS.items():
        for is_there in (True, False):
            for number, call in enumerate(calls(condition)):
                compare(real, call, f"{name}, call {number}", is_there=is_there)


def test_only_its_owner_deletes_a_claim(real: Table) -> None:
    for owner in ("me", "another"):
        for is_there in (True, False):
            condition = Attr("owner").eq(owner)
            compare(real, lambda t: t.delete(KEY, condition), owner, is_there=is_there)  # noqa: B023


def compare(real: Table, call: Callable[[Any], Any], name: str, *, is_there: bool) -> None:
    memory = MemoryTable()
    if real.query(KEY["resource"]):
        real.delete(KEY, Attr("item").eq(KEY["item"]))
    if is_there:
        real.put(ITEM)
        memory.put(ITEM)

    assert outcome(call, memory) == outcome(call, real), name
    assert memory.query(KEY["resource"]) == plain(real.query(KEY["resource"])), name


def outcome(call: Callable[[Any], Any], table: Any) -> Any:
    try:
        return plain(call(table))
    except ConditionFailed as failed:
        return "failed", plain(failed.item)


def plain(value: Any) -> Any:
    """With the types that both tables have."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, Decimal) else value


def test_a_query_returns_items_in_the_order_of_their_range_keys(real: Table) -> None:
    memory = MemoryTable()
    for table in (real, memory):
        for item in ("request|2", "bundle|b", "request|1"):
            table.put({"resource": "arn", "item": item})

    assert memory.query("arn") == real.query("arn")


def test_no_float_is_stored() -> None:
    with pytest.raises(AssertionError, match="can't be stored"):
        MemoryTable().put({**KEY, "number": 1.5})
