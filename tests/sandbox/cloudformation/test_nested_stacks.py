"""Stacks that are resources of others."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.cloudformation.phases import TOKEN, Phases

CHILD = """
Parameters: {Name: {Type: String}}
Resources:
  Bundle:
    Type: Custom::InstanceBundle
    Properties: {ServiceToken: %s, Name: !Ref Name}
Outputs:
  Id: {Value: !Ref Bundle}
"""


def parent(name: str, sibling: str | None = None, *, of: bool = True) -> str:
    """A stack with a nested one, and perhaps a resource, which needs the nested one's output."""
    resources = {
        "Nested": {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {
                "TemplateURL": "https://templates.s3.amazonaws.com/child.yaml",
                "Parameters": {"Name": name},
            },
        }
    }
    if sibling:
        resources["Sibling"] = {
            "Type": "Custom::InstanceBundle",
            "Properties": {
                "ServiceToken": TOKEN,
                "Name": sibling,
                "Of": {"Fn::GetAtt": ["Nested", "Outputs.Id"]} if of else "nothing",
            },
        }
    return json.dumps({"Resources": resources})


@pytest.fixture(autouse=True)
def child(phases: Phases) -> None:
    s3 = phases.sandbox.aws("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="child.yaml", Body=(CHILD % TOKEN).encode())


def nested_of(phases: Phases) -> str:
    """The ID of the nested stack."""
    stack_id: str = phases.request("Create")["StackId"]
    return stack_id


def status(phases: Phases, stack_id: str) -> str:
    return phases.sandbox.stack(stack_id)["StackStatus"]


def created(phases: Phases) -> str:
    """The ID of the nested stack of one that is created."""
    phases.create(parent("one", "one"))
    nested = nested_of(phases)
    phases.answer(phases.request("Create"), "bun-1")
    sibling = phases.request("Create", "Sibling")
    assert sibling["ResourceProperties"]["Of"] == "bun-1"
    phases.answer(sibling, "sib-1")
    phases.sandbox.until("CREATE_COMPLETE")
    return nested


def test_a_nested_stack_is_created_and_deleted_with_its_parent(phases: Phases) -> None:
    nested = created(phases)
    described, top = phases.sandbox.stack(nested), phases.sandbox.stack()
    assert (described["ParentId"], described["RootId"]) == (top["StackId"], top["StackId"])
    assert described["StackStatus"] == "CREATE_COMPLETE"

    phases.sandbox.client.delete_stack(StackName="shop")
    phases.answer(phases.request("Delete", "Sibling"))
    delete = phases.request("Delete")
    assert status(phases, nested) == "DELETE_IN_PROGRESS"
    phases.answer(delete)
    phases.sandbox.until("DELETE_COMPLETE", top["StackId"])
    assert status(phases, nested) == "DELETE_COMPLETE"


def test_a_nested_stack_that_fails_fails_its_parent(phases: Phases) -> None:
    phases.create(parent("one"))
    nested = nested_of(phases)
    phases.fail(phases.request("Create"))
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("ROLLBACK_COMPLETE")

    assert phases.sandbox.reason("Nested", "CREATE_FAILED") == (
        f"Embedded stack {nested} was not successfully created: The following resource(s) failed "
        "to create: [Bundle]. "
    )
    assert status(phases, nested) == "DELETE_COMPLETE"


def test_an_update_is_final_only_with_the_parents(phases: Phases) -> None:
    nested = created(phases)
    phases.update(parent("two", "two"))
    phases.answer(phases.request("Update"), "bun-2")
    sibling = phases.request("Update", "Sibling")

    assert status(phases, nested) == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    assert status(phases, "shop") == "UPDATE_IN_PROGRESS"
    assert "Delete" not in [event["RequestType"] for event in phases.sandbox.events]
    phases.answer(sibling)
    delete = phases.request("Delete")
    assert delete["PhysicalResourceId"] == "bun-1"
    assert status(phases, "shop") == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    phases.answer(delete)
    phases.sandbox.until("UPDATE_COMPLETE")
    assert status(phases, nested) == "UPDATE_COMPLETE"


def test_an_update_is_rolled_back_with_the_parents(phases: Phases) -> None:
    nested = created(phases)
    phases.update(parent("two", "two"))
    phases.answer(phases.request("Update"), "bun-2")
    phases.fail(phases.request("Update", "Sibling"))
    back = phases.request("Update", nth=2)

    assert back["PhysicalResourceId"] == "bun-2"
    assert status(phases, nested) == "UPDATE_ROLLBACK_IN_PROGRESS"
    assert status(phases, "shop") == "UPDATE_ROLLBACK_IN_PROGRESS"
    phases.answer(back, "bun-1")
    sibling = phases.request("Update", "Sibling", nth=2)
    assert status(phases, nested) == "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
    assert "Delete" not in [event["RequestType"] for event in phases.sandbox.events]
    phases.answer(sibling)
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert status(phases, nested) == "UPDATE_ROLLBACK_COMPLETE"


def test_an_update_that_is_under_way_when_the_parents_fails_is_rolled_back(phases: Phases) -> None:
    nested = created(phases)
    phases.update(parent("two", "two", of=False))
    update = phases.request("Update")
    phases.fail(phases.request("Update", "Sibling"))
    phases.sandbox.until("UPDATE_ROLLBACK_IN_PROGRESS")

    assert status(phases, nested) == "UPDATE_IN_PROGRESS"
    phases.answer(update, "bun-2")
    phases.answer(phases.request("Update", nth=2), "bun-1")
    phases.answer(phases.request("Update", "Sibling", nth=2))
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert status(phases, nested) == "UPDATE_ROLLBACK_COMPLETE"


def test_an_update_that_fails_is_rolled_back_and_fails_the_parents(phases: Phases) -> None:
    nested = created(phases)
    phases.update(parent("two", "two"))
    phases.fail(phases.request("Update"), "bun-2")
    phases.answer(phases.request("Update", nth=2), "bun-1")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")

    assert status(phases, nested) == "UPDATE_ROLLBACK_COMPLETE"
    assert len(phases.sandbox.events) == 5  # nothing about the sibling
