"""The application on ministack's CloudFormation, Lambda, SQS, DynamoDB and EventBridge, with the
sandbox's EC2 and S3."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from tests.stacks.support import Aws, SandboxProcess, created, deleted, wait_for

from .ministack import application, emulator, faults
from .ministack.application import Both
from .table import Fault, Suite

VERIFYING, TRUSTING, AUTHORIZED = "verifying", "trusting", "authorized"
"""Installations: with the template's defaults; with VerifyRequests false, which does harm without a
confirmation; and in a ministack that evaluates IAM's policies."""

LEFT_OUT = {
    "metric-math": "the alarms of expressions, which are not in the copy of the template",
    "cleanup-status": "the confirmation of a Delete in the clean-up of an update",
    "delete-status": "the confirmation of a Delete in the rollback of a creation",
    "rollback-update": "a replacement that is rolled back, and its clean-up's confirmation",
    "failed-create": "that a failed Create leaves no image, which its Delete removes",
    "deleted-while-created": "a stack that is deleted while an image is made",
    "no-retry": "a request on which the function crashes, and its failure handler",
    "principal-arn": "the queues' policies, whose Deny statements are not in the copy under IAM",
    "table-policy": "the tables' policies",
}

SUITE = Suite(
    "ministack",
    "1.5.33",
    "the application on its CloudFormation, Lambda, SQS, DynamoDB and EventBridge, with the "
    "sandbox's EC2 and S3",
    tuple(
        Fault(case, f".venv/bin/python -m tests.judges.ministack.faults {name}")
        for name, case in LEFT_OUT.items()
    ),
)

SOON = {"seconds": "1"}
WHY = "Client.S3Error: The bucket does not like it"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A sandbox, of which the EC2 and S3 are used."""
    process = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    yield process.ready
    process.end()


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with emulator.running(tmp_path_factory.mktemp("ministack")) as clients:
        yield clients


@pytest.fixture(scope="module")
def authorizing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """A ministack that evaluates IAM's policies."""
    directory = tmp_path_factory.mktemp("authorizing")
    with emulator.running(directory, **emulator.AUTHORIZED) as clients:
        yield clients


@pytest.fixture(scope="module")
def aws(ready: dict[str, str], ministack: Clients) -> Aws:
    """With the first two installations."""
    both = Both(ready["endpoint"], ministack)
    application.deployed(both, VERIFYING)
    application.deployed(both, TRUSTING, {"VerifyRequests": "false"})
    return Aws(ready, both)


@pytest.fixture(scope="module")
def authorized(ready: dict[str, str], authorizing: Clients) -> Aws:
    """With the last installation."""
    both = Both(ready["endpoint"], authorizing)
    application.deployed(both, AUTHORIZED, changed=application.without_denials)
    return Aws(ready, both)


def template(
    aws: Aws, instance: str, prefix: str, installation: str = VERIFYING, **properties: Any
) -> dict[str, Any]:
    """A template of one bundle, whose objects are deleted with it."""
    return {
        "Resources": {
            "Bundle": {
                "Type": "Custom::InstanceBundle",
                "Properties": {
                    "ServiceToken": {"Fn::ImportValue": f"{installation}-ServiceToken"},
                    "InstanceId": instance,
                    "Storage": {"S3": {"Bucket": aws.ready["bucket"], "Prefix": prefix}},
                    "OnDelete": "Delete",
                    **properties,
                },
            }
        },
        "Outputs": {
            "BundleId": {"Value": {"Ref": "Bundle"}},
            "ManifestLocation": {"Value": {"Fn::GetAtt": ["Bundle", "ManifestLocation"]}},
        },
    }


def stored(aws: Aws, instance: str, **properties: Any) -> dict[str, Any]:
    """A template of one stored image, which is marked as one of the instance."""
    mark = [{"Key": "made-for", "Value": instance}]
    body = template(aws, instance, "", Method="StoreImage", Image={"Tags": mark}, **properties)
    del body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Prefix"]
    return body


def with_bad_sibling(body: dict[str, Any]) -> dict[str, Any]:
    """The template, with a resource that can't be created, after the bundle."""
    bad = {
        "Type": "AWS::SSM::Parameter",
        "DependsOn": "Bundle",
        "Properties": {"Type": "None", "Value": "x"},
    }
    return {**body, "Resources": {**body["Resources"], "Bad": bad}}


def with_condition(body: dict[str, Any]) -> dict[str, Any]:
    """The template, with a handle for the bundle, and a wait condition that it signals."""
    bundle = body["Resources"]["Bundle"]
    properties = bundle["Properties"] | {"CompletionHandle": {"Ref": "Handle"}}
    condition = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "Bundle",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "300"},
    }
    return {
        "Resources": {
            "Bundle": bundle | {"Properties": properties},
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Condition": condition,
        },
        "Outputs": body["Outputs"] | {"Data": {"Value": {"Fn::GetAtt": ["Condition", "Data"]}}},
    }


def comes_to(aws: Aws, stack_id: str, status: str) -> dict[str, str]:
    """The outputs of a stack that comes to rest with this status."""
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == status, aws.events(stack_id)
    return aws.outputs(stack) if stack.get("Outputs") else {}


def reasons(aws: Aws, stack_id: str, status: str, logical_id: str = "Bundle") -> list[str]:
    """Why a resource came to this status, each time."""
    return [
        event["ResourceStatusReason"]
        for event in aws.events(stack_id)
        if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status)
    ]


def test_a_stack_gets_its_bundle_which_stays_where_that_is_asked(aws: Aws) -> None:
    instance = aws.instance(**SOON)

    stack_id, outputs = created(aws, template(aws, instance, "kept/web", OnDelete="Retain"))

    [task] = aws.tasks(instance)
    assert outputs == {
        "BundleId": task["BundleId"],
        "ManifestLocation": f"{aws.ready['bucket']}/kept/web.manifest.xml",
    }
    assert task["State"] == "complete"
    keys = aws.keys("kept/web")
    assert "kept/web.manifest.xml" in keys
    deleted(aws, stack_id)
    assert aws.keys("kept/web") == keys


def test_a_stack_that_is_deleted_deletes_its_bundle(aws: Aws) -> None:
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "deleted/web"))
    assert aws.keys("deleted/")

    deleted(aws, stack_id)

    assert aws.keys("deleted/") == []


def test_an_update_of_other_properties_keeps_the_bundle(aws: Aws) -> None:
    instance = aws.instance(**SOON)
    stack_id, before = created(aws, template(aws, instance, "same/web", OnDelete="Retain"))

    aws.update_stack(stack_id, template(aws, instance, "same/web"))

    assert comes_to(aws, stack_id, "UPDATE_COMPLETE") == before
    assert len(aws.tasks(instance)) == 1
    deleted(aws, stack_id)
    assert aws.keys("same/") == []


def test_a_replaced_bundle_stays_where_that_is_asked(aws: Aws) -> None:
    stack_id, before = created(
        aws, template(aws, aws.instance(**SOON), "first/web", OnDelete="Retain")
    )

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "second/web"))

    after = comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert after["BundleId"] != before["BundleId"]
    assert after["ManifestLocation"].endswith("/second/web.manifest.xml")
    assert reasons(aws, stack_id, "DELETE_FAILED") == []
    assert aws.keys("first/")
    deleted(aws, stack_id)
    assert aws.keys("first/")
    assert aws.keys("second/") == []


def test_a_replaced_bundle_is_deleted(aws: Aws) -> None:
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "old/web", TRUSTING))

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "new/web", TRUSTING))

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert aws.keys("old/") == []
    assert aws.keys("new/")
    deleted(aws, stack_id)
    assert aws.keys("new/") == []


def test_a_bundle_that_is_taken_out_of_its_template_is_deleted(aws: Aws) -> None:
    body = template(aws, aws.instance(**SOON), "removed/web", TRUSTING)
    handle = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    stack_id, _ = created(aws, {**body, "Resources": body["Resources"] | handle})

    aws.update_stack(stack_id, {"Resources": handle})

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert aws.keys("removed/") == []


def test_a_delete_that_cloudformation_does_not_confirm_deletes_nothing(aws: Aws) -> None:
    """By its fault `cleanup-status`, ministack never confirms that of a replaced bundle."""
    soon = {"ServiceTimeout": "40"}
    stack_id, _ = created(aws, template(aws, aws.instance(**SOON), "unconfirmed/web", **soon))

    aws.update_stack(stack_id, template(aws, aws.instance(**SOON), "another/web", **soon))

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    [reason] = reasons(aws, stack_id, "DELETE_FAILED")
    assert "CloudFormation does not confirm this Delete: stack UPDATE_IN_PROGRESS" in reason
    assert aws.keys("unconfirmed/")
    assert aws.keys("another/")


def test_an_image_is_stored_and_deleted(aws: Aws) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")

    stack_id, outputs = created(aws, stored(aws, instance))

    [image] = aws.images(instance)
    assert (image["ImageId"], image["State"]) == (outputs["BundleId"], "available")
    assert aws.keys(f"{image['ImageId']}.bin") == [f"{image['ImageId']}.bin"]
    assert aws.store_tasks([image["ImageId"]]) == {image["ImageId"]: "Completed"}
    deleted(aws, stack_id)
    assert aws.images(instance) == []
    assert aws.snapshots(instance) == set()
    assert aws.keys(f"{image['ImageId']}.bin") == []


def test_a_task_that_fails_rolls_the_creation_back_with_its_reason(aws: Aws) -> None:
    instance = aws.instance(**SOON, outcome="failed", error=WHY)

    stack_id = aws.create_stack(template(aws, instance, "failing/web"))

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    assert WHY in aws.failure(stack_id)
    assert len(aws.tasks(instance)) == 1
    assert aws.keys("failing/") == []


def test_a_replacement_that_fails_leaves_the_bundle_as_it_was(aws: Aws) -> None:
    stack_id, before = created(aws, template(aws, aws.instance(**SOON), "stays/web"))
    keys = aws.keys("stays/")
    failing = aws.instance(**SOON, outcome="failed", error=WHY)

    aws.update_stack(stack_id, template(aws, failing, "never/web"))

    assert comes_to(aws, stack_id, "UPDATE_ROLLBACK_COMPLETE") == before
    [reason] = reasons(aws, stack_id, "UPDATE_FAILED")
    assert WHY in reason
    assert aws.keys("stays/") == keys
    assert aws.keys("never/") == []
    deleted(aws, stack_id)
    assert aws.keys("stays/") == []


def test_a_creation_that_is_rolled_back_leaves_nothing(aws: Aws) -> None:
    instance = aws.instance(**SOON)
    body = template(aws, instance, "undone/web", TRUSTING)

    stack_id = aws.create_stack(with_bad_sibling(body))

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    [task] = aws.tasks(instance)
    assert task["State"] == "complete"
    assert aws.keys("undone/") == []


def test_a_wait_condition_learns_of_the_end(aws: Aws) -> None:
    """The stack goes on with the bundle's ID, before the objects are there."""
    instance = aws.instance(seconds="6")
    stack_id = aws.create_stack(with_condition(template(aws, instance, "waited/web")))

    outputs = comes_to(aws, stack_id, "CREATE_COMPLETE")

    [data] = json.loads(outputs["Data"]).values()
    assert json.loads(data)["BundleId"] == outputs["BundleId"]
    when = {
        event["LogicalResourceId"]: event["Timestamp"]
        for event in aws.events(stack_id)
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    }
    assert when["Bundle"] < when["Condition"]
    assert "waited/web.manifest.xml" in aws.keys("waited/")
    deleted(aws, stack_id)
    assert aws.keys("waited/") == []


def test_a_wait_condition_learns_of_a_failure(aws: Aws) -> None:
    instance = aws.instance(seconds="6", outcome="failed", error=WHY)
    body = with_condition(template(aws, instance, "signalled/web", TRUSTING))

    stack_id = aws.create_stack(body)

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    assert WHY in aws.failure(stack_id, "Condition")
    assert aws.keys("signalled/") == []


def test_properties_that_are_refused_are_all_named_and_nothing_is_made(aws: Aws) -> None:
    body = template(aws, "my-instance", "refused/web", Colour="red")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = "my images"

    stack_id = aws.create_stack(body)

    comes_to(aws, stack_id, "ROLLBACK_COMPLETE")
    reason = aws.failure(stack_id)
    for path in ("InstanceId: ", "Colour: ", "Storage.S3.Bucket: "):
        assert path in reason
    assert aws.bundle_requests("my-instance") == []


def test_events_about_a_bundle_come_from_the_bus(aws: Aws) -> None:
    sqs, events = (aws.clients.emulated.client(service) for service in ("sqs", "events"))  # type: ignore[attr-defined]
    name = f"watched-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    instance = aws.instance(**SOON)
    pattern = {"source": ["cfn-instance-bundle"], "detail": {"instance-id": [instance]}}
    events.put_rule(Name=name, EventPattern=json.dumps({"source": pattern["source"]}))
    events.put_targets(
        Rule=name, Targets=[{"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}]
    )

    stack_id, _ = created(aws, template(aws, instance, "watched/web"))

    seen: list[dict[str, Any]] = []

    def is_complete() -> bool | None:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            event = json.loads(message["Body"])
            if event["detail"].get("stackId") == stack_id:
                seen.append(event)
        return any(event["detail"].get("state") == "complete" for event in seen) or None

    wait_for(is_complete, "the event of the end")


def test_the_application_works_with_its_roles_permissions(authorized: Aws) -> None:
    aws = authorized
    first, second = aws.instance(**SOON), aws.instance(**SOON)
    body = template(aws, first, "permitted/web", AUTHORIZED, OnDelete="Retain")
    stack_id, _ = created(aws, body)

    aws.update_stack(stack_id, template(aws, second, "permitted/other", AUTHORIZED))

    comes_to(aws, stack_id, "UPDATE_COMPLETE")
    assert aws.keys("permitted/other")
    deleted(aws, stack_id)
    assert aws.keys("permitted/other") == []


@pytest.mark.parametrize("name", sorted(faults.REPRODUCERS))
def test_a_fault_that_is_named_is_still_there(
    name: str, ministack: Clients, authorizing: Clients
) -> None:
    reproducer = faults.REPRODUCERS[name]
    shown = reproducer.show(authorizing if reproducer.variables else ministack)
    assert shown.is_there, f"{name} is mended: {shown.seen}"


def test_each_fault_has_a_reproducer() -> None:
    assert set(LEFT_OUT) == set(faults.REPRODUCERS)
