"""No false alarm: nothing is found in valid templates, examples, and what the pages show."""

import re
import textwrap
from collections.abc import Iterator

import pytest

from tests.lint.linting import EXAMPLES, ROOT, VALID, blocks, findings, loaded

PACKS = ("cfn_lint_serverless.rules", "cfn_lint_cfn_handler.rules")
"""Rules of others, who know neither the function nor what it polls."""

NO_TEMPLATE = r": (String|Integer|Boolean|Object|Json)$|^append_rules:"
"""The syntax of a resource, with types in the places of values; settings of cfn-lint."""

PAGES = sorted(
    path
    for place in ("*.md", "docs/**/*.md", "examples/**/*.md", "sandbox/*.md", "events/*.md")
    for path in ROOT.glob(place)
)
BLOCKS = {
    f"{path.relative_to(ROOT)}:{line}": text
    for path in PAGES
    for line, text in blocks(path.read_text(encoding="utf-8"))
    if not re.search(NO_TEMPLATE, text, re.MULTILINE)
}
SECTIONS = {"Metadata", "Parameters", "Mappings", "Conditions", "Outputs"}

BUNDLE = """\
Resources:
  Bundle:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: !ImportValue cfn-instance-bundle-ServiceToken
      InstanceId: i-1234567890abcdef0
      Storage: {S3: {Bucket: my-images}}
"""
BUCKET = """\
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
"""
POLICY = """\
Resources:
  Policy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
        -
"""
ALARM = """\
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      ComparisonOperator: GreaterThanThreshold
      EvaluationPeriods: 1
      Threshold: 0
"""
AROUND = {"NotificationConfiguration": BUCKET, "Effect": POLICY, "Metrics": ALARM}
"""What a fragment is a part of, by its first key; of a bundle, if it has another."""


def completed(block: str) -> str:
    """A block as a template: what it leaves out is added, and nothing else."""
    block = textwrap.dedent(block).replace("{…}", "{MetricName: Any, Namespace: Any}")
    first = block.partition(":")[0]
    if "Resources:" in block.splitlines():
        left_out = "".join(BUNDLE.splitlines(keepends=True)[-2:])
        return re.sub(r"^ *# …\n", left_out, block, flags=re.MULTILINE)
    if re.match(r"\w+:\n  Type:", block):
        return BUNDLE + textwrap.indent(block, "  ")
    if first in SECTIONS:
        names = re.findall(r"^  (\w+):", block, re.MULTILINE) if first == "Parameters" else []
        uses = [f"  {name}: {{Value: !Ref {name}}}\n" for name in names]
        return block + BUNDLE + "".join(["Outputs:\n", *uses] if uses else [])
    given = set(re.findall(r"^(\w+):", block, re.MULTILINE))
    around = AROUND.get(first, BUNDLE).splitlines(keepends=True)
    kept = [line for line in around if line.split(":")[0].strip() not in given]
    indent = "          " if first == "Effect" else "      "
    return "".join(kept) + textwrap.indent(block, indent)


@pytest.mark.parametrize("name", VALID)
def test_nothing_is_found_in_a_valid_template(name: str) -> None:
    assert findings(VALID[name].read_text()) == []


def test_there_are_twenty_valid_templates_that_use_all_functions() -> None:
    used = {key for path in VALID.values() for key in _functions(loaded(path.read_text()))}

    assert len(VALID) >= 20
    assert used >= {
        *("Ref", "Condition", "Fn::And", "Fn::Base64", "Fn::Cidr", "Fn::Contains", "Fn::Equals"),
        *("Fn::FindInMap", "Fn::GetAZs", "Fn::GetAtt", "Fn::If", "Fn::ImportValue", "Fn::Join"),
        *("Fn::Length", "Fn::Not", "Fn::Or", "Fn::Select", "Fn::Split", "Fn::Sub"),
        *("Fn::ToJsonString", "Fn::Transform", "Fn::ForEach"),
    }


def _functions(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield "::".join(str(key).split("::")[:2])
            yield from _functions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _functions(inner)


# `make templates` runs cfn-lint on template.yaml.
@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"template.yaml"}))
def test_nothing_is_found_in_an_example(name: str) -> None:
    assert findings(EXAMPLES[name].read_text()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_rules_of_others_find_nothing_that_is_not_answered(name: str) -> None:
    assert findings(EXAMPLES[name].read_text(), *PACKS) == []


def test_rules_of_others_find_what_metadata_does_not_answer() -> None:
    text = EXAMPLES["examples/on-bundle-complete.yaml"].read_text()
    unanswered = text.replace("ES4000", "ES0000").replace("polling: true", "polling: false")

    assert [found.rule for found in findings(unanswered, *PACKS)] == ["E9108", "ES4000"]


@pytest.mark.parametrize("name", BLOCKS)
def test_nothing_is_found_in_what_a_page_shows(name: str) -> None:
    assert findings(completed(BLOCKS[name])) == []
