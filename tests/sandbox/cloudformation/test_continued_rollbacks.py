"""Rollbacks of nested stacks that failed, and are continued from the root."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.sandbox.cloudformation.phases import TOKEN, Phases

CHILD = """
Parameters: {Name: {Type: String}}
Resources:
  Inner:
    Type: Custom::InstanceBundle
    Properties: {ServiceToken: %s, Name: !Ref Name}
  Second:
    Type: Custom::InstanceBundle
    DependsOn: Inner
    Properties: {ServiceToken: %s, Name: !Ref Name}
"""
URL = "https://templates.s3.amazonaws.com/child.yaml"


def parent(name: str) -> str:
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": URL, "Parameters": {"Name": name}},
    }
    last = {
        "Type": "Custom::InstanceBundle",
        "DependsOn": "Nested",
        "Properties": {"ServiceToken": TOKEN, "Name": name},
    }
    return json.dumps({"Resources": {"Nested": nested, "Last": last}})


@pytest.fixture
def nested(phases: Phases) -> str:
    """The name of a nested stack, in one named shop, whose rollback failed at Inner."""
    s3 = phases.sandbox.aws("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="child.yaml", Body=(CHILD % (TOKEN, TOKEN)).encode())
    phases.create(parent("one"))
    for name in ("Inner", "Second", "Last"):
        create = phases.request("Create", name)
        phases.answer(create, f"{name}-1")
        if name == "Inner":
            stack_id = create["StackId"]
    phases.sandbox.until("CREATE_COMPLETE")
    phases.update(parent("two"))
    phases.answer(phases.request("Update", "Inner"))
    phases.answer(phases.request("Update", "Second"))
    phases.fail(phases.request("Update", "Last"))
    phases.fail(phases.request("Update", "Inner", nth=2))
    phases.sandbox.until("UPDATE_ROLLBACK_FAILED")
    assert phases.sandbox.stack(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    return phases.sandbox.stack(stack_id)["StackName"]


def continued(phases: Phases, *skipped: str, stack: str = "shop") -> None:
    phases.sandbox.client.continue_update_rollback(StackName=stack, ResourcesToSkip=list(skipped))


def refused(phases: Phases, words: str) -> Any:
    return pytest.raises(phases.sandbox.client.exceptions.ClientError, match=re.escape(words))


def test_what_failed_in_a_nested_stack_is_asked_for_again(phases: Phases, nested: str) -> None:
    continued(phases)
    again = phases.request("Update", "Inner", nth=3)
    assert again["ResourceProperties"]["Name"] == "one"
    assert phases.sandbox.stack(nested)["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS"
    phases.answer(again)
    phases.answer(phases.request("Update", "Second", nth=2))
    phases.answer(phases.request("Update", "Last", nth=2))

    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert phases.sandbox.stack(nested)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_resource_of_a_nested_stack_is_skipped(phases: Phases, nested: str) -> None:
    continued(phases, f"{nested}.Inner")
    phases.answer(phases.request("Update", "Second", nth=2))
    phases.answer(phases.request("Update", "Last", nth=2))

    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    updates = [(e["RequestType"], e["LogicalResourceId"]) for e in phases.sandbox.events]
    assert updates.count(("Update", "Inner")) == 2


def test_a_rollback_that_fails_again_can_be_continued_again(phases: Phases, nested: str) -> None:
    continued(phases)
    phases.fail(phases.request("Update", "Inner", nth=3))
    phases.sandbox.until("UPDATE_ROLLBACK_FAILED", nested)
    phases.sandbox.until("UPDATE_ROLLBACK_FAILED")

    continued(phases, f"{nested}.Inner")
    phases.answer(phases.request("Update", "Second", nth=2))
    phases.answer(phases.request("Update", "Last", nth=2))
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")


def test_what_can_not_be_skipped_is_refused(phases: Phases, nested: str) -> None:
    with refused(phases, "Stack [Nested] does not exist"):
        continued(phases, "Nested.Inner")
    with refused(phases, "[Second] can not be skipped"):
        continued(phases, f"{nested}.Second")
    with refused(phases, "Nested stacks could not be skipped"):
        continued(phases, "Nested")
    with refused(phases, "cannot be invoked on child stacks"):
        continued(phases, stack=nested)
