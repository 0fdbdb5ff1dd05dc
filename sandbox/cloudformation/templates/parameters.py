"""The parameters of a template: their values, checked, and pseudo parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.ssm.models import ssm_backends
from moto.utilities.utils import get_partition

from sandbox.cloudformation import template_limits
from sandbox.cloudformation.intrinsics import invalid, text

PSEUDO = (
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
)


def pseudo_parameters(
    stack_id: str, stack_name: str, region: str, account: str, topics: list[str]
) -> dict[str, Any]:
    """The values of ``AWS::StackId``, ``AWS::Region`` and their like."""
    partition = get_partition(region)
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": topics,
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
    }


def texts_of(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts: dict[str, str] = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is not None:
            texts[name] = ",".join(map(text, value)) if isinstance(value, list) else text(value)
    missing = [name for name in declared if name not in texts]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    template_limits.check_values(texts)
    for name, value in texts.items():
        _check_parameter(name, declared[name], value)
    return texts


def _check_parameter(name: str, declaration: Mapping[str, Any], value: str) -> None:
    problem = _parameter_problem(declaration, value)
    if not problem:
        return
    described = declaration.get("ConstraintDescription")
    raise invalid(
        f"Parameter '{name}' failed to satisfy constraint: {described}"
        if described
        else f"Parameter '{name}' {problem}"
    )


def _parameter_problem(declaration: Mapping[str, Any], value: str) -> str | None:
    kind = str(declaration.get("Type", "String"))
    items = _items(value) if _is_list(kind) else [value]
    if "AllowedValues" in declaration:
        allowed = [text(choice) for choice in declaration["AllowedValues"]]
        if any(item not in allowed for item in items):
            return "must be one of AllowedValues"
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not all(re.fullmatch(pattern, item) for item in items):
        return f"must match pattern {pattern}"
    if "MinLength" in declaration and len(value) < int(declaration["MinLength"]):
        return f"must contain at least {declaration['MinLength']} characters"
    if "MaxLength" in declaration and len(value) > int(declaration["MaxLength"]):
        return f"must contain at most {declaration['MaxLength']} characters"
    if kind in ("Number", "List<Number>"):
        return _number_problem(declaration, items)
    return None


def _number_problem(declaration: Mapping[str, Any], items: list[str]) -> str | None:
    try:
        numbers = [float(item) for item in items]
    except ValueError:
        return "must be a number"
    if "MinValue" in declaration and min(numbers) < float(declaration["MinValue"]):
        return f"must be a number not less than {declaration['MinValue']}"
    if "MaxValue" in declaration and max(numbers) > float(declaration["MaxValue"]):
        return f"must be a number not greater than {declaration['MaxValue']}"
    return None


def _is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",")] if value else []


def _number(value: str) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


def value_of(declaration: Mapping[str, Any], value: str, pseudo: Mapping[str, Any]) -> Any:
    """What ``Ref`` gives for the parameter: a string, a number, or a list."""
    kind = str(declaration.get("Type", "String"))
    if kind.startswith("AWS::SSM::Parameter::Value<"):
        kind = kind.removeprefix("AWS::SSM::Parameter::Value<").removesuffix(">")
        stored = ssm_backends[pseudo["AWS::AccountId"]][pseudo["AWS::Region"]].get_parameter(value)
        if stored is None:
            raise invalid(
                f"Unable to fetch parameters [{value}] from parameter store for this account"
            )
        value = stored.value
    if kind == "Number":
        return _number(value)
    if kind == "List<Number>":
        return [_number(item) for item in _items(value)]
    return _items(value) if _is_list(kind) else value
