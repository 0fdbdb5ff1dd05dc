"""Event patterns, as EventBridge matches them.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

moto takes 300 for 300.0 and 1 for true, does not match in arrays of objects, and lets an operator
that it does not know match everything.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from moto.events.exceptions import InvalidEventPatternException

Pattern = Callable[[Any], bool]
"""Whether an event, or a part of it, matches."""

_Test = Callable[[Any], bool]
_MISSING = object()
_GREATEST_NUMBER = 5e9
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@cache
def compiled(text: str) -> Pattern:
    """What a pattern, in JSON, matches.

    Raises:
        InvalidEventPatternException: AWS's; it is no pattern.
    """
    try:
        pattern = json.loads(text)
    except ValueError:
        raise InvalidEventPatternException(reason="Filter is not an object") from None
    return _object(pattern)


def _object(pattern: Any) -> Pattern:
    if not isinstance(pattern, dict):
        raise InvalidEventPatternException(reason="Filter is not an object")
    if not pattern:
        raise InvalidEventPatternException(reason="Empty objects are not allowed")
    parts = [_part(name, wanted) for name, wanted in pattern.items()]

    def matches(node: Any) -> bool:
        """An array of objects matches where one of them matches the whole."""
        if isinstance(node, list):
            return any(map(matches, node or [{}]))
        fields = node if isinstance(node, dict) else {}
        return all(part(fields) for part in parts)

    return matches


def _part(name: str, wanted: Any) -> Pattern:
    if name == "$or":
        return _either(wanted)
    if isinstance(wanted, dict):
        nested = _object(wanted)
        return lambda fields: nested(fields.get(name, {}))
    if not isinstance(wanted, list):
        raise InvalidEventPatternException(reason=f'"{name}" must be an object or an array')
    if not wanted:
        raise InvalidEventPatternException(reason="Empty arrays are not allowed")
    tests = [_value(each) for each in wanted]
    return lambda fields: any(test(_leaves(fields.get(name, _MISSING))) for test in tests)


def _either(wanted: Any) -> Pattern:
    if not isinstance(wanted, list) or len(wanted) < 2:
        raise InvalidEventPatternException(reason="There must be at least two objects in $or")
    alternatives = [_object(each) for each in wanted]
    return lambda fields: any(alternative(fields) for alternative in alternatives)


def _leaves(value: Any) -> list[Any]:
    """What of a field's value is no object; none where the field is missing."""
    if value is _MISSING or isinstance(value, dict):
        return []
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _value(wanted: Any) -> Callable[[list[Any]], bool]:
    if isinstance(wanted, dict):
        if len(wanted) != 1:
            raise InvalidEventPatternException(reason="Only one key allowed in match expression")
        [(name, argument)] = wanted.items()
        if name == "exists":
            if not isinstance(argument, bool):
                raise _not_for(name)
            return lambda leaves: bool(leaves) == argument
        test = _operator(name, argument)
    elif isinstance(wanted, list):
        raise InvalidEventPatternException(reason="Match value must be String, number or object")
    else:
        test = _equals(wanted)
    return lambda leaves: any(map(test, leaves))


def _operator(name: str, argument: Any) -> _Test:
    if name not in _OPERATORS:
        raise InvalidEventPatternException(reason=f"Unrecognized match type {name}")
    try:
        return _OPERATORS[name](argument)
    except (TypeError, ValueError, KeyError):
        raise _not_for(name) from None


def _not_for(name: str) -> InvalidEventPatternException:
    return InvalidEventPatternException(reason=f"The value of {name} is not valid")


def _equals(wanted: Any) -> _Test:
    """Numbers are equal by how they are written: 300 is not 300.0."""
    written = json.dumps(wanted)
    return lambda leaf: json.dumps(leaf) == written


def _on_text(test: Callable[[str], bool]) -> _Test:
    return lambda leaf: isinstance(leaf, str) and test(leaf)


def _text(argument: Any) -> str:
    if not isinstance(argument, str):
        raise TypeError
    return argument


def _ignore_case(argument: Any) -> _Test:
    wanted = _text(argument).lower()
    return _on_text(lambda leaf: leaf.lower() == wanted)


def _affix(test: Callable[[str, str], bool]) -> Callable[[Any], _Test]:
    def of(argument: Any) -> _Test:
        if isinstance(argument, dict):
            [(name, nested)] = argument.items()
            if name != "equals-ignore-case":
                raise ValueError(name)
            lower = _text(nested).lower()
            return _on_text(lambda leaf: test(leaf.lower(), lower))
        wanted = _text(argument)
        return _on_text(lambda leaf: test(leaf, wanted))

    return of


def _wildcard(argument: Any) -> _Test:
    """``*`` is any text; ``\\*`` and ``\\\\`` are what follows the backslash."""
    if "**" in _text(argument):
        raise ValueError(argument)
    parts = re.findall(r"\\[*\\]|.", argument, re.DOTALL)
    pattern = re.compile(
        "".join(".*" if part == "*" else re.escape(part[-1]) for part in parts), re.DOTALL
    )
    return _on_text(lambda leaf: pattern.fullmatch(leaf) is not None)


def _numeric(argument: Any) -> _Test:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise ValueError(argument)
    bounds = list(zip(argument[::2], argument[1::2], strict=True))
    for comparison, bound in bounds:
        if comparison not in _COMPARISONS or not _is_number(bound):
            raise ValueError(comparison)
    return lambda leaf: (
        _is_number(leaf) and all(_COMPARISONS[comparison](leaf, of) for comparison, of in bounds)
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _GREATEST_NUMBER


def _cidr(argument: Any) -> _Test:
    network = ip_network(_text(argument))

    def test(leaf: str) -> bool:
        try:
            return ip_address(leaf) in network
        except ValueError:
            return False

    return _on_text(test)


def _anything_but(argument: Any) -> _Test:
    if isinstance(argument, dict):
        [(name, nested)] = argument.items()
        tests = [_NEGATED[name](each) for each in _listed(nested)]
    else:
        tests = [_equals(each) for each in _listed(argument)]
    if not tests:
        raise ValueError(argument)
    return lambda leaf: not any(test(leaf) for test in tests)


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


_NEGATED: Mapping[str, Callable[[Any], _Test]] = {
    "prefix": _affix(str.startswith),
    "suffix": _affix(str.endswith),
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
}
_OPERATORS: Mapping[str, Callable[[Any], _Test]] = {
    **_NEGATED,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
