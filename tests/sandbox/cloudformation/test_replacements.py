"""Updates of AWS's own types that replace the resource."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.cloudformation.support import Sandbox


def body(kind: str, properties: dict[str, Any], **more: Any) -> str:
    thing = {"Type": kind, "Properties": properties, **more.pop("attributes", {})}
    return json.dumps({"Resources": {"Thing": thing, **more}})


def physical_id(sandbox: Sandbox) -> str:
    detail = sandbox.client.describe_stack_resource(StackName="shop", LogicalResourceId="Thing")
    return detail["StackResourceDetail"]["PhysicalResourceId"]


def update(sandbox: Sandbox, template: str, status: str = "UPDATE_COMPLETE") -> None:
    sandbox.client.update_stack(
        StackName="shop", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    sandbox.until(status)


def queues(sandbox: Sandbox) -> list[str]:
    return list(sandbox.aws("sqs").list_queues().get("QueueUrls", []))


QUEUE = "AWS::SQS::Queue"


def test_a_create_only_property_replaces_the_resource(sandbox: Sandbox) -> None:
    sandbox.finish(body(QUEUE, {"QueueName": "one"}), "CREATE_COMPLETE")
    old = physical_id(sandbox)
    update(sandbox, body(QUEUE, {"QueueName": "two"}))

    new = physical_id(sandbox)
    assert (old.rpartition("/")[2], new.rpartition("/")[2]) == ("one", "two")
    assert queues(sandbox) == [new]
    reasons = [why for name, _, why in sandbox.history() if name == "Thing"]
    words = "Requested update required the provider to create a new physical resource"
    assert any(why.startswith(words) for why in reasons)
    cleaned = sandbox.history().index(("shop", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""))
    assert ("Thing", "DELETE_COMPLETE", "") in sandbox.history()[cleaned:]


def test_another_property_does_not(sandbox: Sandbox) -> None:
    sandbox.finish(body(QUEUE, {"DelaySeconds": 1}), "CREATE_COMPLETE")
    old = physical_id(sandbox)
    update(sandbox, body(QUEUE, {"DelaySeconds": "2"}))

    assert physical_id(sandbox) == old


def test_a_rollback_goes_back_to_what_was_replaced(sandbox: Sandbox) -> None:
    sandbox.finish(body(QUEUE, {"QueueName": "one"}), "CREATE_COMPLETE")
    old = physical_id(sandbox)
    sandbox.aws("sqs").send_message(QueueUrl=old, MessageBody="kept")
    bad = {"Type": QUEUE, "DependsOn": "Thing", "Properties": {"Nothing": 1}}
    update(sandbox, body(QUEUE, {"QueueName": "two"}, Bad=bad), "UPDATE_ROLLBACK_COMPLETE")

    assert physical_id(sandbox) == old
    assert queues(sandbox) == [old]
    [message] = sandbox.aws("sqs").receive_message(QueueUrl=old)["Messages"]
    assert message["Body"] == "kept"
    update(sandbox, body(QUEUE, {"QueueName": "three"}))
    assert queues(sandbox) == [physical_id(sandbox)]


def test_update_replace_policy_keeps_what_was_replaced(sandbox: Sandbox) -> None:
    kept = {"attributes": {"UpdateReplacePolicy": "Retain"}}
    sandbox.finish(body(QUEUE, {"QueueName": "one"}, **kept), "CREATE_COMPLETE")
    update(sandbox, body(QUEUE, {"QueueName": "two"}, **kept))

    assert len(queues(sandbox)) == 2


TRUST = {"Version": "2012-10-17", "Statement": []}


def test_a_custom_named_resource_is_not_replaced_under_its_name(sandbox: Sandbox) -> None:
    role = {"RoleName": "mine", "AssumeRolePolicyDocument": TRUST}
    sandbox.finish(
        body("AWS::IAM::Role", role), "CREATE_COMPLETE", Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    update(sandbox, body("AWS::IAM::Role", {**role, "Path": "/a/"}), "UPDATE_ROLLBACK_COMPLETE")

    assert sandbox.reason("Thing", "UPDATE_FAILED") == (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
        "Rename mine and update the stack again."
    )
    assert sandbox.aws("iam").get_role(RoleName="mine")["Role"]["Path"] == "/"


def test_what_nothing_models_is_replaced_too(sandbox: Sandbox) -> None:
    sandbox.finish(body("AWS::Glue::Crawler", crawler("a")), "CREATE_COMPLETE")
    old = physical_id(sandbox)
    update(sandbox, body("AWS::Glue::Crawler", crawler("b")))

    assert physical_id(sandbox) != old


def crawler(name: str) -> dict[str, Any]:
    return {"Name": name, "Role": "r", "Targets": {"S3Targets": [{"Path": "s3://b"}]}}
