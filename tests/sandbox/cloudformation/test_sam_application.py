"""A whole serverless application, from SAM template to resources and back; and in moto's server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.cloudformation import api as cloudformation
from tests.moto_server import moto_server
from tests.sandbox.cloudformation.support import Sandbox, eventually, zipped

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

APPLICATION = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Description: Bundles
Metadata:
  AWS::ServerlessRepo::Application: {Name: bundles, SemanticVersion: 1.0.0}
Globals:
  Function:
    Runtime: python3.13
    Handler: app.handler
    CodeUri: s3://code/app.zip
    Architectures: [!Ref Architecture]
    MemorySize: 256
Parameters:
  Architecture: {Type: String, Default: x86_64, AllowedValues: [x86_64, arm64]}
  Retention: {Type: Number, Default: 30, AllowedValues: [1, 30, 365]}
  Boundary: {Type: String, Default: ""}
Conditions:
  HasBoundary: !Not [!Equals [!Ref Boundary, ""]]
  Intel: !And [!Equals [!Ref Architecture, x86_64], !Not [!Condition HasBoundary]]
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 60
      PermissionsBoundary: !If [HasBoundary, !Ref Boundary, !Ref "AWS::NoValue"]
      LoggingConfig: {LogFormat: JSON, LogGroup: !Ref Logs}
      Environment:
        Variables: {TABLE: !Ref Table, QUEUE: !Ref Queue}
      EventInvokeConfig:
        MaximumRetryAttempts: 2
        MaximumEventAgeInSeconds: 600
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt DeadLetters.Arn}}
      Policies:
        - Version: 2012-10-17
          Statement:
            - Effect: Allow
              Action: dynamodb:PutItem
              Resource: !GetAtt Table.Arn
            - !If
              - HasBoundary
              - {Effect: Deny, Action: "*", Resource: "*"}
              - !Ref AWS::NoValue
            - Effect: Allow
              Action: "s3:*"
              Resource: !Sub "arn:${AWS::Partition}:s3:::*/${AWS::StackName}*"
      Events:
        Polls:
          Type: SQS
          Properties:
            Queue: !GetAtt Queue.Arn
            BatchSize: 50
            MaximumBatchingWindowInSeconds: 1
            FunctionResponseTypes: [ReportBatchItemFailures]
  LastResort:
    Type: AWS::Serverless::Function
    Properties:
      Role: !GetAtt LastResortRole.Arn
      Events:
        Dead: {Type: SQS, Properties: {Queue: !GetAtt DeadLetters.Arn}}
  LastResortRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: {Service: !Sub "lambda.${AWS::URLSuffix}"}
            Action: sts:AssumeRole
      Policies:
        - PolicyName: read
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "sqs:*", Resource: !GetAtt DeadLetters.Arn}]
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: !Ref Retention}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: true
      VisibilityTimeout: 360
      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}
  DeadLetters:
    Type: AWS::SQS::Queue
    Properties: {KmsMasterKeyId: alias/aws/sqs, MessageRetentionPeriod: 1209600}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument: {Statement: [{Effect: Allow, Action: "sqs:*", Resource: "*"}]}
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      SSESpecification: {SSEEnabled: true}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/SQS
      MetricName: ApproximateAgeOfOldestMessage
      Statistic: Maximum
      Period: 60
      EvaluationPeriods: 5
      Threshold: 300
      ComparisonOperator: GreaterThanThreshold
      Dimensions: [{Name: QueueName, Value: !GetAtt DeadLetters.QueueName}]
Outputs:
  ServiceToken:
    Value: !GetAtt Function.Arn
    Export: {Name: !Sub "${AWS::StackName}-ServiceToken"}
  Boundary:
    Condition: HasBoundary
    Value: !Ref Boundary
"""


@pytest.fixture
def packaged(sandbox: Sandbox) -> Sandbox:
    """A sandbox with the application's code in S3."""
    sandbox.aws("s3").create_bucket(Bucket="code")
    sandbox.aws("s3").put_object(Bucket="code", Key="app.zip", Body=zipped())
    return sandbox


def physical_id(sandbox: Sandbox, logical_id: str) -> str:
    detail = sandbox.client.describe_stack_resource(StackName="shop", LogicalResourceId=logical_id)
    return detail["StackResourceDetail"]["PhysicalResourceId"]


def test_an_application_is_deployed_and_removed(packaged: Sandbox) -> None:
    packaged.finish(APPLICATION, "CREATE_COMPLETE")
    assert set(packaged.outputs()) == {"ServiceToken"}
    assert packaged.outputs()["ServiceToken"].startswith("arn:aws:lambda:us-east-1:")
    assert packaged.client.list_exports()["Exports"][0]["Name"] == "shop-ServiceToken"
    table = physical_id(packaged, "Table")
    stack_id = packaged.delete()
    assert packaged.statuses("Table", stack_id)[-1] == "DELETE_SKIPPED"
    assert packaged.aws("dynamodb").list_tables()["TableNames"] == [table]
    names = [f["FunctionName"] for f in packaged.aws("lambda").list_functions()["Functions"]]
    assert names == ["bundler"]
    assert packaged.aws("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert packaged.aws("sqs").list_queues().get("QueueUrls", []) == []
    assert packaged.aws("logs").describe_log_groups()["logGroups"] == []
    assert [r["RoleName"] for r in packaged.aws("iam").list_roles()["Roles"]] == ["bundler"]


def test_the_function_is_what_the_template_says(packaged: Sandbox) -> None:
    packaged.finish(
        APPLICATION,
        "CREATE_COMPLETE",
        Parameters=[{"ParameterKey": "Architecture", "ParameterValue": "arm64"}],
    )
    name = physical_id(packaged, "Function")
    function = packaged.aws("lambda").get_function(FunctionName=name)["Configuration"]
    assert (function["Timeout"], function["MemorySize"]) == (60, 256)
    assert function["Architectures"] == ["arm64"]
    variables = function["Environment"]["Variables"]
    assert variables["TABLE"] == physical_id(packaged, "Table")
    assert variables["QUEUE"] == physical_id(packaged, "Queue")
    (mapping,) = packaged.aws("lambda").list_event_source_mappings(FunctionName=name)[
        "EventSourceMappings"
    ]
    assert mapping["UUID"] == physical_id(packaged, "FunctionPolls")
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (50, 1)


def test_the_role_has_the_statements_that_apply(packaged: Sandbox) -> None:
    packaged.finish(APPLICATION, "CREATE_COMPLETE")
    iam = packaged.aws("iam")
    role = physical_id(packaged, "FunctionRole")
    assert "PermissionsBoundary" not in iam.get_role(RoleName=role)["Role"]
    policy = "FunctionRolePolicy0"  # the other one is for the on-failure destination
    assert policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    table, bucket = document["Statement"]
    assert table["Resource"].endswith(f":table/{physical_id(packaged, 'Table')}")
    assert bucket["Resource"] == "arn:aws:s3:::*/shop*"
    assert document["Version"] == "2012-10-17"


def test_a_boundary_that_is_given_is_set(packaged: Sandbox) -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    packaged.finish(
        APPLICATION,
        "CREATE_COMPLETE",
        Parameters=[{"ParameterKey": "Boundary", "ParameterValue": boundary}],
    )
    role = packaged.aws("iam").get_role(RoleName=physical_id(packaged, "FunctionRole"))["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert packaged.outputs()["Boundary"] == boundary


def test_the_queues_table_and_logs_are_set_up(packaged: Sandbox) -> None:
    packaged.finish(APPLICATION, "CREATE_COMPLETE")
    queue = packaged.aws("sqs").get_queue_attributes(
        QueueUrl=physical_id(packaged, "Queue"), AttributeNames=["All"]
    )["Attributes"]
    assert queue["VisibilityTimeout"] == "360"
    assert json.loads(queue["RedrivePolicy"])["maxReceiveCount"] == 5
    dynamodb, table = packaged.aws("dynamodb"), physical_id(packaged, "Table")
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    backups = dynamodb.describe_continuous_backups(TableName=table)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    billing = dynamodb.describe_table(TableName=table)["Table"]["BillingModeSummary"]
    assert billing["BillingMode"] == "PAY_PER_REQUEST"
    (logs,) = packaged.aws("logs").describe_log_groups()["logGroups"]
    assert logs["retentionInDays"] == 30


def test_the_template_is_kept_as_submitted_and_as_processed(packaged: Sandbox) -> None:
    packaged.finish(APPLICATION, "CREATE_COMPLETE")
    original: Any = packaged.client.get_template(StackName="shop", TemplateStage="Original")
    assert original["TemplateBody"] == APPLICATION
    processed: Any = packaged.client.get_template(StackName="shop")["TemplateBody"]
    assert processed["Resources"]["Function"]["Type"] == "AWS::Lambda::Function"


def test_a_serverless_template_can_be_summarised_and_validated(sandbox: Sandbox) -> None:
    summary = sandbox.client.get_template_summary(TemplateBody=APPLICATION)
    assert {p["ParameterKey"] for p in summary["Parameters"]} == {
        "Architecture",
        "Retention",
        "Boundary",
    }
    assert "AWS::Serverless::Function" in summary["ResourceTypes"]
    assert summary["Capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert summary["DeclaredTransforms"] == ["AWS::Serverless-2016-10-31"]
    validated = sandbox.client.validate_template(TemplateBody=APPLICATION)
    assert validated["Description"] == "Bundles"
    assert validated["Capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def test_a_change_set_deploys_the_application(packaged: Sandbox) -> None:
    made = packaged.client.create_change_set(
        StackName="shop",
        ChangeSetName="deploy",
        ChangeSetType="CREATE",
        TemplateBody=APPLICATION,
        Capabilities=["CAPABILITY_IAM"],
    )
    changes = packaged.client.describe_change_set(ChangeSetName=made["Id"])["Changes"]
    assert "FunctionRole" in {c["ResourceChange"]["LogicalResourceId"] for c in changes}
    packaged.client.execute_change_set(ChangeSetName=made["Id"])
    packaged.until("CREATE_COMPLETE")


def test_an_invalid_serverless_document_is_refused(sandbox: Sandbox) -> None:
    body = """
    Transform: AWS::Serverless-2016-10-31
    Resources: {Function: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.13}}}
    """
    with pytest.raises(sandbox.client.exceptions.ClientError, match="Invalid Serverless"):
        sandbox.create(body)


@pytest.fixture
def served() -> Iterator[CloudFormationClient]:
    """CloudFormation behind moto's server, installed before the server serves."""
    with moto_server() as endpoint:
        stacks = cloudformation.install(lambda: endpoint)
        session = boto3.Session(region_name="us-east-1")
        client = session.client("cloudformation", endpoint_url=endpoint)
        yield client
        client.close()
        stacks.close()


def test_stacks_run_behind_motos_server(served: CloudFormationClient) -> None:
    served.create_stack(
        StackName="shop", TemplateBody="Resources: {Queue: {Type: AWS::SQS::Queue}}"
    )

    def status() -> str:
        return served.describe_stacks(StackName="shop")["Stacks"][0]["StackStatus"]

    eventually(lambda: status() == "CREATE_COMPLETE", status)
    events = served.describe_stack_events(StackName="shop")["StackEvents"]
    assert len(events) == 5
