"""Whole stacks: CloudFormation, the function as a process, the queue, EC2 and S3."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from .support import Aws, deleted, json_of, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

ATTRIBUTES = (
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime", "ImageId"),
    *("ImageArn", "SnapshotIds"),
)
SOON = {"seconds": "2"}


def test_a_stack_gets_its_bundles(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_every_attribute, aws, template),
        partial(_two_bundles_of_one_stack, aws, template),
        partial(_dry_run, aws, template),
        partial(_change_set, aws, template),
        partial(_event_that_comes_twice, aws, template),
        partial(_update_and_replacement, aws, template),
    )


def test_a_request_that_can_not_be_carried_out_is_failed_with_why_and_what_to_do(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_three_wrong_properties, aws, template),
        *(partial(_unfit_instance, aws, template, kind) for kind in UNFIT),
        partial(_bundle_that_lies_there_already, aws, template),
        partial(_log_lines, aws, template),
    )


def test_a_task_that_does_not_complete_rolls_back_and_leaves_nothing(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_task_that_fails, aws, template),
        partial(_task_that_hangs, aws, template),
        partial(_task_that_hangs_and_came_late, aws, template),
        partial(_stack_that_is_deleted_while_it_is_made, aws, template),
    )


def _every_attribute(aws: Aws, template: Template) -> None:
    """A stack gets all attributes of its bundle, whose objects stay when it is deleted."""
    instance = aws.instance(**SOON)
    body = template(instance, "attributes/web")
    body["Outputs"] = {name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in ATTRIBUTES} | {
        "Ref": {"Value": {"Ref": "Bundle"}}
    }

    stack_id = aws.create_stack(body)
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    outputs, bucket = aws.outputs(stack), aws.ready["bucket"]
    assert outputs["Ref"] == outputs["BundleId"]
    assert outputs["BundleId"].startswith("bun-")
    assert {name: outputs[name] for name in ATTRIBUTES if "Time" not in name} == {
        "BundleId": outputs["BundleId"],
        "InstanceId": instance,
        "Bucket": bucket,
        "Prefix": "attributes/web",
        "S3Uri": f"s3://{bucket}/attributes/web",
        "ManifestLocation": f"{bucket}/attributes/web.manifest.xml",
        "State": "complete",
        "Progress": "100%",
        **dict.fromkeys(("ImageId", "ImageArn", "SnapshotIds"), ""),
    }
    assert outputs["StartTime"] <= outputs["UpdateTime"]
    assert outputs["StartTime"].endswith("Z")
    assert len(aws.bundle_requests(instance)) == 1
    keys = aws.keys("attributes/web")
    assert "attributes/web.manifest.xml" in keys

    deleted(aws, stack_id)

    assert aws.keys("attributes/web") == keys


def _three_wrong_properties(aws: Aws, template: Template) -> None:
    """They are one Reason that names them all."""
    body = template("my-instance", Colour="red")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = "my images"

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    for path in ("InstanceId: ", "Colour: ", "Storage.S3.Bucket: "):
        assert path in reason
    assert aws.bundle_requests("my-instance") == []


def _task_that_fails(aws: Aws, template: Template) -> None:
    instance = aws.instance(
        **SOON, outcome="failed", error="Client.S3Error: The bucket does not like it"
    )

    stack_id = aws.create_stack(template(instance, "failing/web"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Client.S3Error: The bucket does not like it" in aws.failure(stack_id)
    answer = aws.responses(stack_id)[0]
    assert answer["PhysicalResourceId"].startswith("bun-")
    assert aws.keys("failing/web") == []


UNFIT = {
    "ebs": ("BundleInstance does not support", "Use `Method: StoreImage`"),
    "missing": ("ec2:DescribeInstances was refused. InvalidInstanceID.NotFound: ", "the ID"),
    "terminated": (" is terminated, and BundleInstance accepts running instances.",),
    "busy": (" is stopped, and BundleInstance accepts running", "While another bundle task"),
}


def _unfit_instance(aws: Aws, template: Template, kind: str) -> None:
    stack_id = aws.create_stack(template(_unfit(aws, kind), f"refused/{kind}"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    for word in UNFIT[kind]:
        assert word in reason


def _unfit(aws: Aws, kind: str) -> str:
    match kind:
        case "ebs":
            return aws.ebs_instance()
        case "missing":
            return "i-0123456789abcdef0"
    instance = aws.instance(outcome="hang")
    if kind == "busy":
        aws.clients.ec2.bundle_instance(
            InstanceId=instance, Storage={"S3": {"Bucket": aws.ready["bucket"], "Prefix": "busy"}}
        )
        aws.clients.ec2.get_waiter("instance_stopped").wait(
            InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    else:
        aws.clients.ec2.terminate_instances(InstanceIds=[instance])
    return instance


def _bundle_that_lies_there_already(aws: Aws, template: Template) -> None:
    """It is not overwritten."""
    bucket, key = aws.ready["bucket"], "taken/web.manifest.xml"
    aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"<manifest/>")
    instance = aws.instance(**SOON)

    stack_id = aws.create_stack(template(instance, "taken/web"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Change Prefix, or omit it" in aws.failure(stack_id)
    assert aws.bundle_requests(instance) == []
    assert aws.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"<manifest/>"


def _two_bundles_of_one_stack(aws: Aws, template: Template) -> None:
    """They are made side by side; the prefix that one lacks is made."""
    body = template(aws.instance(**SOON))
    other = template(aws.instance(**SOON), "two/other")
    body["Resources"]["Other"] = other["Resources"]["Bundle"]

    stack_id = aws.create_stack(body)
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    bucket, s3_uri = aws.ready["bucket"], aws.outputs(stack)["S3Uri"]
    assert s3_uri.startswith(f"s3://{bucket}/{stack['StackName']}/Bundle/")
    made = s3_uri.removeprefix(f"s3://{bucket}/")
    assert f"{made}.manifest.xml" in aws.keys(made)
    assert "two/other.manifest.xml" in aws.keys("two/other")


def _dry_run(aws: Aws, template: Template) -> None:
    instance = aws.instance()

    stack_id = aws.create_stack(template(instance, "dry/web", DryRun=True))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert aws.outputs(stack)["BundleId"].startswith("dryrun-")
    assert [request["DryRun"] for request in aws.bundle_requests(instance)] == [True]
    assert aws.keys("dry/web") == []


def _task_that_hangs(aws: Aws, template: Template) -> None:
    """It times out before CloudFormation's own timeout."""
    instance = aws.instance(outcome="hang")

    stack_id = aws.create_stack(template(instance, "hanging/web", ServiceTimeout="40"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "Not complete within ServiceTimeout (40 s): task bun-" in reason
    assert [task["State"] for task in aws.tasks(instance)] == ["failed"]


def _task_that_hangs_and_came_late(aws: Aws, template: Template) -> None:
    """It times out before CloudFormation's own timeout, which counts from the sending."""
    instance = aws.instance(outcome="hang")
    sent = datetime.now(UTC) - timedelta(seconds=90)
    event = _event(aws, template, instance, "late", ServiceTimeout="130")
    event["ResponseURL"] = (
        f"{aws.clients.endpoint}/sandbox/responses/{instance}?X-Amz-Date={sent:%Y%m%dT%H%M%SZ}"
    )

    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"], InvocationType="Event", Payload=json.dumps(event)
    )

    wait_for(lambda: aws.responses(event["StackId"]) or None, "the answer")
    [answer] = [
        response
        for response in json_of(f"{aws.clients.endpoint}/sandbox/responses")
        if response["stackId"] == event["StackId"]
    ]
    assert "Not complete within ServiceTimeout (130 s): " in answer["body"]["Reason"]
    assert datetime.fromisoformat(answer["received"]) < sent + timedelta(seconds=130)
    wait_for(
        lambda: {task["State"] for task in aws.tasks(instance)} <= {"failed"} or None,
        "the task to end",
    )


def _event_that_comes_twice(aws: Aws, template: Template) -> None:
    """It comes three times at once, and starts one bundle."""
    instance = aws.instance(**SOON)
    event = _event(aws, template, instance, "twice")

    for _ in range(3):
        aws.clients.functions.invoke(
            FunctionName=aws.ready["service_token"],
            InvocationType="Event",
            Payload=json.dumps(event),
        )

    wait_for(lambda: aws.keys(f"twice/{instance}.manifest.xml") or None, "the bundle")
    assert len(aws.bundle_requests(instance)) == 1


def _event(
    aws: Aws, template: Template, instance: str, stack: str, **properties: Any
) -> dict[str, Any]:
    """A Create of no stack's, to be answered where nobody waits."""
    body = template(instance, f"{stack}/{instance}", **properties)
    return {
        "RequestType": "Create",
        "ResponseURL": (
            f"{aws.clients.endpoint}/cloudformation-custom-resource-response-us-east-1/none?x=y"
        ),
        "StackId": f"arn:aws:cloudformation:us-east-1:123456789012:stack/{stack}/{instance}",
        "RequestId": f"{stack}-{instance}",
        "LogicalResourceId": "Bundle",
        "ResourceProperties": body["Resources"]["Bundle"]["Properties"]
        | {"ServiceToken": aws.ready["service_token"]},
    }


def _change_set(aws: Aws, template: Template) -> None:
    body = template(aws.instance(**SOON), "changed/web")
    name = "test-change-set"
    made = aws.clients.cloudformation.create_change_set(
        StackName=name,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(body),
    )
    aws.clients.cloudformation.get_waiter("change_set_create_complete").wait(
        ChangeSetName=made["Id"], WaiterConfig={"Delay": 1}
    )

    aws.clients.cloudformation.execute_change_set(ChangeSetName=made["Id"])

    assert aws.at_rest(made["StackId"])["StackStatus"] == "CREATE_COMPLETE"


def test_a_request_that_keeps_crashing_the_function_is_answered_by_the_last_resort(
    alone: Aws, template: Template
) -> None:
    aws = alone
    function = aws.ready["service_token"]
    configure = aws.clients.functions.update_function_configuration
    configure(FunctionName=function, Handler="instance_bundle.no_such_module.handler")
    try:
        stack_id = aws.create_stack(template(aws.instance(**SOON), "crashing/web"))
        wait_for(lambda: aws.responses(stack_id) or None, "the failure handler's answer")
    finally:
        configure(FunctionName=function, Handler="instance_bundle.app.handler")

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "did not complete the request: RetriesExhausted after 3 invocations" in reason


def _log_lines(aws: Aws, template: Template) -> None:
    """They name stack, resource and request, and nothing secret."""
    stack_id = aws.create_stack(template("not-an-instance"))
    aws.at_rest(stack_id)

    events = aws.clients.client("logs").filter_log_events(logGroupName=aws.ready["log_group"])
    lines = [json.loads(event["message"]) for event in events["events"]]
    about = [line for line in lines if line.get("stack_id") == stack_id]
    assert {line["logical_id"] for line in about} == {"Bundle"}
    assert all(line["request_id"] for line in about)
    metrics = [line for line in lines if "_aws" in line]
    assert any("Failed" in line for line in metrics)
    assert "X-Amz-Signature" not in json.dumps(lines)


def _stack_that_is_deleted_while_it_is_made(aws: Aws, template: Template) -> None:
    instance = aws.instance(outcome="hang")
    stack_id = aws.create_stack(template(instance, "abandoned/web"))
    wait_for(lambda: aws.tasks(instance) or None, "the task")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert [task["State"] for task in aws.tasks(instance)] == ["failed"]


def _update_and_replacement(aws: Aws, template: Template) -> None:
    """An Update makes a new bundle only where what names the bundle changes."""
    instance = aws.instance(seconds="1")
    stack_id = aws.create_stack(template(instance, "updated/one"))
    first = aws.outputs(aws.at_rest(stack_id))

    aws.update_stack(stack_id, template(instance, "updated/one", ServiceTimeout=900))
    assert aws.outputs(aws.at_rest(stack_id)) == first
    aws.update_stack(stack_id, template(instance, "updated/two", ServiceTimeout=900))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert aws.outputs(stack)["S3Uri"].endswith("/updated/two")
    assert aws.outputs(stack)["BundleId"] != first["BundleId"]
    assert len(aws.bundle_requests(instance)) == 2
    assert {"updated/one.manifest.xml", "updated/two.manifest.xml"} <= set(aws.keys("updated/"))
