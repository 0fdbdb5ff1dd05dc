"""One mistake for each keyword of the schema of the properties, made of the schema itself."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from instance_bundle_lint.schema import of_properties

Path = tuple[str | int, ...]
Properties = dict[str, Any]

HANDLE = {"Ref": "Handle"}
_TAG = {"Key": "Project", "Value": "web"}
_SIGNED = {
    "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "UploadPolicy": '{"expiration": "2030-01-01T00:00:00Z", "conditions": [{"bucket": "images"}]}',
    "UploadPolicySignature": "ynxybUMv9YuGbPl7HZ8AFJW/2t0=",
}
_OWNER = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-AbCdEf"
_IMAGE = {"Name": "web", "Description": "The web server", "Tags": [_TAG]}
_COMMON: Properties = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:cfn-instance-bundle",
    "ServiceTimeout": 600,
    "InstanceId": "i-1234567890abcdef0",
    "CompletionHandle": HANDLE,
    "CompletionTimeout": 7200,
    "OnDelete": "Delete",
    "DryRun": False,
}
BUNDLED: Properties = _COMMON | {
    "Method": "BundleInstance",
    "Storage": {"S3": {"Bucket": "images", "Prefix": "web", **_SIGNED}},
    "Image": _IMAGE | {"Architecture": "x86_64"},
}
STORED: Properties = _COMMON | {
    "Method": "StoreImage",
    "Storage": {"S3": {"Bucket": "images"}},
    "Image": _IMAGE | {"NoReboot": True, "ObjectTags": [_TAG]},
}
BY_SECRET: Properties = _COMMON | {
    "Storage": {"S3": {"Bucket": "images", "Prefix": "web"}},
    "UploadCredentials": _OWNER,
}
BASES = (BUNDLED, STORED, BY_SECRET)
"""Valid properties, which together have all that the schema describes."""

_SAYS_NOTHING = {
    *("$schema", "title", "description", "errorMessage", "writeOnly", "updateRequires"),
    *("properties", "items", "if", "then", "else", "minLength", "maxLength"),
}
"""Keywords that describe, that lead to others, or whose limits a format has, too."""

_WRONG_TYPES = {"string": {"a": "b"}, "object": "text", "array": "text"}
_WRONG_FORMATS = {"s3-bucket-name": "my/images", "s3-key-prefix": "../web", "upload-policy": "[]"}
_NOWHERE_ALLOWED = "~\n~" * 200


@dataclass(frozen=True)
class Mistake:
    """Properties with one mistake.

    Attributes:
        name: the keyword, and the path of the value that it is about.
        properties: as in a template.
        rule: the ID of the rule that finds it.
        at: the path, from the properties, of the key on whose line it is found.
        message: what the schema says about it; empty if it says nothing of its own.
    """

    name: str
    properties: Properties
    rule: str
    at: Path
    message: str


def mistakes() -> list[Mistake]:
    """One of each keyword, at each place."""
    found: dict[str, Mistake] = {}
    for base in BASES:
        for mistake in _of(of_properties(), (), base):
            found.setdefault(mistake.name, mistake)
    return list(found.values())


def keywords(schema: Any = None) -> set[str]:
    """The names of the mistakes that there have to be: of each keyword at each place, but those
    that describe or lead to others."""
    return {name for name, _ in _named(schema or of_properties(), ())}


def _named(schema: dict[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        if keyword in ("properties", "items", "then", "else"):
            inner = {"": value} if keyword != "properties" else value
            for name, part in inner.items():
                yield from _named(part, _below(path, keyword, name))
        elif keyword == "dependencies":
            for name, needed in value.items():
                if isinstance(needed, dict):
                    yield from _named(needed, path)
                else:
                    yield from (
                        (f"dependencies {_dotted((*path, other))} {name}", 0) for other in needed
                    )
        elif keyword == "required":
            yield from ((f"required {_dotted((*path, name))}", 0) for name in value)
        elif keyword not in _SAYS_NOTHING:
            yield f"{keyword} {_dotted(path)}", 0


def _below(path: Path, keyword: str, name: str) -> Path:
    if keyword == "items":
        return (*path, 0)
    return (*path, name) if keyword == "properties" else path


def _dotted(path: Path) -> str:
    return ".".join(map(str, path)) or "."


def _of(schema: dict[str, Any], path: Path, base: Properties) -> Iterator[Mistake]:
    """The mistakes that can be made in a base, at a path and below."""
    if "not" in schema:
        yield from _forbidden(schema, path, base)
    for name, part in schema.get("properties", {}).items():
        yield from _of(part, (*path, name), base)
    if _value(base, path) is None:
        return
    if "items" in schema:
        yield from _of(schema["items"], (*path, 0), base)
    if "if" in schema:
        branch = "then" if base.get("Method") == "StoreImage" else "else"
        yield from _of(schema[branch], path, base)
    yield from _dependencies(schema.get("dependencies", {}), path, base)
    for name in schema.get("required", []):
        at = (*path, name)
        yield Mistake(
            f"required {_dotted(at)}", _without(base, at), "E9702", path, f"{name}: is required"
        )
    for keyword, value in schema.items():
        if keyword not in _SAYS_NOTHING | {"not", "dependencies", "required"}:
            yield _invalid(keyword, value, schema, path, base)


def _invalid(
    keyword: str, value: Any, schema: dict[str, Any], path: Path, base: Properties
) -> Mistake:
    name = f"{keyword} {_dotted(path)}"
    if keyword == "additionalProperties":
        at = (*path, "Colour")
        return Mistake(name, _with(base, at, "red"), "E9703", at, "is not a property here")
    rule = "E9706" if path == ("ServiceTimeout",) else "E9701"
    rule = "E9705" if str(value).startswith("s3-") else rule
    properties = _with(base, path, _wrong(keyword, value))
    if not path:
        # cfn-lint's own rule, which then checks no further.
        return Mistake(name, properties, "E3012", path, "is not of type object")
    return Mistake(name, properties, rule, path, schema["errorMessage"])


def _wrong(keyword: str, value: Any) -> Any:
    """A value that breaks a keyword."""
    makers: dict[str, Callable[[], Any]] = {
        "type": lambda: _WRONG_TYPES.get(value if isinstance(value, str) else "", ["text"]),
        "enum": lambda: "Other",
        "pattern": lambda: _NOWHERE_ALLOWED,
        "minimum": lambda: value - 1,
        "maximum": lambda: value + 1,
        "format": lambda: _WRONG_FORMATS[value],
        "maxItems": lambda: [{"Key": f"k{n}", "Value": ""} for n in range(value + 1)],
    }
    return makers[keyword]()


def _forbidden(schema: dict[str, Any], path: Path, base: Properties) -> Iterator[Mistake]:
    """What is not allowed with the rest of the base, taken from another one."""
    value = next(found for other in BASES if (found := _value(other, path)) is not None)
    properties = _with(base, path, value)
    if path[-1] in _SIGNED:
        for name, text in _SIGNED.items():
            properties = _with(properties, (*path[:-1], name), text)
    name = f"not {_dotted(path)}"
    yield Mistake(name, properties, "E9704", path, schema["errorMessage"])


def _dependencies(value: dict[str, Any], path: Path, base: Properties) -> Iterator[Mistake]:
    for name, needed in value.items():
        if isinstance(needed, dict):
            if _value(base, (*path, name)) is not None:
                yield from _of(needed, path, base)
            continue
        for other in needed:
            if _value(base, (*path, other)) is None:
                continue
            properties = _without(base, (*path, other))
            first = next(key for key in _value(properties, path) if other in value.get(key, ()))
            yield Mistake(
                f"dependencies {_dotted((*path, other))} {name}",
                properties,
                "E9702",
                (*path, first),
                f"{other}: is required with",
            )


def _value(properties: Any, path: Path) -> Any:
    for part in path:
        try:
            properties = properties[part]
        except (KeyError, IndexError, TypeError):
            return None
    return properties


def _with(properties: Properties, path: Path, value: Any) -> Any:
    """Properties with a value at a path."""
    if not path:
        return value
    made: Any = copy.deepcopy(properties)
    inner = made
    for part in path[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    inner[path[-1]] = value
    return made


def _without(properties: Properties, path: Path) -> Properties:
    made = copy.deepcopy(properties)
    del _value(made, path[:-1])[path[-1]]
    return made


def template(properties: list[Any]) -> dict[str, Any]:
    """A template of many bundles: Bundle0, Bundle1 and so on, each with its own handle."""
    resources: dict[str, Any] = {}
    for index, given in enumerate(properties):
        own = json.loads(json.dumps(given).replace('"Ref": "Handle"', f'"Ref": "Handle{index}"'))
        resources[f"Bundle{index}"] = {"Type": "Custom::InstanceBundle", "Properties": own}
        resources[f"Handle{index}"] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
        resources[f"Done{index}"] = {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": f"Handle{index}"}, "Timeout": "43200"},
        }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
