"""Stacks that are not to be deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.cloudformation.phases import TOKEN, Phases, template

URL = "https://templates.s3.amazonaws.com/child.yaml"
NESTED = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": URL}}
PARENT = json.dumps({"Resources": {"Nested": NESTED}})
WITHOUT = template(Bundle="one")


@pytest.fixture
def nested(phases: Phases) -> str:
    """The ID of the nested stack of a protected one named shop."""
    s3 = phases.sandbox.aws("s3")
    s3.create_bucket(Bucket="templates")
    bundle = {"Type": "Custom::InstanceBundle", "Properties": {"ServiceToken": TOKEN}}
    s3.put_object(
        Bucket="templates", Key="child.yaml", Body=json.dumps({"Resources": {"Inner": bundle}})
    )
    phases.create(PARENT, EnableTerminationProtection=True)
    create = phases.request("Create", "Inner")
    phases.answer(create, "bun-1")
    phases.sandbox.until("CREATE_COMPLETE")
    stack_id: str = create["StackId"]
    return stack_id


def refused(phases: Phases, words: str) -> Any:
    return pytest.raises(phases.sandbox.client.exceptions.ClientError, match=words)


def protect(phases: Phases, stack: str, *, on: bool) -> None:
    answer = phases.sandbox.client.update_termination_protection(
        StackName=stack, EnableTerminationProtection=on
    )
    assert answer["StackId"] == phases.sandbox.stack(stack)["StackId"]


def test_protection_is_set_and_removed(phases: Phases) -> None:
    stack_id = phases.created(WITHOUT, Bundle="bun-1")
    assert not phases.sandbox.stack()["EnableTerminationProtection"]
    protect(phases, "shop", on=True)
    assert phases.sandbox.stack()["EnableTerminationProtection"]

    with refused(phases, "cannot be deleted while TerminationProtection is enabled"):
        phases.sandbox.client.delete_stack(StackName="shop")
    assert phases.seen(stack_id)[0] == "CREATE_COMPLETE"

    protect(phases, "shop", on=False)
    phases.sandbox.client.delete_stack(StackName="shop")
    with refused(phases, "DELETE_IN_PROGRESS"):
        protect(phases, stack_id, on=True)
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("DELETE_COMPLETE", stack_id)


def test_a_nested_stack_is_protected_by_its_root(phases: Phases, nested: str) -> None:
    with refused(phases, "TerminationProtection is enabled"):
        phases.sandbox.client.delete_stack(StackName=nested)
    with refused(phases, "root stack"):
        protect(phases, nested, on=False)
    assert phases.sandbox.stack(nested)["EnableTerminationProtection"]

    protect(phases, "shop", on=False)
    assert not phases.sandbox.stack(nested)["EnableTerminationProtection"]


def test_an_update_deletes_a_protected_nested_stack(phases: Phases, nested: str) -> None:
    phases.update(WITHOUT)
    phases.answer(phases.request("Create"), "bun-2")
    phases.answer(phases.request("Delete", "Inner"))

    phases.sandbox.until("UPDATE_COMPLETE")
    assert phases.sandbox.stack(nested)["StackStatus"] == "DELETE_COMPLETE"
