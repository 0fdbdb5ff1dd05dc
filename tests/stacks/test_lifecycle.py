"""Whole stacks through updates, rollbacks, deletes and dead letters."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from .support import Aws, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]
SOON = {"seconds": "1"}


def with_a_sibling_that_fails(body: dict[str, Any]) -> dict[str, Any]:
    """The template, with a resource beside the bundle that fails once the bundle is there."""
    bundle = body["Resources"]["Bundle"]
    wrong = bundle | {
        "Properties": bundle["Properties"] | {"InstanceId": "no-instance"},
        "DependsOn": "Bundle",
    }
    return body | {"Resources": body["Resources"] | {"Wrong": wrong}}


def test_stacks_live_through_updates_rollbacks_and_deletes(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_sibling_that_fails_after_a_replacement, aws, template),
        partial(_failed_update_that_is_fixed, aws, template),
        partial(_removal_and_what_lies_beside, aws, template),
        partial(_removal_and_what_another_has_overwritten, aws, template),
        partial(_change_of_on_delete, aws, template),
        partial(_create_and_delete, aws, template, "the Delete first"),
        partial(_create_and_delete, aws, template, "the Create first"),
    )


def _sibling_that_fails_after_a_replacement(aws: Aws, template: Template) -> None:
    """The rollback brings the old bundle back."""
    instance = aws.instance(**SOON)
    stack_id = aws.create_stack(template(instance, "sibling/one"))
    first = aws.outputs(aws.at_rest(stack_id))

    aws.update_stack(stack_id, with_a_sibling_that_fails(template(instance, "sibling/two")))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.outputs(stack) == first
    assert len(aws.bundle_requests(instance)) == 2
    assert {"sibling/one.manifest.xml", "sibling/two.manifest.xml"} <= set(aws.keys("sibling/"))


def _failed_update_that_is_fixed(aws: Aws, template: Template) -> None:
    """A failed Update keeps the old bundle."""
    instance = aws.instance(**SOON)
    stack_id = aws.create_stack(template(instance, "mended/one", OnDelete="Delete"))
    first = aws.outputs(aws.at_rest(stack_id))
    failing = aws.instance(**SOON, outcome="failed")

    aws.update_stack(stack_id, template(failing, "mended/two", OnDelete="Delete"))
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.outputs(stack) == first
    assert "mended/one.manifest.xml" in aws.keys("mended/")

    aws.update_stack(stack_id, template(instance, "mended/two", OnDelete="Delete"))
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert aws.outputs(stack)["S3Uri"].endswith("mended/two")
    assert {key.partition(".")[0] for key in aws.keys("mended/")} == {"mended/two"}


def _removal_and_what_lies_beside(aws: Aws, template: Template) -> None:
    """OnDelete removes the bundle, and leaves what lies beside it."""
    bucket = aws.ready["bucket"]
    stack_id = aws.create_stack(template(aws.instance(**SOON), "gone/web", OnDelete="Delete"))
    aws.at_rest(stack_id)
    beside = {"gone/web.part.99", "gone/web.part.0.bak", "gone/web2.part.0", "gone/web"}
    for key in beside:
        aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"another's")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert set(aws.keys("gone/")) == beside


def _removal_and_what_another_has_overwritten(aws: Aws, template: Template) -> None:
    """OnDelete leaves a bundle that another has overwritten."""
    bucket, key = aws.ready["bucket"], "overwritten/web.manifest.xml"
    stack_id = aws.create_stack(
        template(aws.instance(**SOON), "overwritten/web", OnDelete="Delete")
    )
    aws.at_rest(stack_id)
    before = aws.keys("overwritten/")
    aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"<manifest><image/></manifest>")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert aws.keys("overwritten/") == before


def _change_of_on_delete(aws: Aws, template: Template) -> None:
    """It makes no new bundle."""
    instance = aws.instance(**SOON)
    stack_id = aws.create_stack(template(instance, "policy-change/web"))
    first = aws.outputs(aws.at_rest(stack_id))

    aws.update_stack(stack_id, template(instance, "policy-change/web", OnDelete="Delete"))
    assert aws.outputs(aws.at_rest(stack_id)) == first
    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert aws.keys("policy-change/") == []
    assert len(aws.bundle_requests(instance)) == 1


def _create_and_delete(aws: Aws, template: Template, order: str) -> None:
    """They may come in either order."""
    instance = aws.instance(outcome="hang")
    stack_id = f"arn:aws:cloudformation:us-east-1:123456789012:stack/late/{uuid.uuid4()}"
    properties = template(instance, f"late/{instance}")["Resources"]["Bundle"]["Properties"]
    create = {
        "RequestType": "Create",
        "ResponseURL": f"{aws.clients.endpoint}/cloudformation-custom-resource-response-x/none",
        "StackId": stack_id,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "Bundle",
        "ResourceProperties": properties | {"ServiceToken": aws.ready["service_token"]},
    }
    delete = create | {
        "RequestType": "Delete",
        "RequestId": str(uuid.uuid4()),
        "PhysicalResourceId": "late-Bundle-1ABCDEFGHIJKL",
    }

    # What is answered does not count for a stack that is none, but it is on record.
    first, second = (delete, create) if order == "the Delete first" else (create, delete)
    send(aws, first)
    if first is create:
        wait_for(lambda: aws.tasks(instance) or None, "the task")
    else:
        wait_for(lambda: said(aws, delete) or None, "the answer to the Delete")
    send(aws, second)
    wait_for(lambda: said(aws, second) or None, "the answer to the second")

    assert [task["State"] for task in aws.tasks(instance)] == (
        ["failed"] if first is create else []
    )


def send(aws: Aws, event: dict[str, Any]) -> None:
    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )


def said(aws: Aws, event: dict[str, Any]) -> list[dict[str, Any]]:
    """The log lines by which the function tells that it answers a request."""
    events = aws.clients.client("logs").filter_log_events(
        logGroupName=aws.ready["log_group"], filterPattern="Answering"
    )
    lines = [json.loads(line["message"]) for line in events["events"]]
    return [line for line in lines if line.get("request_id") == event["RequestId"]]
