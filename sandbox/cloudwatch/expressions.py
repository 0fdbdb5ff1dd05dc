"""Metric math: the part of it that goes with alarms
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html).

Arithmetic and comparisons of metrics and numbers, IF, FILL with a number, and MAX, MIN, SUM and AVG
of an array. Of a single metric these four are a number for the whole graph, and CloudWatch advises
against that in alarms.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

Value = float | None
"""A metric's point; None where it is missing."""


class NotSupported(ValueError):
    """The expression is wrong, or beyond what is understood here."""


class _Number(float):
    """A number of the expression, which is no point of a metric."""


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OF_ARRAYS: dict[str, Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}


def evaluate(expression: str, points: Mapping[str, Value]) -> Value:
    """The point that an expression makes of the metrics' points of the same time.

    points: by the metrics' IDs.
    Raises NotSupported.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as problem:
        raise NotSupported(f"{expression!r} is no expression of metrics") from problem
    return _value(tree.body, points)


def _value(node: ast.expr, points: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return _Number(number)
        case ast.Name(id=name) if name in points:
            return points[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _combined(operator.sub, _Number(0), _value(operand, points))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _combined(_ARITHMETIC[type(op)], _value(left, points), _value(right, points))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            compare = _COMPARISONS[type(op)]
            return _combined(compare, _value(left, points), _value(right, points))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _called(name, arguments, points)
    raise NotSupported(f"{ast.unparse(node)!r} is not understood here, or names no metric")


def _called(name: str, arguments: list[ast.expr], points: Mapping[str, Value]) -> Value:
    match name, arguments:
        case "IF", [condition, then, otherwise]:
            values = [_value(argument, points) for argument in (condition, then, otherwise)]
            return None if values[0] is None else values[1] if values[0] else values[2]
        case "FILL", [metric, filler]:
            value = _value(metric, points)
            return _value(filler, points) if value is None else value
        case _, [ast.List(elts=elements)] if name in _OF_ARRAYS:
            found = [_value(element, points) for element in elements]
            there = [value for value in found if value is not None]
            return _OF_ARRAYS[name](there) if there else None
        case _, [ast.Call(func=ast.Name(id="METRICS"), args=[])] if name in _OF_ARRAYS:
            there = [value for value in points.values() if value is not None]
            return _OF_ARRAYS[name](there) if there else None
    raise NotSupported(f"{name} is not understood here with these arguments")


def _combined(combine: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """A missing point is 0 where another metric has one; what is divided by zero is dropped."""
    metrics = [value for value in (left, right) if not isinstance(value, _Number)]
    if metrics and all(value is None for value in metrics):
        return None
    try:
        result = float(combine(left or 0.0, right or 0.0))
    except (ZeroDivisionError, OverflowError):
        return None
    return result if metrics else _Number(result)
