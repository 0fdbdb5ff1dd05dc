"""The application installed more than once in an account and Region, and not at all."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .installations import install, resources
from .support import Aws, Observers, SandboxProcess, created, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

MOST_BUCKETS = [f"bundles-of-department-{number:02}-in-this-company"[:40] for number in range(50)]
"""As many as AllowedBuckets takes, of 40 characters each."""


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, for what is in an account and Region once."""
    sandbox = SandboxProcess.start(tmp_path)
    yield Aws(sandbox.ready, Observers(sandbox.ready["endpoint"]))
    assert sandbox.end() == 0


def test_several_installations_work_and_one_that_fails_leaves_nothing(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_second_installation, aws, template),
        partial(_installation_without_an_export, aws, template),
        partial(_installation_of_a_taken_name, aws),
    )
    created(aws, template(aws.instance(seconds="1"), "first/web"))


def _second_installation(aws: Aws, template: Template) -> None:
    assert {len(bucket) for bucket in MOST_BUCKETS} == {40}
    assert len({*MOST_BUCKETS}) == 50
    aws.clients.s3.create_bucket(Bucket=MOST_BUCKETS[7])
    topic, notifications = _topic(aws)
    stack_id = install(
        aws,
        "second",
        {
            "FunctionName": "second",
            "ExportName": "second:ServiceToken",
            "AllowedBuckets": ",".join(MOST_BUCKETS),
            "AlarmTopicArn": topic,
            "Dashboard": "true",
        },
    )
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)

    side_by_side(
        partial(_allowed_bucket, aws, template),
        partial(_other_bucket, aws, template),
        partial(_alarms_that_notify, aws, notifications),
        partial(_dashboard, aws),
    )


def _allowed_bucket(aws: Aws, template: Template) -> None:
    body = _of_the_second(template(aws.instance(seconds="1"), "second/web"))
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = MOST_BUCKETS[7]

    _, outputs = created(aws, body)

    assert outputs["S3Uri"] == f"s3://{MOST_BUCKETS[7]}/second/web"
    found = aws.clients.s3.list_objects_v2(Bucket=MOST_BUCKETS[7], Prefix="second/web.manifest")
    assert found["KeyCount"] == 1


def _other_bucket(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")

    stack_id = aws.create_stack(_of_the_second(template(instance, "second/web")))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "parameter AllowedBuckets allows" in aws.failure(stack_id)
    assert aws.bundle_requests(instance) == []


def _of_the_second(body: dict[str, Any]) -> dict[str, Any]:
    """The template, for the second installation."""
    token = {"Fn::ImportValue": "second:ServiceToken"}
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
    return body


def _alarms_that_notify(aws: Aws, notifications: str) -> None:
    """Each of them does, when it fires and when it is well again."""
    cloudwatch, sqs = aws.clients.client("cloudwatch"), aws.clients.client("sqs")
    alarms = {name for key, name in resources(aws, "second").items() if key.endswith("Alarm")}
    assert len(alarms) == 6
    for state in ("ALARM", "OK"):
        for name in alarms:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")
    received: set[tuple[str, str]] = set()

    def are_all_received() -> bool | None:
        found = sqs.receive_message(QueueUrl=notifications, MaxNumberOfMessages=10).get(
            "Messages", []
        )
        for message in found:
            notification = json.loads(json.loads(message["Body"])["Message"])
            received.add((notification["AlarmName"], notification["NewStateValue"]))
            sqs.delete_message(QueueUrl=notifications, ReceiptHandle=message["ReceiptHandle"])
        return {(name, state) for name in alarms for state in ("ALARM", "OK")} <= received or None

    wait_for(are_all_received, "a notification of each alarm")


def _dashboard(aws: Aws) -> None:
    """What it shows is of this installation, and there."""
    made = resources(aws, "second")
    cloudwatch = aws.clients.client("cloudwatch")
    found = cloudwatch.get_dashboard(DashboardName=f"second-{aws.ready['region']}")
    widgets = [widget["properties"] for widget in json.loads(found["DashboardBody"])["widgets"]]

    assert "${" not in found["DashboardBody"]
    shown = {part for each in widgets for metric in each.get("metrics", []) for part in metric[3:4]}
    there = {name.rpartition("/")[2] for name in made.values()} | {"instance-bundle", "."}
    assert shown <= there
    arns = [arn for each in widgets for arn in each.get("alarms", [])]
    alarms = cloudwatch.describe_alarms(AlarmNames=[arn.rpartition(":")[2] for arn in arns])
    assert sorted(alarm["AlarmArn"] for alarm in alarms["MetricAlarms"]) == sorted(arns)
    assert {each["region"] for each in widgets if "metrics" in each} == {aws.ready["region"]}


def _topic(aws: Aws) -> tuple[str, str]:
    """A topic, and the URL of a queue that gets what is published to it."""
    sns, sqs = aws.clients.client("sns"), aws.clients.client("sqs")
    topic: str = sns.create_topic(Name="alarms")["TopicArn"]
    url: str = sqs.create_queue(QueueName="notifications")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"])
    return topic, url


def _installation_without_an_export(aws: Aws, template: Template) -> None:
    stack_id = install(aws, "third", {"FunctionName": "third", "ExportName": ""})
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    exports = aws.clients.cloudformation.list_exports()["Exports"]
    assert stack_id not in {export["ExportingStackId"] for export in exports}
    outputs = aws.outputs(stack)
    assert "ExportedServiceToken" not in outputs

    body = template(aws.instance(seconds="1"), "third/web")
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = outputs["ServiceToken"]
    created(aws, body)


def _installation_of_a_taken_name(aws: Aws) -> None:
    """Its table was there before its functions were refused, and is not kept."""
    stack_id = install(aws, "fourth", {"ExportName": "fourth:ServiceToken"})

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    moves = [
        event["ResourceStatus"]
        for event in aws.events(stack_id)
        if event["LogicalResourceId"] == "LedgerTable"
    ]
    assert "CREATE_COMPLETE" in moves
    assert moves[-1] == "DELETE_COMPLETE"
    tables = aws.clients.client("dynamodb").list_tables()["TableNames"]
    assert [name for name in tables if name.startswith("fourth-")] == []
    kept = {
        each["LogicalResourceId"]: each["ResourceStatus"]
        for page in aws.clients.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=stack_id
        )
        for each in page["StackResourceSummaries"]
    }
    assert {*kept.values()} <= {"DELETE_COMPLETE"}
