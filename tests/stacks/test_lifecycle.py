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
    """The template, with a second resource that fails once the bundle is complete."""
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
        partial(_removal_and_what_lies_others, aws, template),
        partial(_removal_and_what_another_has_overwritten, aws, template),
        partial(_change_of_on_delete, aws, template),
        partial(_create_that_comes_after_its_delete, aws, template),
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
    stack_id = aws.create_stack(template(instance, "fixed/one", OnDelete="Delete"))
    first = aws.outputs(aws.at_rest(stack_id))
    failing = aws.instance(**SOON, outcome="failed")

    aws.update_stack(stack_id, template(failing, "fixed/two", OnDelete="Delete"))
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.outputs(stack) == first
    assert "fixed/one.manifest.xml" in aws.keys("fixed/")

    aws.update_stack(stack_id, template(instance, "fixed/two", OnDelete="Delete"))
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert aws.outputs(stack)["S3Uri"].endswith("fixed/two")
    assert {key.partition(".")[0] for key in aws.keys("fixed/")} == {"fixed/two"}


def _removal_and_what_lies_others(aws: Aws, template: Template) -> None:
    """OnDelete removes the bundle, and keeps objects with similar keys."""
    bucket = aws.ready["bucket"]
    stack_id = aws.create_stack(template(aws.instance(**SOON), "gone/web", OnDelete="Delete"))
    aws.at_rest(stack_id)
    others = {"gone/web.part.99", "gone/web.part.0.bak", "gone/web2.part.0", "gone/web"}
    for key in others:
        aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"another's")

    aws.clients.cloudformation.delete_stack(StackName=stack_id)

    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert set(aws.keys("gone/")) == others


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


def _create_that_comes_after_its_delete(aws: Aws, template: Template) -> None:
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
    for sent in (delete, create):
        send(aws, sent)
        wait_for(partial(_answers, aws, sent), "an answer")

    assert aws.tasks(instance) == []


def send(aws: Aws, event: dict[str, Any]) -> None:
    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )


def said(aws: Aws, event: dict[str, Any]) -> list[dict[str, Any]]:
    """The log lines in which the function says that it answers a request."""
    events = aws.clients.client("logs").filter_log_events(
        logGroupName=aws.ready["log_group"], filterPattern="Answering"
    )
    lines = [json.loads(line["message"]) for line in events["events"]]
    return [line for line in lines if line.get("request_id") == event["RequestId"]]


def _answers(aws: Aws, event: dict[str, Any]) -> list[dict[str, Any]] | None:
    return said(aws, event) or None
