"""Stacks of modelled resources: events, rollback, deletion, exports, change sets, descriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import (
    ACCOUNT,
    REGION,
    Sandbox,
    eventually,
    success,
)

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"

QUEUES = """
Parameters:
  Secret: {Type: String, NoEcho: true, Default: hush}
  Delay: {Type: Number, Default: 5}
Resources:
  Second:
    Type: AWS::SQS::Queue
    Properties:
      DelaySeconds: !Ref Delay
      Tags: [{Key: first, Value: !GetAtt First.QueueName}, {Key: secret, Value: !Ref Secret}]
  First: {Type: AWS::SQS::Queue}
Outputs:
  Url: {Value: !Ref Second, Description: where, Export: {Name: !Sub "${AWS::StackName}-Url"}}
  Arn: {Value: !GetAtt First.Arn}
"""

# The bucket's name is not valid, and so its creation fails after the queue's.
BROKEN = """
Resources:
  Queue: {Type: AWS::SQS::Queue, DeletionPolicy: %s}
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Queue
    Properties: {BucketName: X}
"""

IMPORTER = """
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {Tags: [{Key: url, Value: !ImportValue shop-Url}]}
"""


def queues(sandbox: Sandbox) -> list[str]:
    urls: list[str] = sandbox.aws("sqs").list_queues().get("QueueUrls", [])
    return [url.rpartition("/")[2] for url in urls]


def test_events_list_each_step_in_order(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    assert sandbox.history() == [
        ("shop", "CREATE_IN_PROGRESS", "User Initiated"),
        ("First", "CREATE_IN_PROGRESS", ""),
        ("First", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("First", "CREATE_COMPLETE", ""),
        ("Second", "CREATE_IN_PROGRESS", ""),
        ("Second", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Second", "CREATE_COMPLETE", ""),
        ("shop", "CREATE_COMPLETE", ""),
    ]


def test_events_come_in_pages_the_newest_first(sandbox: Sandbox) -> None:
    queue = {"Type": "AWS::SQS::Queue"}
    queues = {f"Q{number}": queue for number in range(60)}
    sandbox.finish(json.dumps({"Resources": queues}), "CREATE_COMPLETE")
    pages = list(sandbox.client.get_paginator("describe_stack_events").paginate(StackName="shop"))

    assert [len(page["StackEvents"]) for page in pages] == [100, 82]
    events = [event for page in pages for event in page["StackEvents"]]
    assert len({event["EventId"] for event in events}) == 182
    times = [event["Timestamp"] for event in events]
    assert times == sorted(times, reverse=True)
    with pytest.raises(ClientError, match="Invalid NextToken"):
        sandbox.client.describe_stack_events(StackName="shop", NextToken="x")


def test_events_have_their_own_ids_rising_times_and_properties(sandbox: Sandbox) -> None:
    sandbox.clock.stopped = 1_800_000_000.0
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    paginator = sandbox.client.get_paginator("describe_stack_events")
    events = paginator.paginate(StackName="shop").build_full_result()["StackEvents"]
    assert len({event["EventId"] for event in events}) == len(events) == 8
    times = [event["Timestamp"] for event in events]
    assert times == sorted(set(times), reverse=True)
    last = next(event for event in events if event["LogicalResourceId"] == "Second")
    assert last["ResourceType"] == "AWS::SQS::Queue"
    assert last["PhysicalResourceId"].startswith("https://")
    properties = json.loads(last["ResourceProperties"])
    assert properties["DelaySeconds"] == 5
    assert {"Key": "secret", "Value": "****"} in properties["Tags"]


def test_resources_that_need_nothing_start_together(sandbox: Sandbox) -> None:
    sandbox.finish(
        "Resources: {A: {Type: AWS::SQS::Queue}, B: {Type: AWS::SQS::Queue}}", "CREATE_COMPLETE"
    )
    assert [event[0] for event in sandbox.history()[1:3]] == ["A", "B"]


def test_creation_is_under_way_when_the_call_returns(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    body = (
        f"Resources: {{B: {{Type: 'Custom::B', Properties: {{ServiceToken: '{TOKEN}'}}}}}}\n"
        "Outputs: {B: {Value: !Ref B, Export: {Name: b}}}"
    )
    sandbox.create(body)
    assert sandbox.stack()["StackStatus"] == "CREATE_IN_PROGRESS"
    sandbox.event("Create", "B")
    assert sandbox.outputs() == {}
    assert sandbox.client.list_exports()["Exports"] == []
    resources = sandbox.client.describe_stack_resources(StackName="shop")["StackResources"]
    assert [r["ResourceStatus"] for r in resources] == ["CREATE_IN_PROGRESS"]
    assert len([e for e in sandbox.events if e["RequestType"] == "Create"]) == 1


def test_a_stack_is_described_with_its_outputs_parameters_and_tags(sandbox: Sandbox) -> None:
    stack = sandbox.finish(
        QUEUES,
        "CREATE_COMPLETE",
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "7"}],
        Tags=[{"Key": "team", "Value": "a"}],
    )
    assert {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]} == {
        "Secret": "****",
        "Delay": "7",
    }
    assert stack["Tags"] == [{"Key": "team", "Value": "a"}]
    output = next(o for o in stack["Outputs"] if o["OutputKey"] == "Url")
    assert (output["ExportName"], output["Description"]) == ("shop-Url", "where")
    assert sandbox.client.list_stacks()["StackSummaries"][0]["StackName"] == "shop"
    assert sandbox.client.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"] == []


def test_each_resource_has_its_own_status_and_ids(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    first, second = sandbox.client.describe_stack_resources(StackName="shop")["StackResources"]
    assert (first["LogicalResourceId"], second["LogicalResourceId"]) == ("First", "Second")
    assert first["ResourceStatus"] == "CREATE_COMPLETE"
    assert first["Timestamp"] < second["Timestamp"]
    summaries = sandbox.client.list_stack_resources(StackName="shop")["StackResourceSummaries"]
    assert [s["PhysicalResourceId"] for s in summaries] == [
        first["PhysicalResourceId"],
        second["PhysicalResourceId"],
    ]
    found = sandbox.client.describe_stack_resources(PhysicalResourceId=first["PhysicalResourceId"])
    assert len(found["StackResources"]) == 2
    with pytest.raises(sandbox.client.exceptions.ClientError, match="Resource X does not exist"):
        sandbox.client.describe_stack_resource(StackName="shop", LogicalResourceId="X")


def test_a_failure_rolls_back_in_reverse_order(sandbox: Sandbox) -> None:
    sandbox.finish(BROKEN % "Delete", "ROLLBACK_COMPLETE")
    assert queues(sandbox) == []
    history = [(name, status) for name, status, _ in sandbox.history()]
    assert history[-5:] == [
        ("shop", "ROLLBACK_IN_PROGRESS"),
        ("Bucket", "DELETE_COMPLETE"),
        ("Queue", "DELETE_IN_PROGRESS"),
        ("Queue", "DELETE_COMPLETE"),
        ("shop", "ROLLBACK_COMPLETE"),
    ]
    assert "InvalidBucketName" in sandbox.reason("Bucket", "CREATE_FAILED")


NAMED: dict[str, dict[str, Any]] = {
    "AWS::DynamoDB::Table": {
        "TableName": "taken",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
    },
    "AWS::IAM::Role": {"RoleName": "taken", "AssumeRolePolicyDocument": {}},
    "AWS::Lambda::Function": {
        "FunctionName": "taken",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/bundler",
        "Code": {"ZipFile": "handler = print"},
    },
    "AWS::Logs::LogGroup": {"LogGroupName": "taken"},
    "AWS::S3::Bucket": {"BucketName": "taken"},
    "AWS::SQS::Queue": {"QueueName": "taken"},
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_name_that_is_taken_is_refused_and_the_rollback_leaves_what_has_it(
    sandbox: Sandbox, kind: str
) -> None:
    body = json.dumps({"Resources": {"Named": {"Type": kind, "Properties": NAMED[kind]}}})
    named = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    sandbox.finish(body, "CREATE_COMPLETE", "first", **named)

    sandbox.finish(body, "ROLLBACK_COMPLETE", "second", **named)

    assert sandbox.reason("Named", "CREATE_FAILED", "second")
    sandbox.delete("second")
    # It is there: its name is taken as before.
    sandbox.finish(body, "ROLLBACK_COMPLETE", "third", **named)


@pytest.mark.parametrize("how", [{"DisableRollback": True}, {"OnFailure": "DO_NOTHING"}])
def test_a_failure_can_be_left_as_it_is(sandbox: Sandbox, how: dict[str, Any]) -> None:
    sandbox.finish(BROKEN % "Delete", "CREATE_FAILED", **how)
    assert len(queues(sandbox)) == 1
    assert sandbox.reason("shop", "CREATE_FAILED") == (
        "The following resource(s) failed to create: [Bucket]. "
    )
    sandbox.delete()
    assert queues(sandbox) == []


def test_a_failure_can_delete_the_stack(sandbox: Sandbox) -> None:
    stack_id = sandbox.finish(BROKEN % "Delete", "DELETE_COMPLETE", OnFailure="DELETE")["StackId"]
    assert sandbox.reason("shop", "DELETE_IN_PROGRESS", stack_id) == (
        "The following resource(s) failed to create: [Bucket]. Delete requested by user."
    )
    assert queues(sandbox) == []


def test_a_deleted_stack_is_found_by_its_id_only(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    stack_id = sandbox.delete()
    assert queues(sandbox) == []
    with pytest.raises(sandbox.client.exceptions.ClientError, match="does not exist"):
        sandbox.stack("shop")
    assert sandbox.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert sandbox.history(stack_id)[-1][:2] == ("shop", "DELETE_COMPLETE")
    assert sandbox.client.list_exports()["Exports"] == []
    sandbox.client.delete_stack(StackName=stack_id)
    sandbox.client.delete_stack(StackName="shop")
    assert len(sandbox.history(stack_id)) == 14
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    assert sandbox.client.list_stacks()["StackSummaries"][1]["StackStatus"] == "DELETE_COMPLETE"


def test_deletion_goes_against_the_order_of_creation(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    history = [(name, status) for name, status, _ in sandbox.history(sandbox.delete())]
    assert history[-6:] == [
        ("shop", "DELETE_IN_PROGRESS"),
        ("Second", "DELETE_IN_PROGRESS"),
        ("Second", "DELETE_COMPLETE"),
        ("First", "DELETE_IN_PROGRESS"),
        ("First", "DELETE_COMPLETE"),
        ("shop", "DELETE_COMPLETE"),
    ]


def test_a_retained_table_outlives_its_stack(sandbox: Sandbox) -> None:
    body = """
    Resources:
      Table:
        Type: AWS::DynamoDB::Table
        DeletionPolicy: Retain
        Properties:
          TableName: ledger
          BillingMode: PAY_PER_REQUEST
          AttributeDefinitions: [{AttributeName: k, AttributeType: S}]
          KeySchema: [{AttributeName: k, KeyType: HASH}]
    """
    sandbox.finish(body, "CREATE_COMPLETE")
    stack_id = sandbox.delete()
    assert sandbox.statuses("Table", stack_id)[-1] == "DELETE_SKIPPED"
    assert sandbox.aws("dynamodb").list_tables()["TableNames"] == ["ledger"]


def test_a_bucket_with_objects_fails_the_delete(sandbox: Sandbox) -> None:
    sandbox.finish(
        "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: vault}}}",
        "CREATE_COMPLETE",
    )
    sandbox.aws("s3").put_object(Bucket="vault", Key="k", Body=b"")
    sandbox.delete(status="DELETE_FAILED")
    assert "not empty" in sandbox.reason("B", "DELETE_FAILED")
    sandbox.aws("s3").delete_object(Bucket="vault", Key="k")
    sandbox.delete()


def test_a_resource_that_is_gone_already_counts_as_deleted(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    for url in sandbox.aws("sqs").list_queues()["QueueUrls"]:
        sandbox.aws("sqs").delete_queue(QueueUrl=url)
    sandbox.delete()


def test_an_export_can_be_imported_and_then_not_be_deleted(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    sandbox.finish(IMPORTER, "CREATE_COMPLETE", "kiosk")
    url = sandbox.outputs()["Url"]
    queue = sandbox.client.describe_stack_resource(StackName="kiosk", LogicalResourceId="Queue")
    tags = sandbox.aws("sqs").list_queue_tags(
        QueueUrl=queue["StackResourceDetail"]["PhysicalResourceId"]
    )
    assert tags["Tags"] == {"url": url}
    assert sandbox.client.list_imports(ExportName="shop-Url")["Imports"] == ["kiosk"]
    with pytest.raises(sandbox.client.exceptions.ClientError) as refusal:
        sandbox.client.delete_stack(StackName="shop")
    assert "Export shop-Url cannot be deleted as it is in use by kiosk" in str(refusal.value)
    assert sandbox.stack()["StackStatus"] == "CREATE_COMPLETE"
    sandbox.delete("kiosk")
    sandbox.delete()


def test_an_import_of_nothing_fails_the_resource(sandbox: Sandbox) -> None:
    sandbox.finish(IMPORTER, "ROLLBACK_COMPLETE")
    assert sandbox.reason("Queue", "CREATE_FAILED") == "No export named shop-Url found."


def test_an_export_of_another_stack_can_not_be_taken(sandbox: Sandbox) -> None:
    body = QUEUES.replace("${AWS::StackName}", "all")
    sandbox.finish(body, "CREATE_COMPLETE")
    sandbox.finish(body, "ROLLBACK_COMPLETE", "kiosk")
    assert sandbox.reason("kiosk", "ROLLBACK_IN_PROGRESS", "kiosk") == (
        "Export with name all-Url is already exported by stack shop. Rollback requested by user."
    )
    assert [e["Name"] for e in sandbox.client.list_exports()["Exports"]] == ["all-Url"]


def test_a_template_that_is_wrong_creates_nothing(sandbox: Sandbox) -> None:
    with pytest.raises(sandbox.client.exceptions.ClientError, match=r"\(ValidationError\)"):
        sandbox.create("Resources: {A: {Type: AWS::SQS::Queue, Properties: {B: !Ref X}}}")
    assert sandbox.client.list_stacks()["StackSummaries"] == []


def test_a_name_can_not_be_taken_twice(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    with pytest.raises(sandbox.client.exceptions.AlreadyExistsException):
        sandbox.create(QUEUES)
    with pytest.raises(sandbox.client.exceptions.ClientError, match="regular expression"):
        sandbox.create(QUEUES, "no_good")


@pytest.mark.parametrize(
    ("properties", "given", "needed"),
    [
        ("{}", [], "CAPABILITY_IAM"),
        ("{RoleName: r}", ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ],
)
def test_capabilities_must_be_acknowledged(
    sandbox: Sandbox, properties: str, given: list[str], needed: str
) -> None:
    body = f"Resources: {{R: {{Type: AWS::IAM::Role, Properties: {properties}}}}}"
    with pytest.raises(sandbox.client.exceptions.InsufficientCapabilitiesException) as refusal:
        sandbox.create(body, Capabilities=given)
    assert f"Requires capabilities : [{needed}]" in str(refusal.value)


def test_a_transform_needs_its_capability_unless_in_a_change_set(sandbox: Sandbox) -> None:
    body = "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: AWS::SQS::Queue}}"
    with pytest.raises(sandbox.client.exceptions.InsufficientCapabilitiesException):
        sandbox.create(body, Capabilities=[])
    sandbox.client.create_change_set(
        StackName="shop", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
    )


def test_managed_policies_are_attached_to_a_role_and_detached_with_it(sandbox: Sandbox) -> None:
    body = """
    Resources:
      Policy:
        Type: AWS::IAM::ManagedPolicy
        DeletionPolicy: Retain
        Properties:
          PolicyDocument:
            Version: 2012-10-17
            Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]
      Role:
        Type: AWS::IAM::Role
        Properties:
          RoleName: clerk
          AssumeRolePolicyDocument: {}
          ManagedPolicyArns: [!Ref Policy, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    """
    sandbox.finish(body, "CREATE_COMPLETE", Capabilities=["CAPABILITY_NAMED_IAM"])
    policies = sandbox.aws("iam").list_attached_role_policies(RoleName="clerk")["AttachedPolicies"]
    awss_own, of_stack = sorted(policy["PolicyName"] for policy in policies)
    assert awss_own == "AmazonS3ReadOnlyAccess"
    assert of_stack.startswith("shop-Policy-")
    sandbox.delete()
    names = [role["RoleName"] for role in sandbox.aws("iam").list_roles()["Roles"]]
    assert names == ["bundler"]


def test_a_type_that_nothing_models_gets_a_placeholder(sandbox: Sandbox) -> None:
    body = """
    Resources:
      Alarm: {Type: AWS::CloudWatch::CompositeAlarm, Properties: {AlarmRule: "FALSE"}}
    Outputs:
      Name: {Value: !Ref Alarm}
      Arn: {Value: !GetAtt Alarm.Arn}
    """
    sandbox.finish(body, "CREATE_COMPLETE")
    assert sandbox.outputs()["Name"].startswith("shop-Alarm-")
    assert sandbox.outputs()["Arn"].startswith("arn:aws:cloudwatch:us-east-1:123456789012:shop-")
    sandbox.delete()


def test_describing_a_stack_in_review_creates_nothing(sandbox: Sandbox) -> None:
    sandbox.client.create_change_set(
        StackName="shop", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=QUEUES
    )
    assert sandbox.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert sandbox.client.describe_stack_resources(StackName="shop")["StackResources"] == []
    assert queues(sandbox) == []
    stack_id = sandbox.delete()
    assert sandbox.history(stack_id)[0][1] == "REVIEW_IN_PROGRESS"


def test_a_change_set_creates_a_stack_as_the_waiters_expect(sandbox: Sandbox) -> None:
    client, quickly = sandbox.client, {"Delay": 0, "MaxAttempts": 10_000}
    made = client.create_change_set(
        StackName="shop", ChangeSetName="c1", ChangeSetType="CREATE", TemplateBody=QUEUES
    )
    client.get_waiter("change_set_create_complete").wait(
        ChangeSetName=made["Id"],
        WaiterConfig=quickly,  # type: ignore[arg-type]
    )
    described = client.describe_change_set(StackName="shop", ChangeSetName="c1")
    assert (described["Status"], described["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    changes = [change["ResourceChange"] for change in described["Changes"]]
    assert {(c["Action"], c["LogicalResourceId"]) for c in changes} == {
        ("Add", "First"),
        ("Add", "Second"),
    }
    client.execute_change_set(StackName="shop", ChangeSetName="c1")
    client.get_waiter("stack_create_complete").wait(
        StackName="shop",
        WaiterConfig=quickly,  # type: ignore[arg-type]
    )
    assert sandbox.statuses("shop") == [
        "REVIEW_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
    ]
    assert sandbox.stack()["StackId"] == made["StackId"]
    executed = client.describe_change_set(ChangeSetName=made["Id"])
    assert executed["ExecutionStatus"] == "EXECUTE_COMPLETE"
    with pytest.raises(client.exceptions.InvalidChangeSetStatusException):
        client.execute_change_set(ChangeSetName=made["Id"])
    client.delete_stack(StackName="shop")
    client.get_waiter("stack_delete_complete").wait(
        StackName="shop",
        WaiterConfig=quickly,  # type: ignore[arg-type]
    )


def test_a_rolled_back_update_ends_its_waiter(sandbox: Sandbox) -> None:
    sandbox.finish("Resources: {Queue: {Type: AWS::SQS::Queue}}", "CREATE_COMPLETE")
    sandbox.client.update_stack(StackName="shop", TemplateBody=BROKEN % "Delete")
    sandbox.client.get_waiter("stack_rollback_complete").wait(
        StackName="shop",
        WaiterConfig={"Delay": 0, "MaxAttempts": 10_000},
    )


def test_a_change_set_updates_a_stack(sandbox: Sandbox) -> None:
    client = sandbox.client
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    body = QUEUES.replace("  First: {Type: AWS::SQS::Queue}", "  Third: {Type: AWS::SQS::Queue}")
    body = body.replace("First.", "Third.")
    client.create_change_set(
        StackName="shop",
        ChangeSetName="c2",
        ChangeSetType="UPDATE",
        TemplateBody=body,
        Parameters=[{"ParameterKey": "Secret", "UsePreviousValue": True}],
    )
    described = client.describe_change_set(StackName="shop", ChangeSetName="c2")
    changes = [change["ResourceChange"] for change in described["Changes"]]
    assert {(c["Action"], c["LogicalResourceId"]) for c in changes} == {
        ("Remove", "First"),
        ("Modify", "Second"),
        ("Add", "Third"),
    }
    assert client.list_change_sets(StackName="shop")["Summaries"][0]["ChangeSetName"] == "c2"
    client.execute_change_set(StackName="shop", ChangeSetName="c2")
    client.get_waiter("stack_update_complete").wait(
        StackName="shop",
        WaiterConfig={"Delay": 0, "MaxAttempts": 10_000},
    )
    assert sandbox.statuses("First")[-1] == "DELETE_COMPLETE"
    assert len(queues(sandbox)) == 2


def test_nothing_to_update_is_an_error(sandbox: Sandbox) -> None:
    client = sandbox.client
    sandbox.finish(QUEUES, "CREATE_COMPLETE")
    with pytest.raises(client.exceptions.ClientError, match="No updates are to be performed"):
        client.update_stack(StackName="shop", TemplateBody=QUEUES)
    with pytest.raises(client.exceptions.ClientError, match="No updates are to be performed"):
        client.update_stack(StackName="shop", UsePreviousTemplate=True)
    client.create_change_set(StackName="shop", ChangeSetName="c", TemplateBody=QUEUES)
    described = client.describe_change_set(StackName="shop", ChangeSetName="c")
    assert (described["Status"], described["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in described["StatusReason"]
    for _ in range(2):  # it is no error where there is none
        client.delete_change_set(StackName="shop", ChangeSetName="c")
    with pytest.raises(client.exceptions.ChangeSetNotFoundException):
        client.describe_change_set(StackName="shop", ChangeSetName="c")


def test_an_update_of_modelled_resources_keeps_them(sandbox: Sandbox) -> None:
    body = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: %d}}}"
    sandbox.finish(body % 30, "CREATE_COMPLETE")
    before = queues(sandbox)
    sandbox.client.update_stack(StackName="shop", TemplateBody=body % 60)
    sandbox.until("UPDATE_COMPLETE")
    assert queues(sandbox) == before
    url = sandbox.aws("sqs").list_queues()["QueueUrls"][0]
    attributes = sandbox.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "60"
    assert sandbox.statuses("Q")[-2:] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_a_stack_that_was_rolled_back_can_not_be_updated(sandbox: Sandbox) -> None:
    sandbox.finish(BROKEN % "Delete", "ROLLBACK_COMPLETE")
    with pytest.raises(sandbox.client.exceptions.ClientError, match="can not be updated"):
        sandbox.client.update_stack(StackName="shop", TemplateBody=QUEUES)


def test_a_protected_stack_can_not_be_deleted(sandbox: Sandbox) -> None:
    sandbox.finish(QUEUES, "CREATE_COMPLETE", EnableTerminationProtection=True)
    with pytest.raises(sandbox.client.exceptions.ClientError, match="TerminationProtection"):
        sandbox.client.delete_stack(StackName="shop")
    sandbox.client.update_stack(
        StackName="shop",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Delay", "ParameterValue": "9"}],
    )
    sandbox.until("UPDATE_COMPLETE")
    with pytest.raises(sandbox.client.exceptions.ClientError, match="TerminationProtection"):
        sandbox.client.delete_stack(StackName="shop")


def test_a_topic_that_is_not_there_stops_no_stack(sandbox: Sandbox) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
    sandbox.finish(QUEUES, "CREATE_COMPLETE", NotificationARNs=[topic])


def test_a_template_in_s3_is_read(sandbox: Sandbox) -> None:
    sandbox.aws("s3").create_bucket(Bucket="templates")
    sandbox.aws("s3").put_object(Bucket="templates", Key="a/b c.yaml", Body=QUEUES.encode())
    for number, url in enumerate(
        (
            "http://127.0.0.1:5000/templates/a/b%20c.yaml",
            "http://localhost:5000/templates/a/b%20c.yaml",
            "https://templates.s3.us-east-1.amazonaws.com/a/b%20c.yaml",
            "https://s3.amazonaws.com/templates/a/b%20c.yaml",
        )
    ):
        sandbox.client.create_stack(StackName=f"shop{number}", TemplateURL=url)
        sandbox.until("CREATE_COMPLETE", f"shop{number}")
    with pytest.raises(sandbox.client.exceptions.ClientError, match="does not exist"):
        sandbox.client.create_stack(StackName="x", TemplateURL="https://s3.amazonaws.com/x/y")


def test_events_are_published_to_the_notification_topics(sandbox: Sandbox) -> None:
    topic = sandbox.aws("sns").create_topic(Name="events")["TopicArn"]
    queue = sandbox.aws("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
    sandbox.aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sandbox.finish("Resources: {A: {Type: AWS::SQS::Queue}}", "CREATE_COMPLETE")
    sandbox.finish(
        "Resources: {A: {Type: AWS::SQS::Queue}}",
        "CREATE_COMPLETE",
        "kiosk",
        NotificationARNs=[topic],
    )

    def number() -> str:
        attributes = sandbox.aws("sqs").get_queue_attributes(
            QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        count: str = attributes["Attributes"]["ApproximateNumberOfMessages"]
        return count

    eventually(lambda: number() == "5", number)
