"""Resources that do not need each other come in the least convenient order."""

from __future__ import annotations

import json

from tests.sandbox.cloudformation.parts import document, policy, queue, role
from tests.sandbox.cloudformation.support import (
    ACCOUNT,
    REGION,
    Sandbox,
    eventually,
    success,
)

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"

SLOW = {"Type": "Custom::Slow", "Properties": {"ServiceToken": TOKEN}}

# Policies and a permission are declared first, and are ready no later than Second and Third.
RESOURCES = {
    "Policy": policy(document("s3:GetObject"), "Role"),
    "QueuePolicy": {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": [{"Ref": "First"}], "PolicyDocument": document("sqs:*")},
    },
    "Permission": {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "FunctionName": "bundler",
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
        },
    },
    "Role": role(),
    "First": queue(),
    "Second": {**queue(), "DependsOn": ["First", "Role"]},
    "Third": {**queue(), "DependsOn": "Second"},
}

POLICIES = {"Policy", "QueuePolicy", "Permission"}


def body(**resources: object) -> str:
    return json.dumps({"Resources": resources})


def turns(sandbox: Sandbox, status: str, name: str = "shop") -> list[str]:
    """The resources in the order in which they first came to the status."""
    named = [each for each, became, _ in sandbox.history(name) if became == status]
    return [each for each in dict.fromkeys(named) if each != "shop"]


def test_policies_are_made_last_of_what_does_not_need_them(sandbox: Sandbox) -> None:
    sandbox.finish(body(**RESOURCES), "CREATE_COMPLETE")

    made = turns(sandbox, "CREATE_IN_PROGRESS")
    assert made[:4] == ["Role", "First", "Second", "Third"]
    assert set(made[4:]) == POLICIES


def test_what_depends_on_a_policy_is_made_after_it(sandbox: Sandbox) -> None:
    third = {**queue(), "DependsOn": "Policy"}

    sandbox.finish(body(**{**RESOURCES, "Third": third}), "CREATE_COMPLETE")

    made = turns(sandbox, "CREATE_IN_PROGRESS")
    assert made.index("Policy") < made.index("Third")


def test_an_update_comes_to_the_policies_last(sandbox: Sandbox) -> None:
    sandbox.finish(body(**RESOURCES), "CREATE_COMPLETE")
    changed = {
        **RESOURCES,
        "Policy": policy(document("s3:PutObject"), "Role"),
        "Third": {**queue(DelaySeconds=5), "DependsOn": "Second"},
    }

    sandbox.client.update_stack(
        StackName="shop", TemplateBody=body(**changed), Capabilities=["CAPABILITY_IAM"]
    )

    sandbox.until("UPDATE_COMPLETE")
    assert turns(sandbox, "UPDATE_IN_PROGRESS") == ["Third", "Policy"]


def test_policies_are_deleted_first_of_what_could_be_deleted(sandbox: Sandbox) -> None:
    sandbox.finish(body(**RESOURCES), "CREATE_COMPLETE")

    stack_id = sandbox.delete()

    deleted = turns(sandbox, "DELETE_COMPLETE", stack_id)
    assert set(deleted[:3]) == POLICIES
    assert deleted[3] == "Third"


def test_what_becomes_ready_is_made_while_something_else_is_under_way(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(body(**RESOURCES, Slow=SLOW))

    eventually(
        lambda: (
            {*turns(sandbox, "CREATE_COMPLETE")} == {*RESOURCES}
            and sandbox.statuses("Slow") == ["CREATE_IN_PROGRESS"]
        ),
        sandbox.history,
    )
