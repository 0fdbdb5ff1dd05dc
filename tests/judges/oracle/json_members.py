"""What the models say of a JSON body's members."""

from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from . import values


def problems(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Members that are unknown, missing, null or of another type."""
    match shape, value:
        case StructureShape(is_document_type=True), _:
            return
        case StructureShape(), dict():
            yield from _of_structure(shape, value, path)
        case ListShape(), list():
            for number, each in enumerate(value):
                yield from problems(shape.member, each, f"{path}[{number}]")
        case MapShape(), dict():
            for key, each in value.items():
                yield from values.of_json(shape.key, key, f"{path} key")
                yield from problems(shape.value, each, f"{path}.{key}")
        case ((StructureShape() | ListShape() | MapShape()), _):
            yield f"{path}: {value!r} is no {shape.type_name}"
        case _:
            yield from values.of_json(shape, value, path)


def _of_structure(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    known = {
        member.serialization.get("name", name): member
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }
    required = {
        shape.members[name].serialization.get("name", name)
        for name in shape.required_members
        if "location" not in shape.members[name].serialization
    }
    yield from (f"{path}.{name}: is missing" for name in sorted(required - {*value}))
    for name, each in value.items():
        if name not in known:
            yield f"{path}.{name}: is no member of {shape.name}"
        elif each is None:
            yield f"{path}.{name}: is null"
        else:
            yield from problems(known[name], each, f"{path}.{name}")
