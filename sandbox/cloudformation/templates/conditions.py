"""The conditions of a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.intrinsics import Resolver, as_text, invalid


class ParameterNames:
    """Names where no resource can be referred to: in conditions."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def ref(self, name: str) -> Any:
        if name not in self._values:
            raise invalid(
                f"Template format error: Unresolved dependencies [{name}]. "
                "Cannot reference resources in the Conditions block of the template"
            )
        return self._values[name]

    def attribute(self, logical_id: str, name: str) -> Any:
        raise invalid(f"Template error: Cannot use Fn::GetAtt in Conditions: {logical_id}.{name}")

    def imported(self, name: str) -> Any:
        raise invalid(f"Template error: Cannot use Fn::ImportValue in Conditions: {name}")


class Conditions:
    def __init__(self, expressions: Mapping[str, Any], resolver: Resolver) -> None:
        self._expressions = expressions
        self._resolver = resolver
        self._open: list[str] = []

    def all(self) -> dict[str, bool]:
        return {name: self._named(name) for name in self._expressions}

    def _named(self, name: str) -> bool:
        if name not in self._expressions:
            raise invalid(
                f"Template error: unresolved condition dependency {name} "
                "in the Conditions block of the template"
            )
        if name in self._open:
            raise invalid(f"Circular dependency between conditions: [{', '.join(self._open)}]")
        self._open.append(name)
        holds = self._holds(self._expressions[name])
        self._open.pop()
        return holds

    def _holds(self, expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return self._named(name)
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::And": [*inner]}:
                return all(self._holds(item) for item in inner)
            case {"Fn::Or": [*inner]}:
                return any(self._holds(item) for item in inner)
            case {"Fn::Equals": [left, right]}:
                return bool(
                    as_text(self._resolver.resolve(left)) == as_text(self._resolver.resolve(right))
                )
        raise invalid(
            "Template format error: Every Conditions member must be an intrinsic function "
            "that gives a condition"
        )
