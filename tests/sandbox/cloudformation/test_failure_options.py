"""Stacks whose failed operations roll nothing back, and what leads on from there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.sandbox.cloudformation.phases import Phases, template

BUNDLE = template(Bundle="one")
FAMILY = template(Bundle="one", Sibling="one")
NEW_FAMILY = template(Bundle="two", Sibling="two")


def refused(phases: Phases, words: str) -> Any:
    return pytest.raises(phases.sandbox.client.exceptions.ClientError, match=re.escape(words))


def create_failed(phases: Phases) -> str:
    """A stack whose bundle failed to be created, and whose sibling is there; its ID."""
    stack_id = phases.create(FAMILY, DisableRollback=True)
    phases.fail(phases.request("Create"), "bun-1")
    phases.until_resource("CREATE_FAILED")
    assert phases.seen(stack_id)[0] == "CREATE_IN_PROGRESS"  # one's failure stops no other
    phases.answer(phases.request("Create", "Sibling"), "sib-1")
    phases.sandbox.until("CREATE_FAILED")
    return stack_id


def test_an_update_after_a_failed_creation_deletes_and_creates_what_failed(phases: Phases) -> None:
    stack_id = create_failed(phases)
    assert phases.seen(stack_id) == ("CREATE_FAILED", "CREATE_FAILED", "bun-1")
    with refused(phases, "This stack is currently in a non-terminal [CREATE_FAILED] state."):
        phases.update(FAMILY)

    phases.update(FAMILY, DisableRollback=True)
    delete = phases.request("Delete")
    assert delete["PhysicalResourceId"] == "bun-1"
    assert phases.seen(stack_id) == ("UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")
    assert phases.sandbox.stack()["DisableRollback"]
    assert phases.operations() == ["UPDATE_STACK", "CREATE_STACK"]

    phases.answer(delete)
    create = phases.request("Create", nth=2)
    assert phases.seen(stack_id) == ("UPDATE_IN_PROGRESS", "CREATE_IN_PROGRESS", None)
    phases.answer(create, "bun-2")
    phases.sandbox.until("UPDATE_COMPLETE")
    assert phases.seen(stack_id)[1:] == ("CREATE_COMPLETE", "bun-2")
    assert len(phases.sandbox.events) == 4  # the sibling stays as it is


def test_an_update_whose_delete_fails_can_be_tried_again(phases: Phases) -> None:
    stack_id = create_failed(phases)
    phases.update(FAMILY, DisableRollback=True)
    phases.fail(phases.request("Delete"))
    phases.sandbox.until("UPDATE_FAILED")
    assert phases.seen(stack_id) == ("UPDATE_FAILED", "DELETE_FAILED", "bun-1")

    phases.update(FAMILY, DisableRollback=True)
    phases.answer(phases.request("Delete", nth=2))
    phases.answer(phases.request("Create", nth=2), "bun-2")
    phases.sandbox.until("UPDATE_COMPLETE")


def test_the_rollback_of_a_failed_creation_deletes_the_stack(phases: Phases) -> None:
    stack_id = create_failed(phases)
    phases.sandbox.client.rollback_stack(StackName="shop")
    phases.answer(phases.request("Delete", "Sibling"))
    delete = phases.request("Delete")

    assert phases.seen(stack_id) == ("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")
    assert phases.operations() == ["ROLLBACK", "CREATE_STACK"]
    phases.answer(delete)
    phases.sandbox.until("DELETE_COMPLETE", stack_id)


def update_failed(phases: Phases) -> str:
    """A stack whose bundle was replaced, and whose sibling failed and was restored; its ID."""
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY, DisableRollback=True)
    phases.fail(phases.request("Update", "Sibling"), "sib-2")
    phases.until_resource("UPDATE_FAILED", "Sibling")  # which stops no other
    phases.answer(phases.request("Update"), "bun-2")

    back = phases.request("Update", "Sibling", nth=2)
    assert back["PhysicalResourceId"] == "sib-2"
    assert back["ResourceProperties"]["Name"] == "one"
    assert back["OldResourceProperties"]["Name"] == "two"
    seen = ("UPDATE_IN_PROGRESS", "UPDATE_FAILED", "sib-2")
    assert phases.seen(stack_id, "Sibling") == seen
    assert phases.operations() == ["UPDATE_STACK", "CREATE_STACK"]
    phases.answer(back, "sib-1")
    phases.sandbox.until("UPDATE_FAILED")
    assert phases.seen(stack_id, "Sibling") == ("UPDATE_FAILED", "UPDATE_FAILED", "sib-1")
    assert phases.seen(stack_id) == ("UPDATE_FAILED", "UPDATE_COMPLETE", "bun-2")
    return stack_id


def deleted(phases: Phases, *wanted: str) -> None:
    """Answer the Deletes that come, which are of these physical IDs."""
    names = {"bun": "Bundle", "sib": "Sibling"}
    counts = dict.fromkeys(names.values(), 0)
    found = set()
    for physical_id in wanted:
        name = names[physical_id[:3]]
        counts[name] += 1
        delete = phases.request("Delete", name, counts[name])
        found.add(delete["PhysicalResourceId"])
        phases.answer(delete)
    assert found == set(wanted)


def test_a_failed_update_is_tried_again(phases: Phases) -> None:
    update_failed(phases)
    with refused(phases, "This stack is currently in a non-terminal [UPDATE_FAILED] state."):
        phases.update(NEW_FAMILY)

    phases.update(NEW_FAMILY, DisableRollback=True)
    again = phases.request("Update", "Sibling", nth=3)
    assert again["PhysicalResourceId"] == "sib-1"
    assert again["OldResourceProperties"]["Name"] == "one"
    phases.answer(again, "sib-3")
    deleted(phases, "sib-2", "bun-1", "sib-1")
    phases.sandbox.until("UPDATE_COMPLETE")
    assert len([e for e in phases.sandbox.events if e["RequestType"] == "Delete"]) == 3


def test_a_failed_update_is_rolled_back(phases: Phases) -> None:
    stack_id = update_failed(phases)
    phases.sandbox.client.rollback_stack(StackName="shop")
    back = phases.request("Update", nth=2)

    assert back["PhysicalResourceId"] == "bun-2"
    seen = ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS", "bun-2")
    assert phases.seen(stack_id) == seen
    assert phases.operations() == ["ROLLBACK", "UPDATE_STACK"]
    phases.answer(back, "bun-1")
    deleted(phases, "bun-2", "sib-2")
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert phases.seen(stack_id) == ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE", "bun-1")


def test_a_failed_update_is_deleted_with_all_it_left(phases: Phases) -> None:
    stack_id = update_failed(phases)
    phases.sandbox.client.delete_stack(StackName="shop")
    deleted(phases, "bun-2", "sib-1", "bun-1", "sib-2")

    phases.sandbox.until("DELETE_COMPLETE", stack_id)


def test_what_failed_to_be_created_by_an_update_is_deleted_by_the_next(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.update(FAMILY, DisableRollback=True)
    phases.fail(phases.request("Create", "Sibling"), "sib-1")
    phases.sandbox.until("UPDATE_FAILED")

    phases.update(FAMILY, DisableRollback=True)
    delete = phases.request("Delete", "Sibling")
    seen = ("UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "sib-1")
    assert phases.seen(stack_id, "Sibling") == seen
    phases.answer(delete)
    phases.answer(phases.request("Create", "Sibling", 2), "sib-2")
    phases.sandbox.until("UPDATE_COMPLETE")


def test_a_change_set_is_executed_without_rollback(phases: Phases) -> None:
    phases.created(BUNDLE, Bundle="bun-1")
    client = phases.sandbox.client
    client.create_change_set(
        StackName="shop", ChangeSetName="two", TemplateBody=template(Bundle="two")
    )
    assert phases.operations() == ["CREATE_CHANGESET", "CREATE_STACK"]
    client.execute_change_set(StackName="shop", ChangeSetName="two", DisableRollback=True)
    phases.fail(phases.request("Update"))
    phases.answer(phases.request("Update", nth=2))

    phases.sandbox.until("UPDATE_FAILED")
    assert phases.operations() == ["UPDATE_STACK", "CREATE_CHANGESET"]


def test_only_a_failure_that_was_left_is_rolled_back(phases: Phases) -> None:
    phases.created(BUNDLE, Bundle="bun-1")

    with refused(phases, "is in CREATE_COMPLETE state and can not be rolled back"):
        phases.sandbox.client.rollback_stack(StackName="shop")


def rollback_failed(phases: Phases) -> str:
    """A stack whose bundle's rollback failed; its ID."""
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    sibling = phases.request("Update", "Sibling")
    phases.answer(phases.request("Update"), "bun-2")
    phases.until_resource("UPDATE_COMPLETE")
    phases.fail(sibling)
    phases.answer(phases.request("Update", "Sibling", nth=2))
    phases.until_resource("UPDATE_COMPLETE", "Sibling")
    assert phases.operations() == ["ROLLBACK", "UPDATE_STACK"]
    phases.fail(phases.request("Update", nth=2))
    phases.sandbox.until("UPDATE_ROLLBACK_FAILED")
    assert phases.seen(stack_id) == ("UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED", "bun-2")
    return stack_id


def test_a_failed_rollback_is_continued(phases: Phases) -> None:
    stack_id = rollback_failed(phases)
    phases.sandbox.client.continue_update_rollback(StackName="shop")
    back = phases.request("Update", nth=3)

    assert back["PhysicalResourceId"] == "bun-2"
    assert back["OldResourceProperties"]["Name"] == "two"
    seen = ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS", "bun-2")
    assert phases.seen(stack_id) == seen
    assert phases.operations() == ["CONTINUE_ROLLBACK", "ROLLBACK"]
    phases.answer(back, "bun-1")
    deleted(phases, "bun-2")
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")


def test_a_failed_rollback_is_continued_without_what_failed(phases: Phases) -> None:
    stack_id = rollback_failed(phases)
    with refused(phases, "[Sibling] can not be skipped"):
        phases.sandbox.client.continue_update_rollback(
            StackName="shop", ResourcesToSkip=["Sibling"]
        )

    phases.sandbox.client.continue_update_rollback(StackName="shop", ResourcesToSkip=["Bundle"])
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")

    assert phases.seen(stack_id) == ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE", "bun-2")
    assert [e["RequestType"] for e in phases.sandbox.events].count("Delete") == 0


def test_only_a_failed_rollback_is_continued(phases: Phases) -> None:
    phases.created(BUNDLE, Bundle="bun-1")

    with refused(phases, "is in CREATE_COMPLETE state and can not continue rollback"):
        phases.sandbox.client.continue_update_rollback(StackName="shop")


@pytest.mark.parametrize(
    "how", [{"RetainResources": ["Bundle"]}, {"DeletionMode": "FORCE_DELETE_STACK"}]
)
def test_what_can_not_be_deleted_is_left_without_a_request(
    phases: Phases, how: dict[str, Any]
) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    client = phases.sandbox.client
    with refused(phases, "only when"):
        client.delete_stack(StackName="shop", **how)
    client.delete_stack(StackName="shop")
    phases.fail(phases.request("Delete"))
    phases.sandbox.until("DELETE_FAILED")

    client.delete_stack(StackName="shop", **how)
    phases.sandbox.until("DELETE_COMPLETE", stack_id)

    assert phases.seen(stack_id) == ("DELETE_COMPLETE", "DELETE_SKIPPED", "bun-1")
    assert [e["RequestType"] for e in phases.sandbox.events].count("Delete") == 1


def test_each_operation_has_an_id_that_its_events_have(phases: Phases) -> None:
    client = phases.sandbox.client
    begun = client.create_stack(StackName="shop", TemplateBody=BUNDLE)
    phases.fail(phases.request("Create"))
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("ROLLBACK_COMPLETE")

    rollback, create = phases.sandbox.stack()["LastOperations"]
    assert create == {"OperationType": "CREATE_STACK", "OperationId": begun["OperationId"]}
    assert rollback["OperationType"] == "ROLLBACK"
    events = client.describe_stack_events(StackName="shop")["StackEvents"]
    found = {event["ResourceStatus"]: event["OperationId"] for event in events}
    assert found["CREATE_FAILED"] == create["OperationId"]
    assert found["ROLLBACK_IN_PROGRESS"] == rollback["OperationId"]


def test_an_update_that_is_cancelled_is_rolled_back(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    phases.answer(phases.request("Update", "Sibling"), "sib-2")
    phases.until_resource("UPDATE_COMPLETE", "Sibling")
    phases.request("Update")

    phases.sandbox.client.cancel_update_stack(StackName="shop")
    back = phases.request("Update", nth=2)

    assert back["PhysicalResourceId"] == "bun-1"
    assert back["ResourceProperties"]["Name"] == "one"
    seen = ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS", "bun-1")
    assert phases.seen(stack_id) == seen
    assert phases.operations() == ["ROLLBACK", "UPDATE_STACK"]
    phases.answer(back)
    phases.answer(phases.request("Update", "Sibling", nth=2), "sib-1")
    deleted(phases, "sib-2")
    phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    events = phases.sandbox.client.describe_stack_events(StackName=stack_id)["StackEvents"]
    assert "Resource update cancelled" in [e.get("ResourceStatusReason") for e in events]


def test_only_an_update_in_progress_is_cancelled(phases: Phases) -> None:
    phases.created(BUNDLE, Bundle="bun-1")

    with refused(phases, "CancelUpdateStack cannot be called from current stack status"):
        phases.sandbox.client.cancel_update_stack(StackName="shop")
