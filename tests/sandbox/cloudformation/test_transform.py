"""The SAM transform."""

from __future__ import annotations

from typing import Any

import pytest
from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation.transform import transform
from tests.sandbox.cloudformation.support import ACCOUNT, REGION


def template(**properties: Any) -> dict[str, Any]:
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Globals": {"Function": {"Runtime": "python3.13", "Timeout": 30}},
        "Parameters": {"Size": {"Type": "Number", "Default": 128}},
        "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Size"}, 512]}},
        "Resources": {
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "CodeUri": "s3://code/app.zip",
                    "Handler": "app.handler",
                    "MemorySize": {"Ref": "Size"},
                    "Description": {"Fn::If": ["Big", "big", "small"]},
                    **properties,
                },
            }
        },
    }


def test_a_function_becomes_a_function_and_its_role() -> None:
    original = template(Policies=["AmazonS3ReadOnlyAccess"])
    processed = transform(original, {"Size": "256"}, REGION, ACCOUNT)
    function = processed["Resources"]["Function"]
    assert function["Type"] == "AWS::Lambda::Function"
    assert function["Properties"]["Code"] == {"S3Bucket": "code", "S3Key": "app.zip"}
    assert function["Properties"]["Timeout"] == 30
    assert function["Properties"]["Role"] == {"Fn::GetAtt": ["FunctionRole", "Arn"]}
    role = processed["Resources"]["FunctionRole"]["Properties"]
    assert "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess" in role["ManagedPolicyArns"]
    assert "Transform" not in processed
    assert "Globals" not in processed
    assert original["Resources"]["Function"]["Type"] == "AWS::Serverless::Function"


def test_parameters_and_conditions_stay_unresolved() -> None:
    processed = transform(template(), {"Size": "256"}, REGION, ACCOUNT)
    properties = processed["Resources"]["Function"]["Properties"]
    assert properties["MemorySize"] == {"Ref": "Size"}
    assert properties["Description"] == {"Fn::If": ["Big", "big", "small"]}
    assert processed["Conditions"] == {"Big": {"Fn::Equals": [{"Ref": "Size"}, 512]}}


def test_a_managed_policy_is_named_in_the_regions_partition() -> None:
    processed = transform(template(Policies=["AmazonS3ReadOnlyAccess"]), {}, "cn-north-1", ACCOUNT)
    role = processed["Resources"]["FunctionRole"]["Properties"]
    assert "arn:aws-cn:iam::aws:policy/AmazonS3ReadOnlyAccess" in role["ManagedPolicyArns"]


def test_an_invalid_document_is_refused_with_the_translators_words() -> None:
    with pytest.raises(CloudFormationError) as refusal:
        transform(template(CodeUri=7), {}, REGION, ACCOUNT)
    assert "Number of errors found: 1" in refusal.value.message
    assert "Resource with id [Function] is invalid" in refusal.value.message
