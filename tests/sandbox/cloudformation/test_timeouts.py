"""Stacks that may be created for some minutes."""

from __future__ import annotations

import json

from tests.sandbox.cloudformation.phases import TOKEN, Phases, template

FAMILY = template(Bundle="one", Sibling="one")
TOO_LATE = "Stack creation time exceeded the specified timeout. "


def late(phases: Phases, **more: object) -> str:
    """A stack whose sibling is not there when its minute is over; its ID."""
    stack_id = phases.create(FAMILY, TimeoutInMinutes=1, **more)
    phases.answer(phases.request("Create"), "bun-1")
    phases.request("Create", "Sibling")
    phases.until_resource("CREATE_COMPLETE")
    phases.sandbox.clock.ahead = 61.0
    return stack_id


def test_a_stack_that_takes_too_long_is_rolled_back(phases: Phases) -> None:
    late(phases)
    stack = phases.sandbox.until("ROLLBACK_IN_PROGRESS")

    assert stack["StackStatusReason"] == f"{TOO_LATE}Rollback requested by user."
    assert stack["TimeoutInMinutes"] == 1
    assert phases.sandbox.reason("Sibling", "CREATE_FAILED") == "Resource creation cancelled"
    phases.answer(phases.request("Delete"))
    phases.answer(phases.request("Delete", "Sibling"))
    phases.sandbox.until("ROLLBACK_COMPLETE")


def test_or_it_is_left_as_the_request_says(phases: Phases) -> None:
    stack_id = late(phases, OnFailure="DO_NOTHING")

    assert phases.sandbox.until("CREATE_FAILED")["StackStatusReason"] == TOO_LATE
    assert phases.seen(stack_id) == ("CREATE_FAILED", "CREATE_COMPLETE", "bun-1")


def test_an_update_has_no_such_timeout(phases: Phases) -> None:
    phases.create(template(Bundle="one"), TimeoutInMinutes=1)
    phases.answer(phases.request("Create"), "bun-1")
    phases.sandbox.until("CREATE_COMPLETE")
    phases.sandbox.clock.ahead = 61.0
    phases.update(template(Bundle="two"))

    phases.answer(phases.request("Update"))
    phases.sandbox.until("UPDATE_COMPLETE")


def test_a_nested_stack_has_its_own(phases: Phases) -> None:
    s3 = phases.sandbox.aws("s3")
    s3.create_bucket(Bucket="templates")
    bundle = {"Type": "Custom::InstanceBundle", "Properties": {"ServiceToken": TOKEN}}
    s3.put_object(
        Bucket="templates", Key="child.yaml", Body=json.dumps({"Resources": {"Inner": bundle}})
    )
    properties = {
        "TemplateURL": "https://templates.s3.amazonaws.com/child.yaml",
        "TimeoutInMinutes": "1",
    }
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": properties}
    phases.create(json.dumps({"Resources": {"Nested": nested}}), TimeoutInMinutes=2)
    phases.request("Create", "Inner")
    phases.sandbox.clock.ahead = 61.0

    phases.answer(phases.request("Delete", "Inner"))
    phases.sandbox.until("ROLLBACK_COMPLETE")
    assert TOO_LATE in phases.sandbox.reason("Nested", "CREATE_FAILED")
