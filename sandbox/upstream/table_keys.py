"""The keys that the tables of DynamoDB are encrypted by, and their changes.

Until a change of the key is complete, DynamoDB needs the former key, too. It is complete when the
status of SSEDescription is ENABLED again
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html). No
page says how long that takes, or that CloudFormation waits for it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

CHANGE = 10.0
"""Seconds that a change of the key takes."""

_CHANGED = "sandbox_key_change"
"""The attribute of a table that has the former key, and when the change is complete."""


def encrypt(table: Table, specification: Mapping[str, Any]) -> None:
    """Encrypt a table as specified, as the API has it: `Enabled`, `SSEType`, `KMSMasterKeyId`."""
    former = _own(table)
    default = table._get_default_encryption_key(table.account_id, table.region_name)
    table.sse_specification = {"KMSMasterKeyId": default, **specification}
    if former is not None and former != _own(table):
        setattr(table, _CHANGED, (former, time.monotonic() + CHANGE))


def keys_of(table: Table) -> list[str]:
    """The keys that DynamoDB uses for the table on behalf of a caller."""
    keys = [_own(table), _former(table)]
    return [key for key in keys if key is not None]


def _own(table: Table) -> str | None:
    encryption = table.sse_specification or {}
    return encryption.get("KMSMasterKeyId") if encryption.get("SSEType") == "KMS" else None


def _former(table: Table) -> str | None:
    former, until = vars(table).get(_CHANGED, (None, 0.0))
    return former if time.monotonic() < until else None


@contextmanager
def changeable() -> Iterator[None]:
    """Have UpdateTable change the keys of moto's tables, and DescribeTable show that."""
    with (
        patch.object(Table, "describe", _showing(Table.describe)),
        patch.object(DynamoHandler, "update_table", _encrypting(DynamoHandler.update_table)),
    ):
        yield


def _showing(describe: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(describe)
    def described(table: Table, base_key: str = "TableDescription") -> dict[str, Any]:
        found = describe(table, base_key)
        if _former(table) is not None:
            found[base_key]["SSEDescription"]["Status"] = "UPDATING"
        return found

    return described


def _encrypting(update: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(update)
    def updated(handler: DynamoHandler) -> Any:
        body = handler.body
        if "SSESpecification" in body:
            encrypt(handler.dynamodb_backend.get_table(body["TableName"]), body["SSESpecification"])
        return update(handler)

    return updated
