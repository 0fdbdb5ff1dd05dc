"""What an update can't change of a resource: its type, and the function behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import ACCOUNT, REGION, Sandbox, zipped

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"
REFUSED = (
    "Update of resource type is not permitted. The new template modifies resource type of the "
    "following resources: [Bundle, Other]"
)


def custom(token: str = TOKEN, **properties: Any) -> dict[str, Any]:
    return {"Type": "Custom::Bundle", "Properties": {"ServiceToken": token, **properties}}


def body(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


BEFORE = body(Bundle=custom(), Other={"Type": "AWS::SQS::Queue"})
RETYPED = body(
    Bundle={"Type": "Custom::Image", "Properties": {"ServiceToken": TOKEN}},
    Other={"Type": "AWS::SNS::Topic"},
    New={"Type": "AWS::SQS::Queue"},
)


def test_an_update_that_changes_a_type_is_refused_and_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.finish(BEFORE, "CREATE_COMPLETE")
    history = sandbox.history()

    with pytest.raises(ClientError) as refusal:
        sandbox.client.update_stack(StackName="shop", TemplateBody=RETYPED)

    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    assert refusal.value.response["Error"]["Message"] == REFUSED
    assert sandbox.history() == history


def test_a_change_set_that_changes_a_type_fails(sandbox: Sandbox) -> None:
    sandbox.finish(BEFORE, "CREATE_COMPLETE")

    sandbox.client.create_change_set(StackName="shop", ChangeSetName="c", TemplateBody=RETYPED)

    described = sandbox.client.describe_change_set(StackName="shop", ChangeSetName="c")
    assert (described["Status"], described["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert described["StatusReason"] == REFUSED
    with pytest.raises(sandbox.client.exceptions.InvalidChangeSetStatusException):
        sandbox.client.execute_change_set(StackName="shop", ChangeSetName="c")


def test_a_logical_id_that_was_removed_can_come_back_with_another_type(sandbox: Sandbox) -> None:
    sandbox.finish(BEFORE, "CREATE_COMPLETE")
    sandbox.client.update_stack(StackName="shop", TemplateBody=body(Bundle=custom()))
    sandbox.until("UPDATE_COMPLETE")

    sandbox.client.update_stack(
        StackName="shop", TemplateBody=body(Bundle=custom(), Other={"Type": "AWS::SNS::Topic"})
    )

    sandbox.until("UPDATE_COMPLETE")


@pytest.fixture
def another_token(sandbox: Sandbox) -> str:
    """Of another function."""
    functions, iam = sandbox.aws("lambda"), sandbox.aws("iam")
    arn: str = functions.create_function(
        FunctionName="another",
        Runtime="python3.13",
        Handler="app.handler",
        Role=iam.get_role(RoleName="bundler")["Role"]["Arn"],
        Code={"ZipFile": zipped()},
    )["FunctionArn"]
    return arn


def test_another_service_token_is_refused_and_nobody_is_asked(
    sandbox: Sandbox, another_token: str
) -> None:
    sandbox.finish(body(Bundle=custom(Size="1")), "CREATE_COMPLETE")

    sandbox.client.update_stack(
        StackName="shop", TemplateBody=body(Bundle=custom(another_token, Size="2"))
    )

    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert sandbox.reason("Bundle", "UPDATE_FAILED") == "Modifying service token is not allowed."
    assert [event["RequestType"] for event in sandbox.events] == ["Create"]
    assert sandbox.statuses("Bundle")[-2:] == ["UPDATE_FAILED", "UPDATE_COMPLETE"]


def test_a_stack_goes_on_as_before_after_another_service_token_was_refused(
    sandbox: Sandbox, another_token: str
) -> None:
    sandbox.finish(body(Bundle=custom(Size="1")), "CREATE_COMPLETE")
    sandbox.client.update_stack(StackName="shop", TemplateBody=body(Bundle=custom(another_token)))
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")

    sandbox.client.update_stack(StackName="shop", TemplateBody=body(Bundle=custom(Size="2")))

    sandbox.until("UPDATE_COMPLETE")
    update = sandbox.event("Update")
    assert update["OldResourceProperties"] == {"ServiceToken": TOKEN, "Size": "1"}
    assert update["PhysicalResourceId"] == "bun-1"
    sandbox.delete()
    assert sandbox.event("Delete")["ResourceProperties"] == {"ServiceToken": TOKEN, "Size": "2"}
