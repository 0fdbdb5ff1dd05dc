"""What the target of a rule gets of an event: all of it, a part, a constant, or another text.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+|\*)\]")
_STRING_OR_NAME = re.compile(r'"(?:\\.|[^"\\])*"|<([^<>"]+)>', re.DOTALL)
_NAME = re.compile(r"<([^<>]+)>")


class InvalidJson(ValueError):
    """What an input transformer made of an event is no JSON, and should be."""


def compact(value: Any) -> str:
    """JSON without white space, as EventBridge sends it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def input_of(
    target: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str, received: str
) -> str:
    """The text that a target gets.

    Args:
        target: as PutTargets has it.
        received: when EventBridge got the event, in ISO 8601.

    Raises:
        InvalidJson: the target's transformer makes none.
    """
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return compact(_found(target["InputPath"], event))
    transformer = target.get("InputTransformer")
    if not transformer:
        return compact(event)
    values = {
        name: _found(path, event) for name, path in transformer.get("InputPathsMap", {}).items()
    }
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event": dict(event),
        "aws.events.event.json": compact(event),
        "aws.events.event.ingestion-time": received,
    }
    return _filled(transformer["InputTemplate"], values)


def _found(path: str, event: Any) -> Any:
    """The value at a JSON path; None where there is nothing."""
    found = [event]
    many = False
    for name, index in _STEP.findall(path.removeprefix("$")):
        if index == "*" or name == "*":
            many = True
            found = [each for node in found for each in _children(node)]
        elif index:
            found = [
                node[int(index)] for node in found if isinstance(node, list) and node[int(index) :]
            ]
        else:
            found = [node[name] for node in found if isinstance(node, dict) and name in node]
    if many:
        return found
    return found[0] if found else None


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Variables between quotation marks are text, as it is ("EventBridge doesn't escape values");
    others are JSON. A variable that is missing is left out."""

    def inside(name: re.Match[str]) -> str:
        value = values.get(name[1])
        return value if isinstance(value, str) else "" if value is None else compact(value)

    def outside(found: re.Match[str]) -> str:
        if found[1] is None:
            return _NAME.sub(inside, found[0])
        value = values.get(found[1])
        return "" if value is None else compact(value)

    if not template.lstrip().startswith(("{", "[", '"')):
        return _NAME.sub(inside, template)
    filled = _STRING_OR_NAME.sub(outside, template)
    try:
        return compact(json.loads(filled))
    except ValueError as problem:
        raise InvalidJson(f"{problem}: {filled}") from None
