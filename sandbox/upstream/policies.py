"""Evaluates IAM policies for a request.

moto's evaluation takes a statement whose condition is not met for a refusal, and knows neither
NotResource nor ``?``. This one follows the IAM User Guide: a request is refused unless a statement
allows it, and one that denies it prevails
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

Context = Mapping[str, str | Sequence[str]]
"""Condition keys, such as ``aws:PrincipalArn``, and their values."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to do. resource: an ARN, or ``*`` where the action has none."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


Verdict = Literal["allowed", "not allowed", "denied"]
"""`denied` where a statement denies the request, `not allowed` where none allows it."""


def judged(documents: Iterable[str], request: Request) -> Verdict:
    """What these policies, which are JSON, say of the request."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _statements(document)
        if _concerns(statement, request)
    }
    if "Deny" in effects:
        return "denied"
    return "allowed" if "Allow" in effects else "not allowed"


def permits(documents: Iterable[str], request: Request) -> bool:
    """Whether a statement of these policies, which are JSON, allows the request, and none denies
    it."""
    return judged(documents, request) == "allowed"


@cache
def open_to(document: str, principals: frozenset[str]) -> str:
    """The statements of a resource's policy that are about one of these principals, as a policy of
    its own.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html

    Args:
        document: JSON.
        principals: ARNs, IDs of accounts, and `*`.

    Raises:
        ValueError: a statement has NotPrincipal, which is not known here.
    """
    concerned = [each for each in _statements(document) if principals & _principals(each)]
    return json.dumps({"Statement": concerned})


def _principals(statement: Mapping[str, Any]) -> set[str]:
    if "NotPrincipal" in statement:
        raise ValueError("NotPrincipal is not known here")
    written = statement.get("Principal", {})
    return {written} if isinstance(written, str) else {*_listed(written.get("AWS", []))}


def admits(document: str, service: str, request: Request) -> bool:
    """Whether a resource's policy, which is JSON, lets a service of AWS's do something.

    Args:
        service: a service principal, such as `events.amazonaws.com`.
    """
    effects = {
        statement["Effect"]
        for statement in _statements(document)
        if _is_for(statement, service) and _concerns(statement, request)
    }
    return "Allow" in effects and "Deny" not in effects


def _is_for(statement: Mapping[str, Any], service: str) -> bool:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""
    if "NotPrincipal" in statement:
        return not _names_service(statement["NotPrincipal"], service)
    return _names_service(statement.get("Principal", {}), service)


def _names_service(principal: Any, service: str) -> bool:
    """Whether it is everybody, or this service."""
    if isinstance(principal, str):
        return principal == "*"
    return "*" in _listed(principal.get("AWS", [])) or service in _listed(
        principal.get("Service", [])
    )


@cache
def _statements(document: str) -> list[dict[str, Any]]:
    return _listed(json.loads(document).get("Statement", []))


def _concerns(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _names(statement, "Action", lambda pattern: _like(pattern.lower(), request.action.lower()))
        and _names(statement, "Resource", lambda pattern: _arn_like(pattern, request.resource))
        and all(_met(condition, request.context) for condition in _conditions(statement))
    )


def _names(statement: Mapping[str, Any], element: str, matches: Callable[[str], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(matches(pattern) for pattern in _listed(statement[f"Not{element}"]))
    return any(matches(pattern) for pattern in _listed(statement.get(element, [])))


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


@cache
def _pattern(written: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in written), re.DOTALL)


def _like(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


def _arn_like(pattern: str, arn: str) -> bool:
    """Whether an ARN fits, segment by segment; a wildcard in the last spans what follows
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html)."""
    if pattern == "*":
        return True
    patterns, segments = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(segments) and all(
        _like(*pair) for pair in zip(patterns, segments, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Condition:
    operator: str
    key: str
    values: list[str]


def _conditions(statement: Mapping[str, Any]) -> Iterator[_Condition]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield _Condition(operator, key, [_text(value) for value in _listed(values)])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def _met(condition: _Condition, context: Context) -> bool:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html

    Raises ValueError for an operator that is not known here.
    """
    quantifier, _, operator = condition.operator.rpartition(":")
    values = _values(condition.key, context)
    if operator == "Null":
        return (not values) == (condition.values[0].lower() == "true")
    if not values and (operator.endswith("IfExists") or quantifier == "ForAllValues"):
        return True
    operator = operator.removesuffix("IfExists")
    matches = _OPERATORS.get(_NEGATED.get(operator, operator))
    if matches is None:
        raise ValueError(f"no condition operator {condition.operator} is known here")
    fits = [
        any(matches(wanted, value) for wanted in condition.values) != (operator in _NEGATED)
        for value in values
    ]
    if not fits:  # a key that is missing equals nothing
        return operator in _NEGATED and quantifier != "ForAnyValue"
    return all(fits) if quantifier == "ForAllValues" else any(fits)


def _values(key: str, context: Context) -> list[str]:
    for name, value in context.items():
        if name.lower() == key.lower():
            return [value] if isinstance(value, str) else list(value)
    return []
