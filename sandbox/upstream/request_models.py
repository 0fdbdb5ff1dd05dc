"""What the models of AWS's APIs say of requests, which moto does not check: ranges and choices.

The models are botocore's. How a refusal is worded is seen in public reports, such as
"1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: Member must
have value less than or equal to 10000".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StringShape, StructureShape


def problem(service: str, operation: str, request: Mapping[str, Any]) -> str | None:
    """What the model has against a request, in AWS's words; None where it has nothing.

    Args:
        service: as boto3 names it, such as `lambda`.
        operation: such as `CreateEventSourceMapping`.
        request: its members; those that the operation does not have are left out, as numbers in
            text, which CloudFormation may give, are numbers.
    """
    shape = _model(service).operation_model(operation).input_shape
    found = list(_problems(shape, request, ""))
    if not found:
        return None
    plural = "" if len(found) == 1 else "s"
    return f"{len(found)} validation error{plural} detected: {'; '.join(found)}"


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _problems(shape: Shape | None, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                camel = name[0].lower() + name[1:]
                yield from _problems(member, value[name], f"{path}.{camel}" if path else camel)
        return
    constraint = shape and _broken(shape, value)
    if constraint:
        shown = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else value
        yield f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _broken(shape: Shape, value: Any) -> str | None:
    if shape.type_name in ("integer", "long"):
        return _out_of_range(shape, int(value), "value")
    if isinstance(shape, ListShape) and isinstance(value, list):
        members = (_broken(shape.member, member) for member in value)
        broken = next((constraint for constraint in members if constraint), None)
        if broken:
            return f"Member must satisfy constraint: [{broken}]"
        return _out_of_range(shape, len(value), "length")
    if isinstance(shape, StringShape) and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        return _out_of_range(shape, len(value), "length")
    return None


def _out_of_range(shape: Shape, size: int, what: str) -> str | None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        return f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        return f"Member must have {what} less than or equal to {most}"
    return None
