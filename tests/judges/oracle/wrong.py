"""Requests that the models do not allow, made of ones that were accepted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from botocore.model import OperationModel, StructureShape

from .recorder import Sent

UNKNOWN = "NoSuchMember"
_NOT_TEXT = ("boolean", "integer", "long", "list", "structure", "map")


def requests(operation: OperationModel, sent: Sent) -> Iterator[tuple[str, Sent]]:
    """What is wrong with a request, and the request: a member is missing, of another type, or there
    is no such member."""
    protocol = operation.service_model.resolved_protocol
    if protocol in ("ec2", "query"):
        yield from _forms(operation, sent, ec2=protocol == "ec2")
    elif protocol in ("json", "rest-json"):
        yield from _bodies(operation, sent)
    elif protocol == "rest-xml" and _has_xml(operation, sent):
        yield "unreadable", replace(sent, body=sent.body[: len(sent.body) // 2])


def _has_xml(operation: OperationModel, sent: Sent) -> bool:
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    if shape is None or payload is None:
        return False
    return isinstance(shape.members[payload], StructureShape) and bool(sent.body)


def _forms(operation: OperationModel, sent: Sent, *, ec2: bool) -> Iterator[tuple[str, Sent]]:
    given = parse_qsl(sent.body.decode(), keep_blank_values=True)
    shape = operation.input_shape

    def with_form(parameters: list[tuple[str, str]]) -> Sent:
        return replace(sent, body=urlencode(parameters).encode())

    yield "unknown", with_form([*given, (UNKNOWN, "a")])
    for name, member in (shape.members if shape else {}).items():
        wire = str(member.serialization.get("queryName" if ec2 else "name", name))
        if ec2 and "queryName" not in member.serialization:
            wire = str(member.serialization.get("name", name))
            wire = wire[0].upper() + wire[1:]
        others = [each for each in given if each[0].partition(".")[0] != wire]
        if shape and name in shape.required_members:
            yield f"without {name}", with_form(others)
        if member.type_name in ("boolean", "integer", "long"):
            yield f"another type of {name}", with_form([*others, (wire, "no")])


def _bodies(operation: OperationModel, sent: Sent) -> Iterator[tuple[str, Sent]]:
    shape = operation.input_shape
    if shape is None or shape.serialization.get("payload"):
        return
    in_body = {
        name: member
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }
    if not in_body:
        return
    given: dict[str, Any] = json.loads(sent.body or b"{}")

    def with_body(body: Any) -> Sent:
        return replace(sent, body=json.dumps(body).encode())

    yield "unknown", with_body(given | {UNKNOWN: "a"})
    yield "unreadable", replace(sent, body=b'{"')
    yield "no object", with_body([given])
    for name, member in in_body.items():
        wire = member.serialization.get("name", name)
        if name in shape.required_members:
            yield f"without {name}", with_body({k: v for k, v in given.items() if k != wire})
        if member.type_name in _NOT_TEXT:
            yield f"another type of {name}", with_body(given | {wire: "no"})
        elif member.type_name == "string":
            yield f"another type of {name}", with_body(given | {wire: {"a": 1}})
