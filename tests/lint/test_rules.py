"""Each rule: in the catalogue, and where a value is not in the property itself."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.rules import Rules
from cfnlint.schema.manager import ProviderSchemaManager

from instance_bundle_lint.attributes import ATTRIBUTES
from tests.chaos import stacks
from tests.lint.linting import OURS, ROOT, Finding, findings, line_of, ours, rules
from tools.editor_schema import CUSTOM_TAGS

CATALOGUE = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([EW]\d+)` (\|.*\|)$", CATALOGUE, re.MULTILINE))

HEAD = """\
Resources:
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
  Bundle:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: !ImportValue cfn-instance-bundle-ServiceToken
"""
GOOD = """\
      InstanceId: i-1234567890abcdef0
      Storage: {S3: {Bucket: my-images}}
"""
SECOND = """\
  Second:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: !ImportValue cfn-instance-bundle-ServiceToken
      InstanceId: i-0fedcba0987654321
      Storage: {S3: {Bucket: my-images}}
"""
DONE = """\
  Done:
    Type: AWS::CloudFormation::WaitCondition
    Properties: {Handle: !Ref Handle, Timeout: "43200"}
"""
MISTAKES = {
    "E9701": HEAD + GOOD + "      OnDelete: Keep\n",
    "E9702": HEAD + "      InstanceId: i-1234567890abcdef0\n      Storage: {S3: {Prefix: web}}\n",
    "E9703": HEAD + GOOD + "      Metod: StoreImage\n",
    "E9704": HEAD + "      Method: StoreImage\n      InstanceId: i-1234567890abcdef0\n"
    "      Storage: {S3: {Bucket: my-images, Prefix: web}}\n",
    "E9705": HEAD + "      InstanceId: i-1234567890abcdef0\n"
    "      Storage: {S3: {Bucket: my-images, Prefix: ../web}}\n",
    "E9706": HEAD + GOOD + "      ServiceTimeout: 5\n",
    "E9707": HEAD + GOOD + "      Image: {Tags: [{Key: A, Value: b}, {Key: A, Value: c}]}\n",
    "E9708": HEAD + GOOD + "Outputs:\n  Uri: {Value: !GetAtt Bundle.S3Url}\n",
    "E9709": HEAD + GOOD + "      CompletionHandle: !Ref Done\n" + DONE,
    "E9710": HEAD
    + GOOD
    + "      CompletionHandle: !Ref Handle\n"
    + SECOND
    + "      CompletionHandle: !Ref Handle\n"
    + DONE,
    "W9711": HEAD + "      InstanceId: i-1234567890abcdef0\n"
    "      Storage: {S3: {Bucket: My_Images}}\n",
    "W9712": HEAD + GOOD + "      CompletionHandle: !Ref Handle\n",
}
"""A template with one mistake, for each rule."""


def test_each_rule_has_its_entry_and_no_other_has_one() -> None:
    own = set(rules(OURS)) - set(rules())

    assert own == set(ROWS) == set(MISTAKES)
    assert [name for name in own if rules(OURS)[name].severity not in ROWS[name]] == []
    assert [name for name in own if not rules(OURS)[name].description] == []


def test_cfn_lint_in_this_repository_uses_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    [directory] = yaml.safe_load((ROOT / ".cfnlintrc").read_text())["append_rules"]

    assert set(Rules.create_from_directory(str(ROOT / directory))) == set(MISTAKES)


@pytest.mark.parametrize("rule", MISTAKES)
def test_the_entry_shows_the_message_of_its_mistake(rule: str) -> None:
    [finding] = findings(MISTAKES[rule])

    assert finding.rule == rule
    assert f"`{finding.message}`" in ROWS[rule]


@pytest.mark.parametrize("rule", MISTAKES)
def test_a_rule_can_be_ignored_by_metadata(rule: str) -> None:
    [ignoring] = re.findall(r"```yaml\n(Metadata:.*?)```", CATALOGUE, re.DOTALL)

    assert findings(ignoring.replace("W9711", rule) + MISTAKES[rule]) == []


def test_schemas_of_a_registry_are_not_used_for_custom_resources(tmp_path: Path) -> None:
    schema = {"typeName": "Custom::InstanceBundle", "properties": {}, "additionalProperties": False}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    manager = ProviderSchemaManager()
    manager.load_registry_schemas(str(tmp_path))

    [(_, used)] = manager.get_resource_schemas_by_regions("Custom::InstanceBundle", ["us-east-1"])

    assert used.type_name == "AWS::CloudFormation::CustomResource"


def test_the_page_has_the_setting_of_custom_tags() -> None:
    [setting] = re.findall(r'```json\n(\{"yaml.customTags".*?)```', CATALOGUE, re.DOTALL)

    assert yaml.safe_load(setting) == {"yaml.customTags": CUSTOM_TAGS}


def test_the_attributes_are_those_of_an_answer() -> None:
    assert set(ATTRIBUTES) == stacks.ATTRIBUTES


def parameter(name: str, **others: Any) -> str:
    return yaml.safe_dump({"Parameters": {name: {"Type": "String", **others}}}, width=1000)


BUNDLE = """\
Resources:
  Bundle:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: !ImportValue cfn-instance-bundle-ServiceToken
      InstanceId: i-1234567890abcdef0
      Method: METHOD
      Storage:
        S3:
          Bucket: BUCKET
"""
AT = ("Resources", "Bundle", "Properties")
IN_S3 = (*AT, "Storage", "S3")


def bundle(bucket: str = "my-images", method: str = "StoreImage", more: str = "") -> str:
    return BUNDLE.replace("BUCKET", bucket).replace("METHOD", method) + more


@pytest.mark.parametrize(
    ("text", "rule", "path"),
    [
        (
            parameter("B", Default="my/images") + bundle("!Ref B"),
            "E9705",
            ("Parameters", "B", "Default"),
        ),
        (
            parameter("B", AllowedValues=["images", "my/images"]) + bundle("!Ref B"),
            "E9705",
            ("Parameters", "B", "AllowedValues", 1),
        ),
        (
            parameter("B", Default="my/images") + bundle("!Sub '${B}'"),
            "E9705",
            (*IN_S3, "Bucket"),
        ),
        (
            parameter("B", Default="my/images") + bundle("!Join ['-', [!Ref B, x]]"),
            "E9705",
            (*IN_S3, "Bucket"),
        ),
        (bundle("!Sub my/images"), "E9705", (*IN_S3, "Bucket")),
        (bundle("!Sub 's3://images-${AWS::AccountId}'"), "E9705", (*IN_S3, "Bucket")),
        (bundle("!Select [1, [a, arn:aws:s3:::b]]"), "E9705", (*IN_S3, "Bucket")),
        (bundle("|\n            my-images"), "E9705", (*IN_S3, "Bucket")),
        (bundle("{Ref: AWS::StackId}"), "E9705", (*IN_S3, "Bucket")),
        (
            bundle("{'Fn::GetAtt': [B, Arn]}", more="  B: {Type: AWS::S3::Bucket}\n"),
            "E9705",
            (*IN_S3, "Bucket"),
        ),
        (
            "Mappings: {M: {A: {B: my/images}}}\n" + bundle("!FindInMap [M, A, B]"),
            "E9705",
            ("Mappings", "M", "A", "B"),
        ),
        (
            parameter("T", Type="Number", Default=5)
            + bundle(more="      ServiceTimeout: !Ref T\n"),
            "E9706",
            ("Parameters", "T", "Default"),
        ),
        (
            parameter("T", Type="Number", Default=60, MinValue=1)
            + bundle(more="      ServiceTimeout: !Ref T\n"),
            "E9706",
            ("Parameters", "T", "MinValue"),
        ),
        # A function's value is not known, and is given in any case.
        (
            parameter("P") + bundle(more="          Prefix: !Ref P\n"),
            "E9704",
            (*IN_S3, "Prefix"),
        ),
        (
            parameter("M", Default="StoreImage") + bundle("images\n          Prefix: a", "!Ref M"),
            "E9704",
            (*IN_S3, "Prefix"),
        ),
        (
            parameter("S") + bundle(more="      UploadCredentials: !Ref S\n"),
            "E9704",
            (*AT, "UploadCredentials"),
        ),
        (bundle(more="      Image: {Name: !Sub 'a~${AWS::StackName}'}\n"), "E9701", (*AT, "Image")),
    ],
)  # fmt: skip
def test_values_that_are_known_are_checked(text: str, rule: str, path: tuple[Any, ...]) -> None:
    assert [(found.line, found.rule) for found in ours(findings(text))] == [
        (line_of(_untagged(text), path), rule)
    ]


def _untagged(text: str) -> str:
    """A template that a parser without CloudFormation's tags can read."""
    return re.sub(r"!\w+ ", "", text)


CHOOSING = """\
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
"""


LONG_IF = """
            Fn::If:
              - IsProd
              - {}
              - {}
"""


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("!If [IsProd, images, my/images]", 14),
        (LONG_IF.format("a/b", "images"), 17),
        (LONG_IF.format("images", "!Ref AWS::StackId"), 18),
        (LONG_IF.format("images", "!If [IsProd, a/b, images]"), None),
    ],
)
def test_both_values_of_if_are_checked_on_their_lines(value: str, line: int | None) -> None:
    found = [each.line for each in ours(findings(CHOOSING + bundle(value)))]

    assert found == ([line] if line else [])


def test_what_conditions_exclude_is_not_reported() -> None:
    prefix = "\n          Prefix: !If [IsProd, !Ref AWS::NoValue, web]"
    method = "!If [IsProd, StoreImage, BundleInstance]"
    wrong = method.replace("StoreImage, BundleInstance", "BundleInstance, StoreImage")

    assert findings(CHOOSING + bundle("images" + prefix, method)) == []
    assert [each.rule for each in findings(CHOOSING + bundle("images" + prefix, wrong))] == [
        "E9704"
    ]


@pytest.mark.parametrize(
    "use",
    [
        "!GetAtt Bundle.Arn",
        "!GetAtt [Bundle, Arn]",
        '{"Fn::GetAtt": [Bundle, Arn]}',
        '{"Fn::GetAtt": Bundle.Arn}',
        '!Sub "a ${Bundle.Arn}"',
        '!Sub ["a ${Bundle.Arn} ${B}", {B: b}]',
        '!Sub ["a ${B}", {B: !GetAtt Bundle.Arn}]',
        '!Join ["", [a, !GetAtt Bundle.Arn]]',
        "!GetAtt Bundle.Storage.S3.Bucket",
        "!GetAtt [Bundle, !Ref Attribute]",
    ],
)
@pytest.mark.parametrize("place", ["Outputs", "Resources"])
def test_an_attribute_that_is_not_returned_is_found(use: str, place: str) -> None:
    after = {
        "Outputs": f"Outputs:\n  Uri:\n    Value: {use}\n",
        "Resources": "  Topic:\n    Type: AWS::SNS::Topic\n    Properties:\n"
        f"      DisplayName: {use}\n",
    }[place]
    text = parameter("Attribute", Default="Arn") + bundle(more=after)

    [found] = ours(findings(text))

    assert (found.rule, found.line) == ("E9708", len(text.splitlines()))


def handled(handle: str, second: str = "", more: str = DONE) -> str:
    """A template with a bundle of a handle, perhaps with a second one."""
    line = "      CompletionHandle: {}\n"
    two = SECOND + line.format(second) if second else ""
    return CHOOSING + HEAD + GOOD + line.format(handle) + two + more


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (handled("Handle"), ["E9701"]),
        (handled("https://cloudformation-waitcondition.example/a"), ["E9709"]),
        (handled("!Sub 'https://example.com/${AWS::StackName}'"), ["E9709"]),
        (handled("!Sub '${Done}'"), ["E9709"]),
        (handled("!If [IsProd, !Ref Handle, !Ref Done]"), ["E9709"]),
        (handled("!If [IsProd, !Ref Handle, !Ref AWS::NoValue]"), []),
        (handled("!ImportValue handle"), []),
        (handled("!Ref Handle", more="Outputs: {Url: {Value: !Ref Handle}}\n"), []),
        (handled("!Ref Handle", "!Sub '${Handle}'"), ["E9710"]),
        (handled("!Ref Handle", "!If [IsProd, !Ref Handle, !Ref AWS::NoValue]"), ["E9710"]),
    ],
)
def test_handles(text: str, rules: list[str]) -> None:
    assert [found.rule for found in ours(findings(text))] == rules


def test_metadata_of_a_resource_ignores_a_rule_there_only() -> None:
    ignoring = "    Metadata: {cfn-lint: {config: {ignore_checks: [E9706]}}}\n"
    bad = "      ServiceTimeout: 5\n"
    first = (HEAD + GOOD + bad).replace("    Properties:\n", ignoring + "    Properties:\n")

    assert ours(findings(first)) == []
    assert [type(found) for found in ours(findings(first + SECOND + bad))] == [Finding]
