"""A template's functions, resolved as CloudFormation does."""

from typing import Any

import pytest

from cli.doctor.template import Place, Template, same

BODY = {
    "Conditions": {
        "HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]},
        "HasBoth": {"Fn::And": [{"Condition": "HasKey"}, {"Fn::Equals": ["a", "a"]}]},
        "HasOne": {"Fn::Or": [{"Condition": "HasKey"}, {"Fn::Equals": ["a", "b"]}]},
    },
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Name": {"Ref": "AWS::StackName"}}},
        "Role": {"Type": "AWS::IAM::Role", "Condition": "HasKey"},
        "Logs": {"Type": "AWS::Logs::LogGroup"},
    },
}
IDS = {
    "Queue": "https://sqs.us-east-1.amazonaws.com/123456789012/polls",
    "Role": "app-Role",
    "Logs": "app-Logs",
}


def template(key: str = "", partition: str = "aws") -> Template:
    place = Place(partition, "us-east-1", "123456789012")
    return Template(BODY, "app", place, {"Key": key, "Names": "a,b"}, IDS)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Key"}, ""),
        ({"Ref": "Queue"}, IDS["Queue"]),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:us-east-1:123456789012:polls"),
        ({"Fn::GetAtt": "Queue.QueueName"}, "polls"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::123456789012:role/app-Role"),
        (
            {"Fn::GetAtt": ["Logs", "Arn"]},
            "arn:aws:logs:us-east-1:123456789012:log-group:app-Logs:*",
        ),
        (
            {"Fn::Sub": "${AWS::Region}/${Role}/${Queue.QueueName}/${!x}"},
            "us-east-1/app-Role/polls/${x}",
        ),
        (
            {"Fn::Sub": ["${Own}.${Role}", {"Own": {"Ref": "AWS::URLSuffix"}}]},
            "amazonaws.com.app-Role",
        ),
        ({"Fn::If": ["HasKey", "yes", "no"]}, "no"),
        ({"Fn::If": ["HasBoth", "yes", "no"]}, "no"),
        ({"Fn::If": ["HasOne", "yes", "no"]}, "no"),
        ({"Fn::Join": [",x:", {"Fn::Split": [",", {"Ref": "Names"}]}]}, "a,x:b"),
        ([{"Fn::If": ["HasKey", "yes", {"Ref": "AWS::NoValue"}]}, "b"], ["b"]),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [True, 1]}, {"B": [True, 1]}),
    ],
)
def test_a_function_is_replaced_by_what_it_returns(value: Any, resolved: Any) -> None:
    assert template().resolved(value) == resolved


def test_a_function_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        template().resolved({"Fn::Select": [0, ["a"]]})


@pytest.mark.parametrize("condition", ["HasKey", "HasBoth", "HasOne"])
def test_conditions_hold_by_parameters(condition: str) -> None:
    assert template("k").resolved({"Fn::If": [condition, "yes", "no"]}) == "yes"
    assert template().of_type("AWS::IAM::Role") == []
    assert template("k").of_type("AWS::IAM::Role") == ["Role"]


def test_policies_are_compared_without_their_order() -> None:
    one = {"Action": ["b", "a"], "Resource": "x", "Bool": {"k": "false"}}

    assert same(one, {"Action": ["a", "b"], "Resource": ["x"], "Bool": {"k": False}})
    assert not same(one, {"Action": ["a"], "Resource": ["x"], "Bool": {"k": False}})
