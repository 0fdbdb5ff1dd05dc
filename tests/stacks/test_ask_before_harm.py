"""Requests that CloudFormation did not send, or that are part of another operation than they seem.

CloudFormation must confirm a request before it changes what another request made. All of these
tests run in `make test`.
"""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .faults import ledger_items, ledger_table
from .support import MARK, Aws, created, deleted, json_of, wait_for
from .test_lifecycle import with_a_sibling_that_fails

Template = Callable[..., dict[str, Any]]

NINE_DAYS = 9 * 86400


def answer_to(
    aws: Aws, request_type: str, stack_id: str, instance_id: str, prefix: str, **more: str
) -> dict[str, Any]:
    """The answer to a request about a `Bundle` that does not come from CloudFormation."""
    request_id = str(uuid.uuid4())
    token = aws.ready["service_token"]
    event = {
        "RequestType": request_type,
        "ServiceToken": token,
        "ResponseURL": f"{aws.clients.endpoint}/sandbox/responses/{request_id}",
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": "Bundle",
        "ResourceType": "Custom::InstanceBundle",
        "ResourceProperties": {
            "ServiceToken": token,
            "ServiceTimeout": "30",
            "InstanceId": instance_id,
            "Storage": {"S3": {"Bucket": aws.ready["bucket"], "Prefix": prefix}},
            "OnDelete": "Delete",
        },
        **more,
    }
    aws.clients.functions.invoke(
        FunctionName=token, Payload=json.dumps(event).encode(), InvocationType="Event"
    )

    def answer() -> dict[str, Any] | None:
        received = json_of(f"{aws.clients.endpoint}/sandbox/responses")
        return next((each["body"] for each in received if each["requestId"] == request_id), None)

    return wait_for(answer, f"the answer to the {request_type}")


def test_an_update_to_an_earlier_instance_makes_a_new_image(aws: Aws, template: Template) -> None:
    blue, green = aws.instance(seconds="1"), aws.instance(seconds="1")

    def body(instance: str) -> dict[str, Any]:
        made = template(instance)
        made["Resources"]["Bundle"]["UpdateReplacePolicy"] = "Retain"
        return made

    stack_id, first = created(aws, body(blue))
    for instance in (green, blue):
        aws.update_stack(stack_id, body(instance))
        assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE"

    assert aws.outputs(aws.stack(stack_id))["BundleId"] != first["BundleId"]
    assert len(aws.bundle_requests(blue)) == 2


def test_a_creation_that_was_rolled_back_can_be_tried_again(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    body = template(instance, f"again/{uuid.uuid4().hex}", OnDelete="RetainExceptOnCreate")

    aws.at_rest(aws.create_stack(with_a_sibling_that_fails(body)))
    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE"


def test_a_refused_location_names_the_stack_that_has_it(aws: Aws, template: Template) -> None:
    body = template(aws.instance(seconds="1"), f"again/{uuid.uuid4().hex}")
    before = aws.at_rest(aws.create_stack(with_a_sibling_that_fails(body)))
    assert before["StackStatus"] == "ROLLBACK_COMPLETE"

    stack_id = aws.create_stack(body)
    aws.at_rest(stack_id)

    assert before["StackName"] in aws.failure(stack_id)


def test_a_delete_that_cloudformation_did_not_send_deletes_nothing(
    aws: Aws, template: Template
) -> None:
    prefix, instance = f"victim/{uuid.uuid4().hex}", aws.instance(seconds="1")
    stack_id, _ = created(aws, template(instance, prefix))
    keys = aws.keys(f"{prefix}.")

    answer_to(aws, "Delete", stack_id, instance, prefix, PhysicalResourceId="any")

    assert aws.keys(f"{prefix}.") == keys


def test_a_create_that_cloudformation_did_not_send_starts_nothing(
    aws: Aws, template: Template
) -> None:
    prefix, other = f"victim/{uuid.uuid4().hex}", aws.instance(seconds="1")
    body = template(aws.instance(seconds="1"), prefix, OnDelete="Delete")
    stack_id, _ = created(aws, body)

    answer_to(aws, "Create", stack_id, other, f"{prefix}-2")

    assert aws.bundle_requests(other) == []
    deleted(aws, stack_id)
    assert aws.keys(f"{prefix}.") == []  # the stack still has it


def test_a_poll_that_the_function_did_not_send_changes_nothing(
    aws: Aws, template: Template
) -> None:
    stack_id = aws.create_stack(template(aws.instance(seconds="6"), ServiceTimeout="20"))

    def poll() -> dict[str, Any] | None:
        sent = json_of(f"{aws.clients.endpoint}/sandbox/messages")
        bodies = [message["body"] for message in sent if stack_id in message["body"]]
        return json.loads(bodies[0]) if bodies else None

    body = json.dumps(wait_for(poll, "a poll") | {"generation": 999_999})
    record = {
        "messageId": "by-hand",
        "receiptHandle": "none",
        "eventSource": "aws:sqs",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"], Payload=json.dumps({"Records": [record]}).encode()
    )

    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)


@pytest.mark.parametrize(
    "stack_id",
    [
        "arn:aws:cloudformation:us-east-1:999999999999:stack/other/{}",
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/other/{}",
        "arn:aws-cn:cloudformation:us-east-1:123456789012:stack/other/{}",
        "other-{}",
    ],
)
def test_a_stack_that_can_not_be_one_of_this_installation_is_refused(
    aws: Aws, stack_id: str
) -> None:
    instance, own = aws.instance(seconds="1"), str(uuid.uuid4())

    answer = answer_to(aws, "Create", stack_id.format(own), instance, f"foreign/{own}")

    assert aws.bundle_requests(instance) == []
    assert answer["Status"] == "FAILED"


def test_what_a_failed_creation_left_is_cleaned_up_nine_days_later(
    aws: Aws, template: Template
) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1", store_outcome="failed")
    tags = [{"Key": MARK, "Value": instance}]
    body = template(instance, Method="StoreImage", OnDelete="Delete", Image={"Tags": tags})
    stack_id = aws.clients.cloudformation.create_stack(
        StackName=f"test-{uuid.uuid4().hex[:12]}",
        TemplateBody=json.dumps(body | {"Outputs": {}}),
        DisableRollback=True,
    )["StackId"]
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_FAILED", aws.events(stack_id)
    _forget_what_expires(aws, stack_id, time.time() + NINE_DAYS)

    deleted(aws, stack_id)

    assert (aws.images(instance), aws.snapshots(instance)) == ([], set())


def _forget_what_expires(aws: Aws, stack_id: str, moment: float) -> None:
    """Delete the items about a stack that DynamoDB will have deleted at that moment."""
    dynamodb = aws.clients.client("dynamodb")
    for item in ledger_items(aws):
        if stack_id in json.dumps(item) and float(item.get("expires", {"N": "inf"})["N"]) < moment:
            key = {name: item[name] for name in ("resource", "item")}
            dynamodb.delete_item(TableName=ledger_table(dynamodb), Key=key)
