"""Whole stacks: CloudFormation, the function as a process, the queue, EC2 and S3."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from .support import Aws, wait_for

Template = Callable[..., dict[str, Any]]

ATTRIBUTES = (
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime", "ImageId"),
)
SOON = {"seconds": "2"}


def test_a_stack_gets_the_bundles_id_and_place(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)

    stack_id = aws.create_stack(template(instance, "plain/web"))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    outputs = aws.outputs(stack)
    assert outputs["BundleId"].startswith("bun-")
    assert outputs["S3Uri"] == f"s3://{aws.ready['bucket']}/plain/web"
    assert "plain/web.manifest.xml" in aws.keys("plain/web")
    assert len(aws.bundle_requests(instance)) == 1


def test_every_attribute_is_answered(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    body = template(instance, "attributes/web")
    body["Outputs"] = {name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in ATTRIBUTES} | {
        "Ref": {"Value": {"Ref": "Bundle"}}
    }

    stack_id = aws.create_stack(body)
    outputs = aws.outputs(aws.at_rest(stack_id))

    bucket = aws.ready["bucket"]
    assert outputs["Ref"] == outputs["BundleId"]
    assert {name: outputs[name] for name in ATTRIBUTES if "Time" not in name} == {
        "BundleId": outputs["BundleId"],
        "InstanceId": instance,
        "Bucket": bucket,
        "Prefix": "attributes/web",
        "S3Uri": f"s3://{bucket}/attributes/web",
        "ManifestLocation": f"{bucket}/attributes/web.manifest.xml",
        "State": "complete",
        "Progress": "100%",
        "ImageId": "",
    }
    assert outputs["StartTime"] <= outputs["UpdateTime"]
    assert outputs["StartTime"].endswith("Z")


def test_three_wrong_properties_are_one_reason_that_names_them_all(
    aws: Aws, template: Template
) -> None:
    body = template("my-instance", Colour="red")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = "My_Images"

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    for path in ("InstanceId: ", "Colour: ", "Storage.S3.Bucket: "):
        assert path in reason
    assert aws.bundle_requests("my-instance") == []


def test_a_task_that_fails_rolls_back_with_ec2s_words_and_leaves_nothing(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(
        **SOON, outcome="failed", error="Client.S3Error: The bucket does not like it"
    )

    stack_id = aws.create_stack(template(instance, "failing/web"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Client.S3Error: The bucket does not like it" in aws.failure(stack_id)
    answer = aws.responses(stack_id)[0]
    assert answer["PhysicalResourceId"].startswith("bun-")
    assert aws.keys("failing/web") == []


def test_deleting_the_stack_keeps_the_objects(aws: Aws, template: Template) -> None:
    stack_id = aws.create_stack(template(aws.instance(**SOON), "kept/web"))
    aws.at_rest(stack_id)
    keys = aws.keys("kept/web")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert keys
    assert aws.keys("kept/web") == keys


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ("ebs", ("is not of the kind that BundleInstance makes", "Use `Method: StoreImage`")),
        ("missing", ("ec2:DescribeInstances was refused. InvalidInstanceID.NotFound: ", "the ID")),
        ("stopped", ("ec2:BundleInstance was refused. IncorrectInstanceState: ", "be running")),
        ("busy", ("ec2:BundleInstance was refused. BundlingInProgress: ", "at a time")),
    ],
)
def test_what_an_instance_does_not_allow_is_failed_with_why_and_what_to_do(
    aws: Aws, template: Template, instance: str, words: tuple[str, ...]
) -> None:
    stack_id = aws.create_stack(template(_unfit(aws, instance), f"refused/{instance}"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    for word in words:
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
    else:
        aws.clients.ec2.terminate_instances(InstanceIds=[instance])
    return instance


def test_a_bundle_that_lies_there_already_is_not_overwritten(aws: Aws, template: Template) -> None:
    bucket, key = aws.ready["bucket"], "taken/web.manifest.xml"
    aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"<manifest/>")
    instance = aws.instance(**SOON)

    stack_id = aws.create_stack(template(instance, "taken/web"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Change Prefix, or omit it" in aws.failure(stack_id)
    assert aws.bundle_requests(instance) == []
    assert aws.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"<manifest/>"


def test_two_bundles_of_one_stack_are_made_side_by_side(aws: Aws, template: Template) -> None:
    body = template(aws.instance(**SOON), "two/one")
    other = template(aws.instance(**SOON), "two/other")
    body["Resources"]["Other"] = other["Resources"]["Bundle"]

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE"
    assert {"two/one.manifest.xml", "two/other.manifest.xml"} <= set(aws.keys("two/"))


def test_without_a_prefix_one_is_made_of_stack_resource_and_request(
    aws: Aws, template: Template
) -> None:
    stack_id = aws.create_stack(template(aws.instance(**SOON)))
    stack = aws.at_rest(stack_id)

    made = f"s3://{aws.ready['bucket']}/{stack['StackName']}/Bundle/"
    assert aws.outputs(stack)["S3Uri"].startswith(made)


def test_a_dry_run_makes_nothing(aws: Aws, template: Template) -> None:
    instance = aws.instance()

    stack_id = aws.create_stack(template(instance, "dry/web", DryRun=True))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert aws.outputs(stack)["BundleId"].startswith("dryrun-")
    assert [request["DryRun"] for request in aws.bundle_requests(instance)] == [True]
    assert aws.keys("dry/web") == []


def test_a_task_that_hangs_is_given_up_before_cloudformation_does(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(outcome="hang")

    stack_id = aws.create_stack(template(instance, "hanging/web", ServiceTimeout="10"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "Not complete within ServiceTimeout (10 s): task bun-" in reason
    assert [task["State"] for task in aws.tasks(instance)] == ["failed"]


def test_an_event_that_comes_twice_at_once_starts_one_bundle(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    url = f"{aws.clients.endpoint}/cloudformation-custom-resource-response-us-east-1/none?x=y"
    event = {
        "RequestType": "Create",
        "ResponseURL": url,
        "StackId": f"arn:aws:cloudformation:us-east-1:123456789012:stack/twice/{instance}",
        "RequestId": f"twice-{instance}",
        "LogicalResourceId": "Bundle",
        "ResourceProperties": template(instance, f"twice/{instance}")["Resources"]["Bundle"][
            "Properties"
        ]
        | {"ServiceToken": aws.ready["service_token"]},
    }

    for _ in range(3):
        aws.clients.functions.invoke(
            FunctionName=aws.ready["service_token"],
            InvocationType="Event",
            Payload=json.dumps(event),
        )

    wait_for(lambda: aws.keys(f"twice/{instance}.manifest.xml") or None, "the bundle")
    assert len(aws.bundle_requests(instance)) == 1


def test_a_stack_that_is_made_through_a_change_set_gets_its_bundle(
    aws: Aws, template: Template
) -> None:
    body = template(aws.instance(**SOON), "changed/web")
    name = "test-change-set"
    made = aws.clients.cloudformation.create_change_set(
        StackName=name,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(body),
    )
    aws.clients.cloudformation.get_waiter("change_set_create_complete").wait(
        ChangeSetName=made["Id"]
    )

    aws.clients.cloudformation.execute_change_set(ChangeSetName=made["Id"])

    assert aws.at_rest(made["StackId"])["StackStatus"] == "CREATE_COMPLETE"


def test_a_request_that_keeps_crashing_the_function_is_answered_by_the_last_resort(
    aws: Aws, template: Template
) -> None:
    function = aws.ready["service_token"]
    configure = aws.clients.functions.update_function_configuration
    configure(FunctionName=function, Handler="instance_bundle.no_such_module.handler")
    try:
        stack_id = aws.create_stack(template(aws.instance(**SOON), "crashing/web"))
        wait_for(lambda: aws.responses(stack_id) or None, "the last resort's answer")
    finally:
        configure(FunctionName=function, Handler="instance_bundle.app.handler")

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "could not carry the request out: RetriesExhausted after 3 invocations" in reason


def test_what_the_function_logs_tells_stack_resource_and_request(
    aws: Aws, template: Template
) -> None:
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


def test_a_stack_that_is_deleted_while_it_is_made_leaves_no_task_running(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(outcome="hang")
    stack_id = aws.create_stack(template(instance, "abandoned/web"))
    wait_for(lambda: aws.tasks(instance) or None, "the task")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert [task["State"] for task in aws.tasks(instance)] == ["failed"]


def test_an_update_makes_a_new_bundle_only_where_what_names_it_changes(
    aws: Aws, template: Template
) -> None:
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
