"""Reading templates: YAML, intrinsic functions, parameters, conditions, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from moto import mock_aws
from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation.intrinsics import choose
from sandbox.cloudformation.templates import Template, check, parse, pseudo_parameters, read
from tests.sandbox.cloudformation.support import ACCOUNT, REGION

PSEUDO = pseudo_parameters("arn:stack", "shop", REGION, ACCOUNT, [])
QUEUE = "Resources: {Queue: {Type: AWS::SQS::Queue}}"


class Names:
    """Resources that exist: their IDs and attributes are named after them."""

    def __init__(self, template: Template) -> None:
        self._values = template.values

    def ref(self, name: str) -> Any:
        return self._values.get(name, f"id of {name}")

    def attribute(self, logical_id: str, name: str) -> Any:
        return f"{name} of {logical_id}"

    def imported(self, name: str) -> Any:
        return f"export {name}"


def load(body: str, **given: str) -> Template:
    return read(body, given, PSEUDO, acknowledged=None, expand=True)


def resolved(properties: str, more: str = "", **given: str) -> Any:
    """The properties of a queue, in YAML's flow style, worked out."""
    body = f"""
Parameters:
  Name: {{Type: String, Default: n}}
  Empty: {{Type: String, Default: ""}}
  Size: {{Type: Number, Default: 3}}
  Sizes: {{Type: List<Number>, Default: "1, 2"}}
  Zones: {{Type: CommaDelimitedList, Default: "a, b"}}
Conditions:
  IsOn: !Equals [!Ref Name, n]
  IsOff: !Not [!Condition IsOn]
{more}
Resources:
  Other: {{Type: AWS::SQS::Queue}}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {properties}
"""
    template = load(body, **given)
    return template.resolver(Names(template)).resolve(template.resources["Queue"].properties)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!Ref Name", "n"),
        ("!Ref Size", 3),
        ("!Ref Sizes", [1, 2]),
        ("!Ref Zones", ["a", "b"]),
        ("!Ref Other", "id of Other"),
        ("!Ref AWS::Region", REGION),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref AWS::AccountId", ACCOUNT),
        ("!GetAtt Other.Arn", "Arn of Other"),
        ("!GetAtt Other.Endpoint.Address", "Endpoint.Address of Other"),
        ("{Fn::GetAtt: [Other, Arn]}", "Arn of Other"),
        ("{Fn::GetAtt: Other.Arn}", "Arn of Other"),
        ('!Sub "${Name}-${Other}-${Other.Arn}-${AWS::Region}"', None),
        ('!Sub "${!Literal} ${Size}"', "${Literal} 3"),
        ('!Sub ["${Other}/${Mine}/$x", {Mine: !Ref Name}]', "id of Other/n/$x"),
        ('!Sub ["${Mine}", {Mine: "${Name}"}]', "${Name}"),
        ('!Join ["-", [a, !Ref Size, true]]', "a-3-true"),
        ('!Join [",", !Ref Zones]', "a,b"),
        ('!Select [0, !Split [",", "x,y"]]', "x"),
        ("!Select [!Ref Size, [a, b, c, d]]", "d"),
        ("!If [IsOn, !Ref Name, b]", "n"),
        ("!If [IsOff, a, !If [IsOn, !GetAtt Other.Arn, c]]", "Arn of Other"),
        ("[a, !If [IsOff, b, !Ref AWS::NoValue], c]", ["a", "c"]),
        ('!Base64 "x"', "eA=="),
        ("!Base64 {Ref: Name}", "bg=="),
        ("!FindInMap [Sizes, !Ref Name, big]", 9),
        ("!GetAZs ''", ["us-east-1a", "us-east-1b", "us-east-1c"]),
        ("!GetAZs {Ref: AWS::Region}", ["us-east-1a", "us-east-1b", "us-east-1c"]),
        ('!ImportValue {Fn::Sub: "${Name}-x"}', "export n-x"),
        ("2012-10-17", "2012-10-17"),
        ("{a: {b: !Ref Name}}", {"a": {"b": "n"}}),
    ],
)
def test_a_function_is_worked_out(value: str, expected: Any) -> None:
    if expected is None:
        expected = f"n-id of Other-Arn of Other-{REGION}"
    result = resolved(f"{{V: {value}}}", "Mappings: {Sizes: {n: {big: 9}}}")
    assert result == {"V": expected}


def test_no_value_takes_the_property_away() -> None:
    properties = "{A: !If [IsOn, !Ref AWS::NoValue, x], B: {C: !If [IsOff, y, !Ref AWS::NoValue]}}"
    assert resolved(properties) == {"B": {}}


def test_statements_of_a_policy_are_resolved_and_left_out_by_condition() -> None:
    properties = """
      Policy:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Action: "s3:*", Resource: !Sub "arn:${AWS::Partition}:s3:::${Name}/*"}
          - !If [IsOff, {Effect: Deny}, !Ref "AWS::NoValue"]
"""
    assert resolved(properties)["Policy"] == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::n/*"}],
    }


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("!Equals [!Ref Name, n]", True),
        ('!Equals [!Ref Empty, ""]', True),
        ('!Equals [!Ref Size, "3"]', True),
        ("!Equals [!Ref Size, 3]", True),
        ('!Equals [!Ref Flag, "true"]', True),
        ("!Equals [!Ref Flag, true]", True),
        ('!Not [!Equals [!Ref Name, ""]]', True),
        ("!And [!Condition A, !Not [!Condition B]]", True),
        ("!Or [!Condition B, {Condition: A}]", True),
        ("!And [!Condition A, !Condition B]", False),
        ("!Equals [!Join ['-', [a, !Ref Name]], a-n]", True),
    ],
)
def test_a_condition_holds(condition: str, holds: bool) -> None:
    template = load(f"""
Parameters:
  Name: {{Type: String, Default: n}}
  Empty: {{Type: String, Default: ""}}
  Size: {{Type: Number, Default: 3}}
  Flag: {{Type: String, Default: true}}
Conditions:
  C: {condition}
  A: !Equals [a, a]
  B: !Equals [a, b]
Resources:
  Always: {{Type: AWS::SQS::Queue}}
  Queue: {{Type: AWS::SQS::Queue, Condition: C}}
""")
    assert ("Queue" in template.resources) is holds


def test_what_is_needed_comes_from_references_and_depends_on_that_apply() -> None:
    template = load("""
Conditions: {No: !Equals [a, b]}
Resources:
  A: {Type: AWS::SQS::Queue}
  B: {Type: AWS::SQS::Queue}
  C: {Type: AWS::SQS::Queue}
  D: {Type: AWS::SQS::Queue, Condition: "No"}
  Queue:
    Type: AWS::SQS::Queue
    DependsOn: [C, D]
    Properties:
      QueueName: !Sub "${A.QueueName}-${!C}-${AWS::Region}"
      Tags: [!If ["No", !Ref D, !Ref B]]
""")
    assert template.resources["Queue"].depends_on == {"A", "B", "C"}


@pytest.mark.parametrize(
    ("declaration", "value", "problem"),
    [
        ("{Type: String, AllowedValues: [a, b]}", "c", "must be one of AllowedValues"),
        ("{Type: String, AllowedPattern: '[a-z]+'}", "a1", "must match pattern [a-z]+"),
        ("{Type: String, MinLength: 2}", "a", "must contain at least 2 characters"),
        ("{Type: String, MaxLength: 2}", "abc", "must contain at most 2 characters"),
        ("{Type: Number}", "x", "must be a number"),
        ("{Type: Number, MinValue: 2}", "1", "must be a number not less than 2"),
        ("{Type: Number, MaxValue: 2}", "3", "must be a number not greater than 2"),
        ("{Type: CommaDelimitedList, AllowedValues: [a]}", "a,b", "must be one of AllowedValues"),
        (
            "{Type: String, AllowedPattern: 'i-.*', ConstraintDescription: an instance ID}",
            "x",
            "failed to satisfy constraint: an instance ID",
        ),
    ],
)
def test_a_parameter_that_breaks_a_rule_is_refused(
    declaration: str, value: str, problem: str
) -> None:
    with pytest.raises(CloudFormationError) as refusal:
        load(f"Parameters: {{P: {declaration}}}\n{QUEUE}", P=value)
    assert refusal.value.message == f"Parameter 'P' {problem}"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "must be specified"),
        ("just text", "unsupported structure"),
        ("a: [", "YAML not well-formed"),
        ('{"a": ', "JSON not well-formed"),
        ("Resources: {}", "At least one Resources member"),
        ("Resources: {A: {}}", "must contain a Type"),
        ("Resources: {A: {Type: Nonsense}}", "Unrecognized resource types: [Nonsense]"),
        (
            "Resources: {A: {Type: AWS::Serverless::Function}}",
            "Unrecognized resource types: [AWS::Serverless::Function]",
        ),
        (f"{QUEUE}\nOutputs:", "[/Outputs] 'null' values are not allowed"),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: null}}}",
            "[/Resources/A/Properties/B] 'null' values",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !Ref X}}}",
            "Unresolved resource dependencies [X] in the Resources block",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !Sub '${X}'}}}",
            "Unresolved resource dependencies [X] in the Resources block",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: X}}",
            "Unresolved resource dependencies [X] in the Resources block",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !GetAtt X.Arn}}}",
            "Fn::GetAtt references undefined resource X",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !Sub '${aws:user}/${a b}'}}}",
            "variable names in Fn::Sub syntax",
        ),
        (f"{QUEUE}\nOutputs: {{O: {{Value: !Ref X}}}}", "[X] in the Outputs block"),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Condition: C}}",
            "Unresolved condition dependency C",
        ),
        (
            "Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !If [C, 1, 2]}}}",
            "unresolved condition dependency C",
        ),
        (
            f"Conditions: {{C: !Not [!Condition D], D: !Not [!Condition C]}}\n{QUEUE}",
            "Circular dependency between conditions",
        ),
        (
            (
                "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}, "
                "B: {Type: AWS::SQS::Queue, DependsOn: A}}"
            ),
            "Circular dependency between resources: [A, B]",
        ),
        (f"Parameters: {{P: {{Type: String}}}}\n{QUEUE}", "Parameters: [P] must have values"),
        (f"Transform: Mine\n{QUEUE}", "No transform named Mine found."),
    ],
)
def test_a_template_that_is_wrong_is_refused(body: str, problem: str) -> None:
    with pytest.raises(CloudFormationError) as refusal:
        load(body)
    assert problem in refusal.value.message
    assert refusal.value.code == "ValidationError"


def test_a_parameter_that_is_not_declared_is_refused() -> None:
    with pytest.raises(CloudFormationError, match=r"Parameters: \[X\] do not exist"):
        load(QUEUE, X="1")


def test_a_resource_may_not_need_one_that_is_left_out() -> None:
    body = """
Conditions: {C: !Equals [a, b]}
Resources:
  A: {Type: AWS::SQS::Queue, Condition: C}
  B: {Type: AWS::SQS::Queue, Properties: {X: !Ref A}}
"""
    with pytest.raises(CloudFormationError, match=r"Unresolved resource dependencies \[A\]"):
        load(body)


def test_a_parameter_of_the_parameter_store_is_looked_up(sandbox: Any) -> None:
    sandbox.aws("ssm").put_parameter(Name="/name", Value="stored", Type="String")
    parameters = "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /name}}"
    assert load(f"{parameters}\n{QUEUE}").values["P"] == "stored"


def test_json_is_read_with_its_tabs() -> None:
    assert parse('{\n\t"Resources": {}\n}') == {"Resources": {}}


def test_keys_of_yaml_are_strings() -> None:
    assert parse("012345678901: {Yes: 1}") == {"012345678901": {"Yes": 1}}


def test_yaml_runs_no_code() -> None:
    with pytest.raises(CloudFormationError):
        parse("a: !!python/object/apply:os.getcwd []")


def test_a_template_can_be_checked_without_its_parameters() -> None:
    check(parse(f"Parameters: {{P: {{Type: String}}}}\n{QUEUE}"))
    with pytest.raises(CloudFormationError, match="Unresolved resource dependencies"):
        check(parse("Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !Ref X}}}"))


def test_choosing_leaves_other_functions_alone() -> None:
    assert choose({"a": {"Fn::If": ["C", {"Ref": "X"}, 1]}}, {"C": True}) == {"a": {"Ref": "X"}}


@mock_aws
def test_a_parameter_that_the_store_lacks_is_refused() -> None:
    parameters = "Parameters: {P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /none}}"
    with pytest.raises(CloudFormationError, match="parameter store"):
        load(f"{parameters}\n{QUEUE}")
