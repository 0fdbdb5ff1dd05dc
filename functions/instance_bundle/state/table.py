"""One DynamoDB table: items by their keys, and conditional writes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.errors import ConditionFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import DeleteItemInputTypeDef, PutItemInputTypeDef

Item = Mapping[str, Any]
"""An item: its attributes by their names, among them its key, `resource` and `item`."""

NEW = Attr("item").not_exists()
"""There is no such item yet."""
THERE = Attr("item").exists()
"""There is such an item."""

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Table:
    """The table. Each call may raise what `aws.calling` raises.

    Args:
        name: of the table.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def query(self, resource: str) -> list[Item]:
        """All items of a resource as they are now."""
        with aws.calling("dynamodb:Query"):
            pages = (
                aws.dynamodb()
                .get_paginator("query")
                .paginate(
                    TableName=self._name,
                    ConsistentRead=True,
                    KeyConditionExpression="#resource = :resource",
                    ExpressionAttributeNames={"#resource": "resource"},
                    ExpressionAttributeValues=_wire({":resource": resource}),
                )
            )
            return [_plain(item) for page in pages for item in page["Items"]]

    def put(self, item: Item, condition: ConditionBase | None = None) -> None:
        """Write an item; it replaces one with the same key.

        Raises:
            ConditionFailed: the condition does not hold; nothing is written.
        """
        request: PutItemInputTypeDef = {"TableName": self._name, "Item": _wire(item)}
        if condition is not None:
            _require(request, condition)
        with _writing("dynamodb:PutItem"):
            aws.dynamodb().put_item(**request)

    def update(
        self,
        key: Item,
        sets: Item,
        condition: ConditionBase,
        *,
        removes: tuple[str, ...] = (),
        adds: Mapping[str, int | set[str]] | None = None,
    ) -> Item:
        """Change attributes of an item; returns the item as it is then.

        Args:
            key: of the item.
            sets: attributes with their new values.
            condition: what must hold.
            removes: attributes to remove.
            adds: numbers to add to attributes, or members to add to sets; an absent attribute
                counts as 0, or as an empty set.

        Raises:
            ConditionFailed: the condition does not hold; nothing is changed.
        """
        built = ConditionExpressionBuilder().build_expression(condition)
        names = dict(built.attribute_name_placeholders)
        values = dict(built.attribute_value_placeholders)
        changes = {**sets, **(adds or {})}
        for name, value in changes.items():
            names[f"#{name}"], values[f":{name}"] = name, value
        names |= {f"#{name}": name for name in removes}
        clauses = (
            ("SET", [f"#{name} = :{name}" for name in sets]),
            ("ADD", [f"#{name} :{name}" for name in adds or {}]),
            ("REMOVE", [f"#{name}" for name in removes]),
        )
        with _writing("dynamodb:UpdateItem"):
            response = aws.dynamodb().update_item(
                TableName=self._name,
                Key=_wire(key),
                UpdateExpression=" ".join(
                    f"{verb} {', '.join(terms)}" for verb, terms in clauses if terms
                ),
                ConditionExpression=built.condition_expression,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_wire(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return _plain(response.get("Attributes", {}))

    def delete(self, key: Item, condition: ConditionBase | None = None) -> None:
        """Delete an item, if there is one.

        Raises:
            ConditionFailed: the condition does not hold; nothing is deleted.
        """
        with _writing("dynamodb:DeleteItem"):
            aws.dynamodb().delete_item(**deletion(self._name, key, condition))


def deletion(
    table: str, key: Item, condition: ConditionBase | None = None
) -> "DeleteItemInputTypeDef":
    """The request that deletes an item, if the condition holds."""
    request: DeleteItemInputTypeDef = {"TableName": table, "Key": _wire(key)}
    if condition is not None:
        _require(request, condition)
    return request


def _require(
    request: "PutItemInputTypeDef | DeleteItemInputTypeDef", condition: ConditionBase
) -> None:
    """Add a condition to a request."""
    built = ConditionExpressionBuilder().build_expression(condition)
    request["ConditionExpression"] = built.condition_expression
    request["ExpressionAttributeNames"] = built.attribute_name_placeholders
    if built.attribute_value_placeholders:  # DynamoDB refuses an empty map
        request["ExpressionAttributeValues"] = _wire(built.attribute_value_placeholders)
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"


@contextmanager
def _writing(call: str) -> Iterator[None]:
    with aws.calling(call):
        try:
            yield
        except ClientError as error:
            _raise_failed_condition(error)


def _raise_failed_condition(error: ClientError) -> NoReturn:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    found: Any = error.response.get("Item")
    raise ConditionFailed(_plain(found) if found else None) from error


def _wire(values: Item) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in values.items()}


def _plain(item: Item) -> Item:
    return {name: _deserialize(value) for name, value in item.items()}
