"""What the models say of an XML element's children."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from botocore.model import ListShape, MapShape, Shape, StructureShape

from . import values

_NAMESPACE = re.compile(r"\{.*\}")


def tag(element: Element) -> str:
    """The element's name, without its namespace."""
    return _NAMESPACE.sub("", element.tag)


def problems(
    shape: Shape, element: Element, path: str = "", *, added: Sequence[str] = ()
) -> Iterator[str]:
    """Children that are unknown, missing, repeated or of another type.

    added: names that the protocol adds to the shape's members.
    """
    match shape:
        case StructureShape():
            yield from _of_structure(shape, element, path, added)
        case ListShape():
            name = shape.member.serialization.get("name", "member")
            for number, child in enumerate(element):
                where = f"{path}[{number}]"
                if tag(child) != name:
                    yield f"{where}: is <{tag(child)}>, not <{name}>"
                yield from problems(shape.member, child, where)
        case MapShape():
            for entry in element:
                yield from _of_entry(shape, entry, path)
        case _ if len(element):
            yield f"{path}: has children, and is a {shape.type_name}"
        case _:
            yield from values.of_text(shape, element.text or "", path, "iso8601")


def _of_structure(
    shape: StructureShape, element: Element, path: str, added: Sequence[str]
) -> Iterator[str]:
    known = {
        _name(name, member): (name, member)
        for name, member in shape.members.items()
        if "location" not in member.serialization and not member.serialization.get("xmlAttribute")
    }
    children: dict[str, list[Element]] = defaultdict(list)
    for child in element:
        children[tag(child)].append(child)
    for name, found in children.items():
        where = f"{path}.{name}"
        if name in added:
            continue
        if name not in known:
            yield f"{where}: is no member of {shape.name}"
            continue
        member = known[name][1]
        if member.serialization.get("flattened"):
            yield from _of_flattened(member, found, where)
            continue
        if len(found) > 1:
            yield f"{where}: is there {len(found)} times"
        yield from problems(member, found[0], where)
    for name, (member_name, _) in known.items():
        if member_name in shape.required_members and name not in children:
            yield f"{path}.{name}: is missing"


def _of_flattened(shape: Shape, found: Sequence[Element], path: str) -> Iterator[str]:
    for number, child in enumerate(found):
        where = f"{path}[{number}]"
        if isinstance(shape, ListShape):
            yield from problems(shape.member, child, where)
        elif isinstance(shape, MapShape):
            yield from _of_entry(shape, child, where)


def _of_entry(shape: MapShape, entry: Element, path: str) -> Iterator[str]:
    names = {
        shape.key.serialization.get("name", "key"): shape.key,
        shape.value.serialization.get("name", "value"): shape.value,
    }
    for child in entry:
        if tag(child) in names:
            yield from problems(names[tag(child)], child, f"{path}.{tag(child)}")
        else:
            yield f"{path}.{tag(child)}: is neither key nor value"


def _name(name: str, member: Shape) -> str:
    """As botocore's parsers have it."""
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner is not None:
            return str(inner)
    return str(member.serialization.get("name", name))
