"""Writes docs/reference.md: the resource type, in the form of AWS's resource pages.

The properties are those of `properties.schema.json`, the attributes and their values those that the
functions answer with, and the examples mostly files of `examples/`, which are deployed by tests.

Usage: `python -m tools.reference`, after a change of any of these.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cfnlint.decode import cfn_yaml

from instance_bundle.lifecycle.driving import attributes
from instance_bundle.methods import BundleInstance, Method, StoreImage, Task, Work
from instance_bundle.request import Location, MethodName, Properties, RequestKey, Target
from instance_bundle.request.properties import SCHEMA_FILE
from instance_bundle.settings import Limits

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "reference.md"
TYPE = "Custom::InstanceBundle"
NOT_IN_SCHEMA = frozenset({"ServiceToken"})
"""Required by CloudFormation, which always sends it: the functions need not check that."""

_BEHAVIORS = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "using-cfn-updating-stacks-update-behaviors.html"
)
_ANCHORS = {"No interruption": "update-no-interrupt", "Replacement": "update-replacement"}
_ONE_CLASS = re.compile(r"\^(?:\(\?!.+?:\))?(?:\\w|\[.+\])\{(\d+),(\d+)\}\$")
"""A pattern that is one class of characters, repeated: its length is what is repeated."""
_SHORT = 72
"""Characters of JSON that are in one line."""
_NAMES = {"string": "String", "integer": "Integer", "boolean": "Boolean"}

Place = tuple[str, ...]
"""The names from the resource to a property."""
UpdateRequires = str | Mapping[MethodName, str]


@dataclass(frozen=True, slots=True)
class Property:
    """One property of the resource, or of one of its property types.

    Attributes:
        path: its place, as Reasons have it.
        definition: its definition in the schema.
        required: `Yes`, `No`, or `Conditional`.
        update_requires: what a change of it requires, by method where that differs; of a property
            type with members that differ, all that they require.
        rules: sentences about the properties that it needs or excludes.
    """

    path: Place
    definition: Mapping[str, Any]
    required: str
    update_requires: Sequence[UpdateRequires]
    rules: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path[-1]

    @property
    def type_name(self) -> str:
        """The name of its property type, or of that of its items."""
        return self.name.removesuffix("s") if "items" in self.definition else self.name

    @property
    def members(self) -> Mapping[str, Any] | None:
        """The definition of its property type, or of that of its items; None if it has none."""
        definition: Mapping[str, Any] = self.definition.get("items", self.definition)
        return definition if "properties" in definition else None


@dataclass(frozen=True, slots=True)
class PropertyType:
    """The resource itself, or a property type: an object with properties.

    Attributes:
        name: empty for the resource.
        description: a sentence or two.
        properties: sorted by their names, as AWS's pages have them.
    """

    name: str
    description: str
    properties: tuple[Property, ...]


class Example(NamedTuple):
    """A template.

    Attributes:
        title: what it declares.
        text: its YAML.
        file: where it is in the repository; empty if it is on the page only.
    """

    title: str
    text: str
    file: str = ""


ATTRIBUTES = {
    "BundleId": "The bundle's ID, as `Ref` returns it: EC2's ID of the bundle task, or with "
    "StoreImage the AMI's.",
    "InstanceId": "The instance that the bundle was made of.",
    "Bucket": "The bucket.",
    "Prefix": "What the keys of the bundle's objects begin with. With StoreImage empty: EC2 names "
    "the object.",
    "S3Uri": "Where the bundle is: what its keys begin with, or with StoreImage the object. In a "
    "dry run, where it would be; with StoreImage that is only the bucket.",
    "ManifestLocation": "The manifest, as EC2's RegisterImage takes it; with StoreImage the "
    "object, in the same form.",
    "State": "EC2's state of the work.",
    "Progress": "EC2's progress of the work.",
    "StartTime": "When the work started: ISO 8601, UTC.",
    "UpdateTime": "When EC2 changed the work's state last: ISO 8601, UTC.",
    "ImageId": "The AMI. Empty where there is none: with BundleInstance without `Image`, and with "
    "StoreImage if somebody has deregistered the AMI while EC2 stored it.",
    "ImageArn": "The AMI's ARN. Empty where `ImageId` is.",
    "SnapshotIds": "The AMI's snapshots, joined by commas. With BundleInstance empty.",
}
"""What the attributes are."""


def property_types() -> list[PropertyType]:
    """The resource, and its property types sorted by their names."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    first, *others = _types("", schema, (), _exclusions(schema), None)
    return [first, *sorted(others, key=lambda each: each.name)]


def _types(
    name: str,
    definition: Mapping[str, Any],
    path: Place,
    exclusions: Mapping[Place, Sequence[str]],
    inherited: UpdateRequires | None,
) -> Iterator[PropertyType]:
    properties = sorted(
        (
            _property(definition, (*path, each), exclusions, inherited)
            for each in definition["properties"]
        ),
        key=lambda each: each.name,
    )
    yield PropertyType(name, definition["description"], tuple(properties))
    for each in properties:
        if each.members is not None:
            own = each.definition.get("updateRequires", inherited)
            yield from _types(each.type_name, each.members, each.path, exclusions, own)


def _property(
    within: Mapping[str, Any],
    path: Place,
    exclusions: Mapping[Place, Sequence[str]],
    inherited: UpdateRequires | None,
) -> Property:
    name = path[-1]
    definition = within["properties"][name]
    needs: Mapping[str, Any] = within.get("dependencies", {})
    needed_by = [each for each, needed in needs.items() if name in needed]
    own = [each for each in needs.get(name, ()) if each not in needed_by]
    rules = [f"Required with {_listed(needed_by)}."] if needed_by else []
    if name in needs and isinstance(needs[name], list) and own:
        rules.append(f"Requires {_listed(own)}.")
    rules += [_sentence(each) for each in exclusions.get(path, ())]
    is_required = name in within.get("required", ()) or name in NOT_IN_SCHEMA
    required = "Yes" if is_required else "Conditional" if needed_by else "No"
    return Property(path, definition, required, _updates(definition, inherited), tuple(rules))


def _updates(
    definition: Mapping[str, Any], inherited: UpdateRequires | None
) -> Sequence[UpdateRequires]:
    own: UpdateRequires | None = definition.get("updateRequires", inherited)
    if own is not None:
        return [own]
    found = [
        update for each in definition["properties"].values() for update in _updates(each, None)
    ]
    return [each for index, each in enumerate(found) if each not in found[:index]]


def _exclusions(schema: Mapping[str, Any]) -> Mapping[Place, Sequence[str]]:
    """Why properties can't be given, by their paths."""
    found: dict[Place, list[str]] = {}
    conditions = [schema["then"], schema["else"], *schema["dependencies"].values()]
    for condition in conditions:
        for path, message in _excluded(condition, ()):
            found.setdefault(path, []).append(message)
    return found


def _excluded(definition: Any, path: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(definition, Mapping):
        if "not" in definition:
            yield path, definition["errorMessage"]
        for name, each in definition.get("properties", {}).items():
            yield from _excluded(each, (*path, name))


# The page


def page() -> str:
    """The page's text."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    resource, *others = property_types()
    yield f"# {TYPE}"
    yield ""
    yield (
        f"The `{TYPE}` resource makes an image of an EC2 instance and stores it in an S3 bucket. "
        "With `Method: StoreImage` it calls EC2's CreateImage and CreateStoreImageTask, for an "
        "instance with an EBS root volume. With `Method: BundleInstance`, the default, it calls "
        "EC2's BundleInstance, which AWS documents as no longer supported, for a Windows instance "
        "with an instance-store root volume."
    )
    yield ""
    yield (
        "All problems of the properties are reported in one Reason, each with its path, before any "
        'AWS call is made. CloudFormation sends every value as text: `"3600"` and `3600`, `"true"` '
        "and `true` are the same. This page is generated from "
        "[properties.schema.json](../functions/instance_bundle/request/properties.schema.json), by "
        "which the function checks them."
    )
    yield ""
    yield "## Syntax"
    yield ""
    yield "To declare this entity in your CloudFormation template, use the following syntax:"
    yield from ("", "### JSON", "", *_json_syntax(resource))
    yield from ("", "### YAML", "", *_yaml_syntax(resource))
    yield ""
    yield "## Properties"
    yield ""
    yield (
        "An update that requires *Replacement* makes another bundle. CloudFormation then deletes "
        "the old one, which is kept or removed as its `OnDelete` says. One that requires *No "
        "interruption* makes no bundle, and `Ref` returns the same ID."
    )
    yield from _properties(resource, "###")
    for each in others:
        yield ""
        yield f"## {TYPE} {each.name}"
        yield ""
        yield each.description
        yield ""
        yield "### Syntax"
        yield from ("", "**JSON**", "", *_json_syntax(each))
        yield from ("", "**YAML**", "", *_yaml_syntax(each))
        yield ""
        yield "### Properties"
        yield from _properties(each, "####")
    yield from _return_values()
    yield ""
    yield "## Examples"
    for example in examples():
        yield from _example(example)
    yield from _see_also()


def _json_syntax(shown: PropertyType) -> Iterator[str]:
    indent = "  " if shown.name else "    "
    yield from ("```", "{")
    if not shown.name:
        yield f'  "Type" : "{TYPE}",'
        yield '  "Properties" : {'
    lines = [f'{indent}"{each.name}" : {_json_value(each)}' for each in shown.properties]
    yield ",\n".join(lines)
    if not shown.name:
        yield "  }"
    yield from ("}", "```")


def _json_value(shown: Property) -> str:
    if "items" in shown.definition:
        return f"[ {shown.type_name}, ... ]"
    return shown.type_name if shown.members else _scalar(shown)


def _yaml_syntax(shown: PropertyType) -> Iterator[str]:
    indent = "" if shown.name else "  "
    yield "```"
    if not shown.name:
        yield f"Type: {TYPE}"
        yield "Properties:"
    for each in shown.properties:
        if each.members is None:
            yield f"{indent}{each.name}: {_scalar(each)}"
        else:
            yield f"{indent}{each.name}:"
            yield f"{indent}  {'- ' if 'items' in each.definition else ''}{each.type_name}"
    yield "```"


def _properties(shown: PropertyType, heading: str) -> Iterator[str]:
    for each in shown.properties:
        yield ""
        yield f"{heading} `{'.'.join(each.path)}`"
        yield ""
        yield " ".join([each.definition["description"], *_says(each), *each.rules])
        yield ""
        yield from (f"- *{name}*: {value}" for name, value in _facts(each))


def _says(shown: Property) -> Iterator[str]:
    """What the Reason says of a value that is not allowed."""
    if _scalar(shown) == "String" and {"pattern", "format"} & {*shown.definition}:
        yield _sentence(shown.definition["errorMessage"])


def _facts(shown: Property) -> Iterator[tuple[str, str]]:
    definition = shown.definition
    yield "Required", shown.required
    yield "Type", _type(shown)
    if _scalar(shown) == "Boolean":
        yield "Allowed values", "`true | false`"
    elif "enum" in definition:
        yield "Allowed values", f"`{' | '.join(definition['enum'])}`"
    if _scalar(shown) == "String" and "pattern" in definition:
        yield "Pattern", f"`{definition['pattern']}`"
    if "minimum" in definition:
        yield "Minimum", str(definition["minimum"])
        yield "Maximum", str(definition["maximum"])
    if "maxItems" in definition:
        yield "Maximum", f"{definition['maxItems']} items"
    lengths = _lengths(definition)
    if lengths is not None:
        yield "Minimum length", str(lengths[0])
        yield "Maximum length", str(lengths[1])
    yield "Update requires", _update_requires(shown)


def _lengths(definition: Mapping[str, Any]) -> tuple[int, int] | None:
    if "maxLength" in definition:
        return definition["minLength"], definition["maxLength"]
    match = _ONE_CLASS.fullmatch(definition.get("pattern", ""))
    return (int(match[1]), int(match[2])) if match else None


def _scalar(shown: Property) -> str:
    """The type of a scalar, as AWS names it: numbers and booleans may be text, too."""
    types = shown.definition["type"]
    first: str = types if isinstance(types, str) else types[0]
    return _NAMES.get(first, "")


def _type(shown: Property) -> str:
    if shown.members is None:
        return _scalar(shown)
    link = f"[{shown.type_name}](#{_anchor(f'{TYPE} {shown.type_name}')})"
    return f"Array of {link}" if "items" in shown.definition else link


def _update_requires(shown: Property) -> str:
    if len(shown.update_requires) > 1:
        each = {
            behavior
            for update in shown.update_requires
            for behavior in ([update] if isinstance(update, str) else update.values())
        }
        return f"{' or '.join(map(_linked, sorted(each, reverse=True)))}, as its properties say"
    [update] = shown.update_requires
    if isinstance(update, str):
        return _linked(update)
    return ", ".join(f"{_linked(behavior)} with {method}" for method, behavior in update.items())


def _linked(behavior: str) -> str:
    anchor = _ANCHORS.get(behavior)
    return f"[{behavior}]({_BEHAVIORS}#{anchor})" if anchor else behavior


def _anchor(heading: str) -> str:
    """The anchor that GitHub, and MkDocs, give a heading."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def _sentence(message: str) -> str:
    return f"{message[0].upper()}{message[1:]}."


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


# Return values

_REQUEST = "0f3e9d2c-5b4a-4c1d-8e7f-6a5b4c3d2e1f"
_KEY = RequestKey(
    "arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d", "Bundle", _REQUEST
)
_STARTED, _ENDED = "2026-11-23T19:57:31Z", "2026-11-23T20:21:04Z"
_ANOTHER_DRY_RUN = "Dry run of StoreImage"
"""Its values are on the page where they are not those of the other method's."""
_AMI = "ami-0c1d2e3f4a5b6c7d8"


def _done(task_id: str, ended: str = _ENDED, image_id: str = "", snapshot_ids: str = "") -> Task:
    return Task(
        task_id,
        "complete",
        "complete",
        "100%",
        _STARTED,
        ended,
        image_id=image_id,
        snapshot_ids=snapshot_ids,
    )


def values() -> Mapping[str, Mapping[str, str]]:
    """Examples of all attributes, by what was made."""
    bundle, store = BundleInstance(Limits()), StoreImage(Limits())
    bundled = _done("bun-0c1d2e3f4a5b6c7d8", image_id=_AMI)
    stored = _done(_AMI, image_id=_AMI, snapshot_ids="snap-0a1b2c3d4e5f60718")
    dry_run = _done(f"dryrun-{_REQUEST}", ended=_STARTED)
    return {
        "BundleInstance": _values(bundle, "BundleInstance", bundled),
        "StoreImage": _values(store, "StoreImage", stored),
        "Dry run": _values(bundle, "BundleInstance", dry_run),
        _ANOTHER_DRY_RUN: _values(store, "StoreImage", dry_run),
    }


def _values(method: Method, name: MethodName, task: Task) -> Mapping[str, str]:
    instance, bucket, prefix = "i-1234567890abcdef0", "my-images", "web/windows"
    raw = {"Method": name, "InstanceId": instance, "Storage": {"S3": {"Bucket": bucket}}}
    target = Target(name, _REQUEST, instance, Location(bucket, prefix))
    return attributes(method, Work(Properties.parse(raw), target, _KEY, 0, 0), task)


def _return_values() -> Iterator[str]:
    yield from ("", "## Return values", "", "### Ref", "")
    yield (
        "When you pass the logical ID of this resource to the intrinsic `Ref` function, `Ref` "
        "returns the bundle's ID:"
    )
    yield ""
    by_kind = values()
    for kind, each in by_kind.items():
        if kind != _ANOTHER_DRY_RUN:
            yield f"- {kind}: `{each['BundleId']}`"
    yield from ("", "### Fn::GetAtt", "")
    yield (
        "The `Fn::GetAtt` intrinsic function returns a value for a specified attribute of this "
        "type. All attributes are always present. They are text, and empty where there is no value."
    )
    yield ""
    yield (
        "With a `CompletionHandle` they are from when EC2 accepted the work: `State` and "
        "`Progress` are those of work that still runs. Read the result from the wait condition, "
        "`!GetAtt Done1.Data`."
    )
    for name in next(iter(by_kind.values())):
        yield from ("", f"#### `{name}`", "", ATTRIBUTES[name], "")
        for kind, each in by_kind.items():
            if kind != _ANOTHER_DRY_RUN or each[name] != by_kind["Dry run"][name]:
                yield f"- {kind}: {f'`{each[name]}`' if each[name] else 'empty'}"


# Examples

_WITH_CREDENTIALS = """\
AWSTemplateFormatVersion: "2010-09-09"
Description: A bundle in a bucket whose owner signs the upload policy, and an AMI of the bundle.

Resources:
  Bundle:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: !ImportValue cfn-instance-bundle-ServiceToken
      ServiceTimeout: 3600
      Method: BundleInstance
      InstanceId: i-1234567890abcdef0
      Storage:
        S3:
          Bucket: my-images
          Prefix: web/windows
      UploadCredentials: arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-a1b2c3
      Image:
        Name: web-windows
        Description: The web server
        Architecture: x86_64
        Tags:
          - {Key: Project, Value: web}
      OnDelete: RetainExceptOnCreate

Outputs:
  ImageId:
    Value: !GetAtt Bundle.ImageId
"""

_FILES = {
    "Store an image of an instance with an EBS root volume": "examples/store-image.yaml",
    "Bundle a Windows instance with an instance-store root volume": "examples/bundle.yaml",
    "Wait for longer than an hour": "examples/long-running.yaml",
}


def examples() -> Iterator[Example]:
    """The page's examples."""
    for title, file in _FILES.items():
        yield Example(title, (REPOSITORY / file).read_text("utf-8"), file)
    yield Example("Let the bucket's owner sign, and register an AMI", _WITH_CREDENTIALS)


def _example(example: Example) -> Iterator[str]:
    yield from ("", f"### {example.title}", "")
    if example.file:
        yield f"This is [{example.file}](../{example.file})."
        yield ""
    yield from ("**YAML**", "", "```yaml", example.text.rstrip(), "```", "")
    yield from ("**JSON**", "", "```json", _json(cfn_yaml.loads(example.text)), "```")


def _json(value: Any, indent: str = "") -> str:
    """JSON with what is short in one line."""
    text = json.dumps(value)
    if len(text) <= _SHORT or not isinstance(value, Mapping | list):
        return text
    deeper = f"{indent}  "
    if isinstance(value, list):
        return _block("[", [_json(each, deeper) for each in value], "]", indent)
    members = [f"{json.dumps(name)}: {_json(each, deeper)}" for name, each in value.items()]
    return _block("{", members, "}", indent)


def _block(begin: str, members: Iterable[str], end: str, indent: str) -> str:
    inside = f",\n{indent}  ".join(members)
    return f"{begin}\n{indent}  {inside}\n{indent}{end}"


_EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_"
_CUSTOM_RESOURCE = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"
    "aws-resource-cloudformation-customresource.html"
)


def _see_also() -> Iterator[str]:
    yield from ("", "## See also", "", "- [Limits and costs](limits-and-costs.md)")
    for call in ("CreateImage", "CreateStoreImageTask", "BundleInstance"):
        yield f"- [{call}]({_EC2}{call}.html) in the *Amazon EC2 API Reference*"
    yield (
        f"- [AWS::CloudFormation::CustomResource]({_CUSTOM_RESOURCE}) in the *AWS CloudFormation "
        "Template Reference Guide*"
    )


def main() -> int:
    """Write the page; the exit status."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
