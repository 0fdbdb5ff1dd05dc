"""A template whose parameters are lists and keys: what of it there is, and what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.cloudformation.support import Sandbox, zipped

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

BODY = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Buckets: {Type: CommaDelimitedList, Default: ""}
  Key: {Type: String, Default: ""}
Conditions:
  HasBuckets: !Not [!Equals [!Join ["", !Ref Buckets], ""]]
  HasKey: !Not [!Equals [!Ref Key, ""]]
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: s3://code/app.zip
      Role: !GetAtt Role.Arn
      Environment: {Variables: {BUCKETS: !Join [",", !Ref Buckets]}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {}
      Policies:
        - PolicyName: Access
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - !If
                - HasBuckets
                - Effect: Allow
                  Action: s3:GetObject
                  Resource: !Split [",", !Sub ["arn:aws:s3:::${All}/*", {
                    All: !Join ["/*,arn:aws:s3:::", !Ref Buckets]}]]
                - !Ref AWS::NoValue
              - Effect: Allow
                Action: [s3:ListBucket, !If [HasKey, kms:Decrypt, !Ref AWS::NoValue]]
                Resource: !If [HasBuckets, !Select [0, !Ref Buckets], "*"]
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: !If [HasKey, !Ref AWS::NoValue, true]
      KmsMasterKeyId: !If [HasKey, !Ref Key, !Ref AWS::NoValue]
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement: [{Effect: Deny, Principal: "*", Action: sqs:*, Resource: !GetAtt Queue.Arn}]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      SSESpecification:
        SSEEnabled: true
        SSEType: !If [HasKey, KMS, !Ref AWS::NoValue]
        KMSMasterKeyId: !If [HasKey, !Ref Key, !Ref AWS::NoValue]
Outputs:
  Function: {Value: !Ref Function}
  Queue: {Value: !Ref Queue}
  QueueArn: {Value: !GetAtt Queue.Arn}
  Role: {Value: !Ref Role}
  Table: {Value: !Ref Table}
"""
KEY = "arn:aws:kms:us-east-1:123456789012:key/5a4db0f0-0000-4000-8000-000000000000"


def given(**parameters: str) -> list[ParameterTypeDef]:
    return [{"ParameterKey": name, "ParameterValue": parameters[name]} for name in parameters]


@pytest.fixture
def packaged(sandbox: Sandbox) -> Sandbox:
    """The sandbox with the function's code in its bucket."""
    s3 = sandbox.aws("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="app.zip", Body=zipped())
    return sandbox


def statements(sandbox: Sandbox) -> list[dict[str, Any]]:
    policy = sandbox.aws("iam").get_role_policy(
        RoleName=sandbox.outputs()["Role"], PolicyName="Access"
    )
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def queue(sandbox: Sandbox) -> dict[str, str]:
    answer = sandbox.aws("sqs").get_queue_attributes(
        QueueUrl=sandbox.outputs()["Queue"], AttributeNames=["All"]
    )
    attributes: dict[str, str] = answer["Attributes"]
    return attributes


def encryption(sandbox: Sandbox) -> dict[str, str]:
    table = sandbox.aws("dynamodb").describe_table(TableName=sandbox.outputs()["Table"])
    found: dict[str, str] = table["Table"]["SSEDescription"]
    return found


def variables(sandbox: Sandbox) -> dict[str, str]:
    function = sandbox.aws("lambda").get_function_configuration(
        FunctionName=sandbox.outputs()["Function"]
    )
    found: dict[str, str] = function["Environment"]["Variables"]
    return found


def test_without_lists_and_keys_their_parts_are_left_out(packaged: Sandbox) -> None:
    packaged.finish(BODY, "CREATE_COMPLETE")

    assert statements(packaged) == [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "*"}
    ]
    assert "KmsMasterKeyId" not in queue(packaged)
    assert queue(packaged)["SqsManagedSseEnabled"] == "true"
    assert (encryption(packaged)["Status"], encryption(packaged)["SSEType"]) == ("ENABLED", "KMS")
    assert variables(packaged) == {"BUCKETS": ""}


def test_with_lists_and_keys_their_parts_are_there(packaged: Sandbox) -> None:
    packaged.finish(BODY, "CREATE_COMPLETE", Parameters=given(Buckets="one, two", Key=KEY))

    assert statements(packaged) == [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": ["arn:aws:s3:::one/*", "arn:aws:s3:::two/*"],
        },
        {"Effect": "Allow", "Action": ["s3:ListBucket", "kms:Decrypt"], "Resource": "one"},
    ]
    assert queue(packaged)["KmsMasterKeyId"] == KEY
    assert queue(packaged)["SqsManagedSseEnabled"] == "false"
    assert encryption(packaged)["KMSMasterKeyArn"] == KEY
    assert variables(packaged) == {"BUCKETS": "one,two"}


def test_a_queue_has_its_policy_as_long_as_the_policy_is_there(packaged: Sandbox) -> None:
    packaged.finish(BODY, "CREATE_COMPLETE")
    [statement] = json.loads(queue(packaged)["Policy"])["Statement"]
    assert statement["Resource"] == packaged.outputs()["QueueArn"]

    without = BODY.replace(
        "Type: AWS::SQS::QueuePolicy", "Type: AWS::SQS::QueuePolicy\n    Condition: HasKey"
    )
    packaged.client.update_stack(
        StackName="shop",
        TemplateBody=without,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    packaged.until("UPDATE_COMPLETE")

    assert "Policy" not in queue(packaged)


def test_an_update_of_parameters_alone_changes_what_they_say(packaged: Sandbox) -> None:
    packaged.finish(BODY, "CREATE_COMPLETE")

    packaged.client.update_stack(
        StackName="shop",
        UsePreviousTemplate=True,
        Parameters=[
            *given(Buckets="three"),
            {"ParameterKey": "Key", "UsePreviousValue": True},
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    packaged.until("UPDATE_COMPLETE")

    assert variables(packaged) == {"BUCKETS": "three"}
    assert statements(packaged)[0]["Resource"] == ["arn:aws:s3:::three/*"]
    assert "Policy" in queue(packaged)


def test_an_update_gives_a_queue_its_key(packaged: Sandbox) -> None:
    packaged.finish(BODY, "CREATE_COMPLETE")

    packaged.client.update_stack(
        StackName="shop",
        UsePreviousTemplate=True,
        Parameters=given(Key=KEY),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    packaged.until("UPDATE_COMPLETE")

    assert queue(packaged)["KmsMasterKeyId"] == KEY
