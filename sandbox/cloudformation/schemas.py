"""AWS's own schemas of its resource types, as cfn-lint ships them.

They are read one at a time, once a template has the type: reading all takes seconds. Without
cfn-lint nothing is known of any type, and nothing refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sandbox.cloudformation.intrinsics import as_text

_UNLISTED = ("AWS::CDK::Metadata", "AWS::CloudFormation::CustomResource")


@cache
def _directory() -> Path | None:
    package = find_spec("cfnlint")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "data" / "schemas"


@cache
def _types(region: str) -> Mapping[str, str]:
    """The types of a Region, each with the name of its schema's file."""
    directory = _directory()
    file = directory / "providers" / f"{region}.json" if directory else None
    if file is None or not file.is_file():
        return {}
    types: dict[str, str] = json.loads(file.read_text())
    return types


def is_known(resource_type: str, region: str) -> bool:
    """Whether CloudFormation has the type in the Region, as far as its schemas show."""
    types = _types(region)
    return not types or resource_type in types or resource_type in _UNLISTED


@cache
def schema(resource_type: str, region: str) -> Mapping[str, Any] | None:
    """The type's schema; None where there is none."""
    directory, name = _directory(), _types(region).get(resource_type)
    if directory is None or name is None:
        return None
    found: dict[str, Any] = json.loads((directory / "resources" / f"{name}.json").read_text())
    return found


def replaces(
    resource_type: str, region: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> bool:
    """Whether an update of the properties replaces the resource: one of its createOnlyProperties
    changes (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html).
    """
    paths = (schema(resource_type, region) or {}).get("createOnlyProperties", [])
    return any(
        [as_text(each) for each in _values(before, path)]
        != [as_text(each) for each in _values(after, path)]
        for path in (path.removeprefix("/properties/").split("/") for path in paths)
    )


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What is at the path; ``*`` is each item of a list."""
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for item in value:
            yield from _values(item, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
