"""Properties that the schemas of AWS's types do not have, lack, or have of another type.

CloudFormation refuses them when the resource's turn comes. Its words: an unknown property,
https://github.com/aws/aws-cdk/issues/28984; one that is missing,
https://github.com/aws-cloudformation/iac-model-evaluation/issues/29; another type,
https://github.com/aws-cloudformation/cfn-lint/issues/3223. Not checked here are patterns, lengths
and enumerations of values, and which properties exclude each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.cloudformation.providers import Failed, Finished, Made, Order, Provider, Work
from sandbox.cloudformation.schemas import schema

_NAMES = {
    "array": "JSONArray",
    "boolean": "Boolean",
    "integer": "Integer",
    "number": "Number",
    "object": "JSONObject",
    "string": "String",
}
_DEPTH = 30  # some definitions contain themselves


def problem(order: Order) -> str | None:
    """Why the resource's properties are refused."""
    found = schema(order.type, order.region)
    if found is None:
        return None
    problems = list(_problems(order.properties, found, found, "#", _DEPTH))
    if not problems:
        return None
    listed = "\n".join(problems)
    return f"Properties validation failed for resource {order.logical_id} with message:\n{listed}"


def _problems(
    value: Any, part: Mapping[str, Any], whole: Mapping[str, Any], path: str, depth: int
) -> Iterator[str]:
    """part: the schema's part about the value."""
    part = _referred(part, whole)
    kinds = part.get("type", "object" if part.get("properties") else None)
    wanted = [kinds] if isinstance(kinds, str) else list(kinds or [])
    if wanted and not any(_is_of(value, kind) for kind in wanted):
        yield f"{path}: expected type: {_NAMES.get(wanted[0], wanted[0])}, found: {_kind(value)}"
    elif isinstance(value, dict) and depth:
        yield from _problems_of_object(value, part, whole, path, depth - 1)
    elif isinstance(value, list) and isinstance(part.get("items"), dict) and depth:
        for index, item in enumerate(value):
            yield from _problems(item, part["items"], whole, f"{path}/{index}", depth - 1)


def _problems_of_object(
    value: Mapping[str, Any],
    part: Mapping[str, Any],
    whole: Mapping[str, Any],
    path: str,
    depth: int,
) -> Iterator[str]:
    known: Mapping[str, Any] = part.get("properties", {})
    patterns: Mapping[str, Any] = part.get("patternProperties", {})
    for name in part.get("required", []):
        if name not in value:
            yield f"{path}: required key [{name}] not found"
    for name, item in value.items():
        if name in known:
            yield from _problems(item, known[name], whole, f"{path}/{name}", depth)
        elif (
            part.get("additionalProperties") is False
            and (known or patterns)
            and not any(_matches(pattern, name) for pattern in patterns)
        ):
            yield f"{path}: extraneous key [{name}] is not permitted"


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # it is written for Java, whose classes of characters Python lacks
        return True


def _referred(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that a ``$ref`` names, if it is one."""
    for _ in range(_DEPTH):
        reference = part.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return part
        found: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step, {})
        part = found
    return {}


def _is_of(value: Any, kind: str) -> bool:
    """Whether the value is of the type, or CloudFormation makes it so: "CloudFormation service
    cast most types" (https://github.com/aws-cloudformation/cloudformation-cli/issues/435)."""
    written = str(value)
    match kind:
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "boolean":
            return isinstance(value, bool) or written in ("true", "false", "True", "False")
        case "integer" | "number":
            return not isinstance(value, bool | dict | list) and _is_number(written)
        case "string":
            return not isinstance(value, dict | list)
    return True


def _is_number(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


def _kind(value: Any) -> str:
    for kind, types in {"array": list, "object": dict, "boolean": bool, "string": str}.items():
        if isinstance(value, types):
            return _NAMES[kind]
    return "Number" if isinstance(value, float) else "Integer"


class Checked:
    """A provider of AWS's types, whose properties are checked first."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def create(self, order: Order) -> Work:
        refused = problem(order)
        return Finished(Failed(refused)) if refused else self._provider.create(order)

    def update(self, order: Order, made: Made) -> Work:
        refused = problem(order)
        if refused:
            return Finished(Failed(refused, untouched=True))
        return self._provider.update(order, made)

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Work:
        return self._provider.delete(order, physical_id, made)
