"""docs/reference.md says what the schema and the code say.

What a change of a property requires, and which properties are required or excluded, is compared
with what the functions do with such properties, not with the schema that the page is made from.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from instance_bundle.lifecycle import Planned, forecast
from instance_bundle.methods import Bundle
from instance_bundle.request import Location, Properties, problems
from instance_bundle.request.properties import SCHEMA_FILE
from instance_bundle.state import Resource
from sandbox.artifact import REPOSITORY
from sandbox.cloudformation import templates
from tools import reference

from .test_lifecycle import HANDLE, POLICY_UNTIL_2028, STACK

SCHEMA = json.loads(SCHEMA_FILE.read_text())
PAGE = reference.PAGE.read_text()
PROPERTIES, _, RETURN_VALUES = PAGE.partition("\n## Return values\n")
METHODS = ("BundleInstance", "StoreImage")
OWNERS_KEY = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-a1b2c3"
LEAST: dict[str, Any] = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
    "InstanceId": "i-1234567890abcdef0",
    "Storage": {"S3": {"Bucket": "images"}},
}
SIGNED = POLICY_UNTIL_2028["S3"]
POLICY = {name: value for name, value in SIGNED.items() if name not in ("Bucket", "Prefix")}

CHANGES: dict[str, tuple[Any, Any]] = {
    "ServiceToken": (LEAST["ServiceToken"], f"{LEAST['ServiceToken']}2"),
    "ServiceTimeout": ("600", "3600"),
    "Method": METHODS,
    "InstanceId": (LEAST["InstanceId"], "i-0abcdef1234567890"),
    "Storage.S3.Bucket": ("images", "others"),
    "Storage.S3.Prefix": ("web", "db"),
    "Storage.S3.AWSAccessKeyId": (SIGNED["AWSAccessKeyId"], "AKIAI44QH8DHBEXAMPLE"),
    "Storage.S3.UploadPolicy": (SIGNED["UploadPolicy"], SIGNED["UploadPolicy"] + " "),
    "Storage.S3.UploadPolicySignature": (SIGNED["UploadPolicySignature"], "A" * 27 + "="),
    "UploadCredentials": (OWNERS_KEY, OWNERS_KEY + "b"),
    "Image.Name": ("web 1", "web 2"),
    "Image.Description": ("of the web", ""),
    "Image.Architecture": ("x86_64", "arm64"),
    "Image.NoReboot": ("false", "true"),
    "Image.Tags.Key": ("Team", "Project"),
    "Image.Tags.Value": ("web", ""),
    "Image.ObjectTags.Key": ("Team", "Project"),
    "Image.ObjectTags.Value": ("web", ""),
    "CompletionHandle": (HANDLE, HANDLE.replace("Handle1", "Handle2")),
    "CompletionTimeout": ("7200", "43200"),
    "OnDelete": ("Retain", "Delete"),
    "DryRun": ("false", "true"),
}
"""Two values of each property."""


def paths(definition: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each property of an object, and of the objects and lists in it."""
    for name, each in definition.get("properties", {}).items():
        yield above + name, each
        yield from paths(each.get("items", each), f"{above}{name}.")


DEFINITIONS = dict(paths(SCHEMA))
LEAVES = [path for path, each in DEFINITIONS.items() if each["type"] not in ("object", "array")]


@cache
def section(path: str) -> str:
    """What the page says of a property."""
    [text] = re.findall(rf"^###+ `{re.escape(path)}`\n(.*?)(?=^#|\Z)", PROPERTIES, re.M | re.S)
    found: str = text
    return found


def fact(path: str, name: str) -> str:
    """A fact about a property, without links; empty where there is none."""
    found = re.search(rf"^- \*{name}\*: (.*)$", section(path), re.M)
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", found[1]) if found else ""


def update_requires(path: str, method: str) -> str:
    """What the page says that a change requires with a method."""
    said = fact(path, "Update requires")
    by_method: dict[str, str] = {
        of: behavior for behavior, of in re.findall(r"(\w[\w ]*) with (\w+)", said)
    }
    return by_method.get(method, said)


def place(raw: Any, path: str) -> tuple[Any, str]:
    """The object that has a property, and the property's name; what is missing is made."""
    *above, name = path.split(".")
    for each in above:
        raw = raw.setdefault(each, [{"Key": "k", "Value": "v"}] if each.endswith("Tags") else {})
        raw = raw[0] if isinstance(raw, list) else raw
    return raw, name


def given(path: str, value: Any, method: str) -> dict[str, Any]:
    """Properties with one that is given, and with those that it needs."""
    raw: dict[str, Any] = deepcopy(LEAST | {"Method": method})
    if path == "CompletionTimeout":
        raw["CompletionHandle"] = HANDLE
    if path.rpartition(".")[2] in POLICY:
        raw["Storage"]["S3"] |= POLICY
    within, name = place(raw, path)
    within[name] = value
    return raw


def without(path: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The same properties without one of them."""
    raw = deepcopy(raw)
    within, name = place(raw, path)
    del within[name]
    return raw


def wrong(raw: dict[str, Any]) -> set[str]:
    """Where properties have problems; of a list, the list's own path."""
    return {re.sub(r"\[\d+\]", "", problem.path) for problem in problems(raw)}


def takes(path: str, method: str) -> bool:
    return not wrong(given(path, CHANGES[path][0], method))


def makes_a_bundle(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether an Update makes another bundle."""
    made = Bundle("bun-1", "r0", Location("images", "web"), identity=Properties.parse(old).identity)
    planned = Planned("Update", made.physical_id, new, old)
    found = forecast(planned, Resource((), (made,), (), ()), STACK, "Bundle")
    assert found.problems == ()
    return found.makes


def test_the_page_is_what_the_tool_makes() -> None:
    assert reference.page() == PAGE, "run python -m tools.reference"


@pytest.mark.parametrize("path", DEFINITIONS)
def test_each_property_is_on_the_page(path: str) -> None:
    text = section(path)

    assert DEFINITIONS[path]["description"] in text
    assert re.findall(r"^- \*(Required|Type|Update requires)\*: .", text, re.M) == [
        *("Required", "Type", "Update requires")
    ]


@pytest.mark.parametrize(
    ("heading", "path"),
    [
        ("# Custom::InstanceBundle", ""),
        ("## Custom::InstanceBundle Storage", "Storage"),
        ("## Custom::InstanceBundle S3", "Storage.S3"),
        ("## Custom::InstanceBundle Image", "Image"),
        ("## Custom::InstanceBundle Tag", "Image.Tags"),
        ("## Custom::InstanceBundle ObjectTag", "Image.ObjectTags"),
    ],
)
def test_the_syntax_of_each_object_has_its_properties(heading: str, path: str) -> None:
    definition = DEFINITIONS[path] if path else {}
    names = definition.get("items", definition or SCHEMA)["properties"]

    [text] = re.findall(rf"^{heading}\n(.*?)(?=^## (?!Syntax)|\Z)", PROPERTIES, re.M | re.S)
    in_json, in_yaml = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)

    shown = (
        re.findall(r'^ +"(\w+)" : ', in_json, re.M),
        re.findall(r"^ *(\w+):", in_yaml, re.M),
    )
    of_resource = [] if path else ["Type", "Properties"]
    assert shown == (of_resource + sorted(names), of_resource + sorted(names))


def test_each_property_has_two_values_to_change_between() -> None:
    assert {*CHANGES} == {*LEAVES}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", LEAVES)
def test_what_a_method_does_not_take_is_on_the_page(path: str, method: str) -> None:
    shown = path.rpartition(".")[0] if "Tags." in path else path

    found = f"Can't be given with Method {method}" in section(shown)

    assert found == (not takes(path, method))


@pytest.mark.parametrize("path", DEFINITIONS)
def test_what_is_required_is_on_the_page(path: str) -> None:
    if path == "ServiceToken":
        assert fact(path, "Required") == "Yes"  # CloudFormation refuses a template without it
        return
    leaf = next(each for each in LEAVES if each == path or each.startswith(f"{path}."))
    method = next(each for each in METHODS if takes(leaf, each))
    full = given(leaf, CHANGES[leaf][0], method)
    full |= {"CompletionHandle": HANDLE, "CompletionTimeout": "7200"}
    least, name = place(deepcopy(LEAST), path)

    is_missed = path in wrong(without(path, full))

    expected = "No" if not is_missed else "Yes" if name in least else "Conditional"
    assert fact(path, "Required") == expected


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path in LEAVES
        for method in METHODS
        if path != "ServiceToken" and takes(path, method)
    ],
)
def test_a_change_requires_what_the_page_says(path: str, method: str) -> None:
    old, new = (given(path, value, method) for value in CHANGES[path])
    absent = without(path, old)
    changes = [(old, new)] if wrong(absent) else [(old, new), (absent, new), (new, absent)]

    said = update_requires(path, method)

    assert said in ("Replacement", "No interruption")
    assert {makes_a_bundle(*each) for each in changes} == {said == "Replacement"}


def test_the_service_token_can_not_be_updated() -> None:
    assert fact("ServiceToken", "Update requires") == "Updates are not supported"


@pytest.mark.parametrize("path", ["Storage", "Storage.S3", "Image"])
def test_what_a_change_of_an_object_requires_depends_on_the_property(path: str) -> None:
    said = fact(path, "Update requires")

    assert said == "Replacement or No interruption, as its properties say"


@pytest.mark.parametrize("path", [path for path in LEAVES if fact(path, "Allowed values")])
def test_the_allowed_values_are_allowed_and_no_others(path: str) -> None:
    method = next(each for each in METHODS if takes(path, each))
    values = fact(path, "Allowed values").strip("`").split(" | ")

    assert [value for value in values if wrong(given(path, value, method))] == []
    assert wrong(given(path, "Other", method))


@pytest.mark.parametrize("path", [path for path in LEAVES if fact(path, "Minimum")])
def test_the_least_and_the_greatest_numbers_are_allowed_and_no_others(path: str) -> None:
    least, greatest = int(fact(path, "Minimum")), int(fact(path, "Maximum"))
    allowed = [
        not wrong(given(path, str(number), METHODS[0]))
        for number in (least - 1, least, greatest, greatest + 1)
    ]

    assert allowed == [False, True, True, False]


@pytest.mark.parametrize("path", [path for path in LEAVES if fact(path, "Maximum length")])
def test_the_shortest_and_the_longest_texts_are_allowed_and_no_others(path: str) -> None:
    shortest, longest = int(fact(path, "Minimum length")), int(fact(path, "Maximum length"))
    method = next(each for each in METHODS if takes(path, each))
    allowed = {
        length: not wrong(given(path, "a" * length, method))
        for length in (max(shortest - 1, 0), shortest, longest, longest + 1)
    }

    assert allowed == {length: shortest <= length <= longest for length in (*allowed,)}


@pytest.mark.parametrize("path", ["Image.Tags", "Image.ObjectTags"])
def test_as_many_tags_are_allowed_as_the_page_says(path: str) -> None:
    most = int(fact(path, "Maximum").removesuffix(" items"))
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(most + 1)]
    method = next(each for each in METHODS if takes(f"{path}.Key", each))

    assert wrong(given(path, tags[:most], method)) == set()
    assert wrong(given(path, tags, method)) == {path}


def test_each_attribute_is_on_the_page_with_its_values() -> None:
    values = reference.values()
    shown = dict(re.findall(r"^#### `(\w+)`\n(.*?)(?=^##|\Z)", RETURN_VALUES, re.M | re.S))

    assert [list(attributes) for attributes in values.values()] == [[*shown]] * len(values)
    assert [*reference.ATTRIBUTES] == [*shown]
    for name, text in shown.items():
        assert reference.ATTRIBUTES[name] in text
        lines = dict(re.findall(r"^- ([\w ]+): (.*)$", text, re.M))
        for kind, attributes in values.items():
            said: str = lines.get(kind) or lines["Dry run"]
            assert said.strip("`") == (attributes[name] or "empty")


@pytest.mark.parametrize("kind", ["BundleInstance", "StoreImage", "Dry run"])
def test_ref_is_on_the_page(kind: str) -> None:
    said = re.findall(rf"^- {kind}: `(.*)`$", RETURN_VALUES.partition("### Fn")[0], re.M)

    assert said == [reference.values()[kind]["BundleId"]]


# Examples


class Names:
    """What an example's names mean."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def ref(self, name: str) -> Any:
        return self._values.get(name, HANDLE)

    def attribute(self, logical_id: str, name: str) -> Any:
        return f"{logical_id}.{name}"

    def imported(self, name: str) -> Any:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"


PARAMETERS = {"InstanceId": "i-1234567890abcdef0", "Bucket": "my-images"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def asked(text: str) -> dict[str, Any]:
    """ResourceProperties of an example's resource."""
    declared = templates.parse(text).get("Parameters", {})
    parameters = {name: value for name, value in PARAMETERS.items() if name in declared}
    pseudo = templates.pseudo_parameters(STACK, "web", "us-east-1", "123456789012", [])
    template = templates.read(text, parameters, pseudo, acknowledged=None, expand=False)
    resolver = template.resolver(Names(template.values))
    found: dict[str, Any] = resolver.resolve(template.resources["Bundle"].properties)
    return found


@pytest.mark.parametrize("language", ["yaml", "json"])
def test_the_function_and_cfn_lint_find_no_problem_in_the_examples(
    language: str, tmp_path: Path
) -> None:
    texts = blocks(language)
    files = [tmp_path / f"{number}.{language}" for number, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)

    assert [problems(asked(text)) for text in texts] == [[]] * len(texts)
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *files],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert (lint.stdout, lint.returncode) == ("", 0)


def test_each_example_is_in_both_languages() -> None:
    texts = [*reference.examples()]

    assert len(texts) == 4
    assert [asked(text) for text in blocks("yaml")] == [asked(each.text) for each in texts]
    assert [asked(text) for text in blocks("json")] == [asked(each.text) for each in texts]
