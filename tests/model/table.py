"""A DynamoDB table in this process, with the interface of `state.table.Table`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from boto3.dynamodb.conditions import ConditionBase

from instance_bundle.errors import ConditionFailed
from instance_bundle.state import Ledger, Record
from instance_bundle.state.table import Item

OnWrite = Callable[[Item | None, Item | None], None]
"""Is called with an item before and after a write; None if there is no item."""


class Stored(dict[str, Any]):
    """A stored item; it is never changed. record: the decoded item."""

    record: Record | None = None


def in_memory(ledger: Ledger, table: MemoryTable) -> None:
    """Give a ledger a table in memory, in all of its parts, and another one for the texts."""
    for part in (ledger, *vars(ledger).values()):
        if hasattr(part, "_table"):
            part._table = table
    ledger.texts._table = MemoryTable()  # type: ignore[assignment]


class MemoryTable:
    """The table; it evaluates the ledger's conditions.

    A write replaces the item and does not change it, so callers can keep items.

    Args:
        on_write: is called after each write that is not refused.
    """

    def __init__(self, on_write: OnWrite = lambda _before, _after: None) -> None:
        self._items: dict[str, dict[str, Item]] = defaultdict(dict)
        self._on_write = on_write

    def query(self, resource: str) -> list[Item]:
        """As `Table.query`, in the order of the range keys."""
        return [item for _, item in sorted(self._items[resource].items())]

    def put(self, item: Item, condition: ConditionBase | None = None) -> None:
        """As `Table.put`."""
        before = self._require(item, condition)
        self._write(before, Stored(_storable(item)))

    def update(
        self,
        key: Item,
        sets: Item,
        condition: ConditionBase,
        *,
        removes: tuple[str, ...] = (),
        adds: Mapping[str, int | set[str]] | None = None,
    ) -> Item:
        """As `Table.update`."""
        before = self._require(key, condition)
        named = [*sets, *removes, *(adds or {})]
        assert len(named) == len(set(named)), f"DynamoDB refuses an attribute named twice: {named}"
        after = Stored({**(before or key), **_storable(sets)})
        for name, added in (adds or {}).items():
            if isinstance(added, set):
                after[name] = {*after.get(name, ()), *added}
            else:
                after[name] = after.get(name, 0) + added
        for name in removes:
            after.pop(name, None)
        self._write(before, after)
        return after

    def delete(self, key: Item, condition: ConditionBase | None = None) -> None:
        """As `Table.delete`."""
        before = self._require(key, condition)
        if before is not None:
            del self._items[key["resource"]][key["item"]]
            self._on_write(before, None)

    def _require(self, key: Item, condition: ConditionBase | None) -> Item | None:
        found = self._items[key["resource"]].get(key["item"])
        if condition is not None and not holds(condition, found or {}):
            raise ConditionFailed(found)
        return found

    def _write(self, before: Item | None, after: Stored) -> None:
        self._items[after["resource"]][after["item"]] = after
        self._on_write(before, after)


def holds(condition: Any, item: Item) -> bool:
    """Whether a condition holds for an item; a missing item is empty."""
    expression = condition.get_expression()
    operator, values = expression["operator"], expression["values"]
    if operator in _JOINED:
        return _JOINED[operator](holds(value, item) for value in values)
    name, given = values[0].name, values[1:]
    if operator == "attribute_exists":
        return name in item
    if operator == "attribute_not_exists":
        return name not in item
    return name in item and _COMPARED[operator](item[name], *given)


_JOINED: Mapping[str, Callable[[Any], bool]] = {"AND": all, "OR": any}
_COMPARED: Mapping[str, Callable[..., bool]] = {
    "=": lambda value, other: type(value) is type(other) and bool(value == other),
    "<": lambda value, other: bool(value < other),
    "<=": lambda value, other: bool(value <= other),
    ">": lambda value, other: bool(value > other),
    ">=": lambda value, other: bool(value >= other),
    "BETWEEN": lambda value, low, high: bool(low <= value <= high),
}


def _storable(item: Item) -> dict[str, Any]:
    """The attributes, if the ledger may write their types: boto3 refuses a float."""
    for name, value in item.items():
        assert isinstance(value, str | int | bool), f"{name} can't be stored: {value!r}"
    return dict(item)
