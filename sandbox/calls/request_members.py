"""What the models of AWS's APIs say of a request's members: which have to be there, which type each
has, and, of EC2's, which there are.

The models are botocore's, as moto reads them. Ranges and choices are in `request_models`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.model import ListShape, MapShape, Shape, StructureShape

Kind = Literal["missing", "type", "unknown"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A member that is not as the model says.

    Attributes:
        kind: it is missing, of another type, or there is no such member.
        path: where it is, in AWS's words, such as `tags.1.member.key`.
        value: what it is, where there is something.
    """

    kind: Kind
    path: str
    value: str = ""


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    # Of any protocol with JSON: seconds, or a text
    # (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
    "timestamp": (int, float, str),
}
_FORM_TYPES: Mapping[str, re.Pattern[str]] = {
    "boolean": re.compile(r"true|false", re.IGNORECASE),
    "integer": re.compile(r"[-+]?\d+"),
    "long": re.compile(r"[-+]?\d+"),
    "float": re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE),
    "double": re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE),
    "timestamp": re.compile(r"[\d.]+|\d{4}-?\d\d-?\d\d(T.*)?"),
}
_OF_REQUEST = re.compile(
    r"Action|Version|AWSAccessKeyId|AUTHPARAMS|Expires|Timestamp|Signature(Method|Version)?"
    r"|SecurityToken|X-Amz-[\w-]+"
)
"""Parameters of the query protocol itself (Amazon EC2 Query API, Query parameters)."""


def of_json(shape: Shape | None, body: Any) -> Iterator[Problem]:
    """The problems of a JSON body. shape: of the operation's input; members of the path, the query
    and the headers are left out."""
    if isinstance(shape, StructureShape) and not shape.serialization.get("payload"):
        yield from _of_json(shape, body, "")


def _of_json(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    match shape:
        case StructureShape(is_document_type=True):  # any JSON
            return
        case StructureShape() if isinstance(value, Mapping):
            yield from _of_object(shape, value, path)
        case ListShape() if isinstance(value, list):
            for number, each in enumerate(value, 1):
                yield from _of_json(shape.member, each, f"{path}.{number}.member")
        case MapShape() if isinstance(value, Mapping):
            for key, each in value.items():
                yield from _of_json(shape.value, each, f"{path}.{key}.member")
        case _ if value is not None and not _is_of_type(shape, value):
            yield _mistyped(path, value)


def _of_object(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, member in shape.members.items():
        if "location" in member.serialization:
            continue
        given = value.get(member.serialization.get("name", name))
        if given is not None:
            yield from _of_json(member, given, _under(path, name))
        elif name in shape.required_members:
            yield Problem("missing", _under(path, name))


def _is_of_type(shape: Shape, value: Any) -> bool:
    types = _JSON_TYPES.get(shape.type_name, ())
    return isinstance(value, types) and not (isinstance(value, bool) and bool not in types)


def of_form(
    shape: Shape | None, parameters: Iterable[tuple[str, str]], *, ec2: bool
) -> Iterator[Problem]:
    """The problems of a request in the query protocol.

    Args:
        shape: of the operation's input.
        parameters: names and values.
        ec2: whether it is EC2's form of the protocol, in which unknown names are refused.
    """
    tree: dict[str, Any] = {}
    for name, value in parameters:
        if not _OF_REQUEST.fullmatch(name):
            _put(tree, name.split("."), value)
    if isinstance(shape, StructureShape):
        yield from _of_structure(shape, tree, "", "", ec2=ec2)
    elif ec2:
        yield from (Problem("unknown", name) for name in tree)


def _put(tree: dict[str, Any], names: list[str], value: str) -> None:
    for name in names[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            below = tree[name] = {"": below}
        tree = below
    last = names[-1]
    if isinstance(tree.get(last), dict):
        tree[last][""] = value
    else:
        tree[last] = value


def _of_structure(
    shape: StructureShape, tree: Mapping[str, Any], path: str, place: str, *, ec2: bool
) -> Iterator[Problem]:
    """place: where it is by the names of the request."""
    known = {_form_name(name, member, ec2=ec2): name for name, member in shape.members.items()}
    if ec2:
        yield from (Problem("unknown", f"{place}{name}") for name in tree if name not in known)
    for form_name, name in known.items():
        where = _under(path, name)
        if form_name in tree:
            member, below = shape.members[name], tree[form_name]
            yield from _of_form(member, below, where, f"{place}{form_name}.", ec2=ec2)
        elif name in shape.required_members:
            yield Problem("missing", where)


def _of_form(shape: Shape, tree: Any, path: str, place: str, *, ec2: bool) -> Iterator[Problem]:
    if isinstance(shape, (StructureShape, ListShape, MapShape)):
        if tree == "":  # how an empty list is sent
            return
        if not isinstance(tree, Mapping):
            yield _mistyped(path, tree)
        elif isinstance(shape, StructureShape):
            yield from _of_structure(shape, tree, path, place, ec2=ec2)
        elif isinstance(shape, ListShape):
            yield from _of_list(shape, tree, path, place, ec2=ec2)
    elif isinstance(tree, Mapping) or not _is_scalar(shape, tree):
        yield _mistyped(path, tree)


def _of_list(
    shape: ListShape, tree: Mapping[str, Any], path: str, place: str, *, ec2: bool
) -> Iterator[Problem]:
    if not ec2 and not shape.serialization.get("flattened"):
        name = shape.member.serialization.get("name", "member")
        tree, place = tree.get(name, {}), f"{place}{name}."
        if not isinstance(tree, Mapping):
            return
    for number, below in tree.items():
        if number.isdecimal():
            yield from _of_form(
                shape.member, below, f"{path}.{number}.member", f"{place}{number}.", ec2=ec2
            )
        elif ec2:
            yield Problem("unknown", f"{place}{number}")


def _is_scalar(shape: Shape, value: str) -> bool:
    if shape.type_name == "blob":
        try:
            base64.b64decode(value, validate=False)
        except ValueError:
            return False
        return True
    pattern = _FORM_TYPES.get(shape.type_name)
    return pattern is None or pattern.fullmatch(value) is not None


def _form_name(name: str, member: Shape, *, ec2: bool) -> str:
    """As botocore's serializers have it."""
    if not ec2:
        if isinstance(member, ListShape) and member.serialization.get("flattened"):
            name = member.member.serialization.get("name", name)
        return str(member.serialization.get("name", name))
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    wire = str(member.serialization.get("name", name))
    return wire[0].upper() + wire[1:]


def _mistyped(path: str, value: Any) -> Problem:
    return Problem("type", path, value if isinstance(value, str) else type(value).__name__)


def _under(path: str, name: str) -> str:
    camel = name[0].lower() + name[1:]
    return f"{path}.{camel}" if path else camel
