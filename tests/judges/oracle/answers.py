"""What the models say of whole answers, in each protocol."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from botocore.model import OperationModel, Shape, StructureShape

from . import errors, json_members, values, xml_members


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a call.

    Attributes:
        status: HTTP's.
        headers: their names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    head: bool = False
    """Whether it answers HEAD, and so has no body."""


def problems(operation: OperationModel, answer: Answer) -> Iterator[str]:
    """What in an answer is not as the model of its operation says."""
    protocol = operation.service_model.resolved_protocol
    yield from errors.without_id(protocol, answer.headers)
    if answer.status >= 300:
        if answer.status != 304 and not answer.head:
            yield from errors.problems(operation, answer.status, answer.headers, answer.body)
        return
    expected = operation.http.get("responseCode")
    if expected and answer.status not in (expected, 206, 202, 204, 200):
        yield f"the status is {answer.status}"
    try:
        yield from _READERS[protocol](operation, answer)
    except (ET.ParseError, ValueError) as error:
        yield f"the body can't be read ({error}): {answer.body[:80]!r}"


def _ec2(operation: OperationModel, answer: Answer) -> Iterator[str]:
    root = ET.fromstring(answer.body)  # noqa: S314  the sandbox's own
    yield from _root(operation, root)
    if root.find("{*}requestId") is None:
        yield "requestId: is missing"
    if operation.output_shape is not None:
        yield from xml_members.problems(operation.output_shape, root, added=("requestId",))


def _query(operation: OperationModel, answer: Answer) -> Iterator[str]:
    root = ET.fromstring(answer.body)  # noqa: S314
    yield from _root(operation, root)
    if root.find("{*}ResponseMetadata/{*}RequestId") is None:
        yield "ResponseMetadata.RequestId: is missing"
    shape = operation.output_shape
    if shape is None:
        return
    wrapper = shape.serialization.get("resultWrapper")
    result = root.find(f"{{*}}{wrapper}") if wrapper else root
    if result is None:
        yield f"{wrapper}: is missing"
        return
    yield from xml_members.problems(shape, result)


def _root(operation: OperationModel, root: ET.Element) -> Iterator[str]:
    if xml_members.tag(root) != f"{operation.name}Response":
        yield f"the root is <{xml_members.tag(root)}>"
    metadata = operation.service_model.metadata
    space = metadata.get("xmlNamespace") or (
        f"http://ec2.amazonaws.com/doc/{metadata['apiVersion']}"
    )
    found = re.match(r"\{(.*)\}", root.tag)
    if found is None or found[1].rstrip("/") != space.rstrip("/"):
        yield f"the namespace is {found and found[1]}, not {space}"


def _json(operation: OperationModel, answer: Answer) -> Iterator[str]:
    kind = answer.headers.get("content-type", "")
    version = operation.service_model.metadata["jsonVersion"]
    if kind.partition(";")[0] != f"application/x-amz-json-{version}":
        yield f"the content type is {kind}"
    if operation.output_shape is not None or answer.body:
        body = json.loads(answer.body)
        yield from json_members.problems(operation.output_shape or _NOTHING, body)


def _rest_json(operation: OperationModel, answer: Answer) -> Iterator[str]:
    shape = operation.output_shape
    if shape is None:
        return
    yield from _headers(shape, answer)
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].type_name in ("blob", "string"):
        return
    body_shape = shape.members[payload] if payload else shape
    if _has_members_in_body(body_shape):
        yield from json_members.problems(body_shape, json.loads(answer.body))


def _rest_xml(operation: OperationModel, answer: Answer) -> Iterator[str]:
    shape = operation.output_shape
    if shape is None:
        if answer.body:
            yield f"there is a body: {answer.body[:80]!r}"
        return
    yield from _headers(shape, answer)
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].type_name in ("blob", "string"):
        return
    body_shape = shape.members[payload] if payload else shape
    if _has_members_in_body(body_shape):
        if answer.head or (payload and not answer.body):
            return
        root = ET.fromstring(answer.body)  # noqa: S314
        yield from xml_members.problems(body_shape, root)
    elif answer.body:
        yield f"there is a body: {answer.body[:80]!r}"


def _has_members_in_body(shape: Shape) -> bool:
    members = shape.members if isinstance(shape, StructureShape) else {}
    return any("location" not in each.serialization for each in members.values())


_ALWAYS = {
    *("x-amz-request-id", "x-amz-id-2", "x-amzn-requestid", "x-amz-bucket-region"),
    *("x-amz-crc32", "x-amzn-trace-id"),
}


def _headers(shape: StructureShape, answer: Answer) -> Iterator[str]:
    known: set[str] = set()
    prefixes: list[str] = []
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = str(member.serialization.get("name", name)).lower()
        if location == "headers":
            prefixes.append(wire)
        elif location == "header":
            known.add(wire)
            if wire in answer.headers:
                yield from values.of_text(member, answer.headers[wire], wire, "rfc822")
            elif name in shape.required_members:
                yield f"the header {wire}: is missing"
    for name in answer.headers:
        of_aws = name.startswith(("x-amz-", "x-amzn-"))
        if of_aws and name not in known | _ALWAYS and not name.startswith(tuple(prefixes)):
            yield f"the header {name}: is no member of {shape.name}"


_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})
"""Of operations that answer nothing."""


_READERS = {
    "ec2": _ec2,
    "query": _query,
    "json": _json,
    "rest-json": _rest_json,
    "rest-xml": _rest_xml,
}
