"""CloudFormation's intrinsic functions: what they refer to, and what they mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from moto.cloudformation.exceptions import ValidationError

_NO_VALUE = object()
_SUBSTITUTION = re.compile(r"\$\{(!?)([^${}]*)\}")
_SUBSTITUTION_NAME = re.compile(r"[A-Za-z0-9_.:]+")


def invalid(message: str) -> ValidationError:
    """CloudFormation's refusal of a request."""
    return ValidationError(message=message)


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it: ``true``, ``3600``, ``1.5``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def as_text(value: Any) -> Any:
    """`value` with every scalar in it as a string, as custom resources receive their properties."""
    if isinstance(value, dict):
        return {text(key): as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return text(value)


def _attribute(argument: Any) -> tuple[str, Any]:
    """The logical ID and the attribute's name of a Fn::GetAtt, written as a list or with a dot."""
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[0], str):
        raise invalid(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, "
            "the resource name and the resource attribute"
        )
    return parts[0], parts[1]


def _substitution(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the variables of a Fn::Sub."""
    if isinstance(argument, str):
        return argument, {}
    if (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], str)
        and isinstance(argument[1], dict)
    ):
        return argument[0], argument[1]
    raise invalid(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected "
        "arguments. Specify a string as first argument, and an optional second argument to "
        "specify a mapping of values to replace in the string"
    )


def _function(value: Any) -> tuple[str, Any] | None:
    """Name and argument where `value` is a call of an intrinsic function."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    name, argument = next(iter(value.items()))
    is_call = name == "Ref" or (isinstance(name, str) and name.startswith("Fn::"))
    return (name, argument) if is_call else None


def choose(value: Any, conditions: Mapping[str, bool]) -> Any:
    """`value` with each Fn::If decided and each AWS::NoValue taken out."""
    chosen = _choose(value, conditions)
    return None if chosen is _NO_VALUE else chosen


def _choose(value: Any, conditions: Mapping[str, bool]) -> Any:
    if value == {"Ref": "AWS::NoValue"}:
        return _NO_VALUE
    match _function(value):
        case ("Fn::If", [str(condition), yes, no]):
            if condition not in conditions:
                raise invalid(
                    f"Template error: unresolved condition dependency {condition} "
                    "in the Resources block of the template"
                )
            return _choose(yes if conditions[condition] else no, conditions)
        case ("Fn::If", _):
            raise invalid("Template error: Fn::If requires a list argument with three elements")
    if isinstance(value, dict):
        kept = ((key, _choose(item, conditions)) for key, item in value.items())
        return {key: item for key, item in kept if item is not _NO_VALUE}
    if isinstance(value, list):
        return [item for item in (_choose(v, conditions) for v in value) if item is not _NO_VALUE]
    return value


def references(value: Any) -> Iterator[tuple[str, bool]]:
    """Each name that `value` refers to, and whether it is asked for an attribute.

    Raises ValidationError for a function that is not well-formed.
    """
    match _function(value):
        case ("Ref", str(name)):
            yield name, False
            return
        case ("Fn::GetAtt", argument):
            name, attribute = _attribute(argument)
            yield name, True
            yield from references(attribute)
            return
        case ("Fn::Sub", argument):
            pattern, variables = _substitution(argument)
            yield from references(list(variables.values()))
            for literal, name in _SUBSTITUTION.findall(pattern):
                if not literal and name not in variables:
                    yield _substituted_name(name).split(".")[0], "." in name
            return
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def _substituted_name(name: str) -> str:
    if not _SUBSTITUTION_NAME.fullmatch(name):
        raise invalid(
            "Template error: variable names in Fn::Sub syntax must contain only "
            "alphanumeric characters, underscores, periods, and colons"
        )
    return name


class Names(Protocol):
    """What a template's names mean while it is resolved."""

    def ref(self, name: str) -> Any:
        """The value of ``Ref``."""

    def attribute(self, logical_id: str, name: str) -> Any:
        """The value of ``Fn::GetAtt``."""

    def imported(self, name: str) -> Any:
        """The value of ``Fn::ImportValue``."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Works out intrinsic functions, all but conditions (see `choose`).

    sketching: names stand for themselves, and what is to be selected from them is not known yet.
    """

    names: Names
    mappings: Mapping[str, Any]
    region: str
    sketching: bool = False

    def resolve(self, value: Any) -> Any:
        """`value` with its intrinsic functions worked out. Raises ValidationError."""
        call = _function(value)
        if call:
            name, argument = call
            function = _FUNCTIONS.get(name)
            if function is None:
                raise invalid(f"Template error: {name} is not supported here")
            return function(self, argument)
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def _ref(self, name: Any) -> Any:
        return self.names.ref(name)

    def _get_attribute(self, argument: Any) -> Any:
        logical_id, attribute = _attribute(argument)
        return self.names.attribute(logical_id, text(self.resolve(attribute)))

    def _sub(self, argument: Any) -> str:
        pattern, variables = _substitution(argument)
        resolved = {name: self.resolve(value) for name, value in variables.items()}

        def replacement(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in resolved:
                return text(resolved[name])
            logical_id, _, attribute = _substituted_name(name).partition(".")
            if attribute:
                return text(self.names.attribute(logical_id, attribute))
            return text(self.names.ref(name))

        return _SUBSTITUTION.sub(replacement, pattern)

    def _join(self, argument: Any) -> str:
        delimiter, items = argument
        return str(delimiter).join(text(item) for item in self._list(items, "Fn::Join"))

    def _split(self, argument: Any) -> list[str]:
        delimiter, whole = argument
        return text(self.resolve(whole)).split(delimiter)

    def _select(self, argument: Any) -> Any:
        index, items = argument
        position, choices = int(self.resolve(index)), self._list(items, "Fn::Select")
        if not 0 <= position < len(choices):
            if self.sketching:
                return {"Fn::Select": [position, choices]}
            raise invalid(
                f"Template error: Fn::Select cannot select nonexistent value at index {position}"
            )
        return choices[position]

    def _list(self, value: Any, function: str) -> list[Any]:
        resolved = self.resolve(value)
        if not isinstance(resolved, list):
            raise invalid(f"Template error: {function} requires a list of values")
        return resolved

    def _find_in_map(self, argument: Any) -> Any:
        keys = [text(self.resolve(key)) for key in argument]
        found: Any = self.mappings
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            raise invalid(f"Template error: Unable to get mapping for {'::'.join(keys)}")
        return found

    def _import_value(self, argument: Any) -> Any:
        return self.names.imported(text(self.resolve(argument)))

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(text(self.resolve(argument)).encode()).decode()

    def _availability_zones(self, argument: Any) -> list[str]:
        region = self.resolve(argument) or self.region
        return [f"{region}{zone}" for zone in "abc"]

    def _json(self, argument: Any) -> str:
        return json.dumps(self.resolve(argument))


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver._ref,
    "Fn::Base64": Resolver._base64,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::GetAZs": Resolver._availability_zones,
    "Fn::GetAtt": Resolver._get_attribute,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::Join": Resolver._join,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::Sub": Resolver._sub,
    "Fn::ToJsonString": Resolver._json,
}
