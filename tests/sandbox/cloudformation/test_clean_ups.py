"""Clean-ups of updates, whose deletions fail."""

from __future__ import annotations

from tests.sandbox.cloudformation.phases import Phases, template

BUNDLE = template(Bundle="one")
FAMILY = template(Bundle="one", Sibling="one")
INCOMPLETE = "One or more resources could not be deleted."


def fail_deletes(phases: Phases, logical_id: str, physical_id: str, times: int) -> None:
    for nth in range(1, times + 1):
        delete = phases.request("Delete", logical_id, nth)
        assert delete["PhysicalResourceId"] == physical_id
        phases.fail(delete)


def deletes(phases: Phases) -> int:
    return [event["RequestType"] for event in phases.sandbox.events].count("Delete")


def replaced(phases: Phases) -> str:
    """A stack whose bundle was replaced, at its clean-up; its ID."""
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.update(template(Bundle="two"))
    phases.answer(phases.request("Update"), "bun-2")
    return stack_id


def test_what_was_replaced_is_skipped_after_three_attempts(phases: Phases) -> None:
    stack_id = replaced(phases)
    fail_deletes(phases, "Bundle", "bun-1", 3)
    stack = phases.sandbox.until("UPDATE_COMPLETE")

    assert stack["StackStatusReason"] == f"Update successful. {INCOMPLETE}"
    assert phases.seen(stack_id) == ("UPDATE_COMPLETE", "UPDATE_COMPLETE", "bun-2")
    assert phases.sandbox.statuses("Bundle").count("DELETE_FAILED") == 3
    phases.sandbox.client.delete_stack(StackName="shop")
    last = phases.request("Delete", nth=4)
    assert last["PhysicalResourceId"] == "bun-2"
    phases.answer(last)
    phases.sandbox.until("DELETE_COMPLETE", stack_id)
    assert deletes(phases) == 4


def test_an_attempt_that_succeeds_is_the_last(phases: Phases) -> None:
    replaced(phases)
    fail_deletes(phases, "Bundle", "bun-1", 2)
    phases.answer(phases.request("Delete", nth=3))

    assert "StackStatusReason" not in phases.sandbox.until("UPDATE_COMPLETE")
    assert deletes(phases) == 3


def test_what_was_taken_out_is_no_resource_of_the_stack_then(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(BUNDLE)
    fail_deletes(phases, "Sibling", "sib-1", 3)
    phases.sandbox.until("UPDATE_COMPLETE")

    assert phases.seen(stack_id, "Sibling") == ("UPDATE_COMPLETE", None, None)
    listed = phases.sandbox.client.describe_stack_resources(StackName="shop")["StackResources"]
    assert [each["LogicalResourceId"] for each in listed] == ["Bundle"]


def test_the_clean_up_of_a_rollback_skips_too(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.update(template(Bundle="one", Sibling="one"))
    phases.fail(phases.request("Create", "Sibling"), "sib-1")
    fail_deletes(phases, "Sibling", "sib-1", 3)

    assert phases.sandbox.until("UPDATE_ROLLBACK_COMPLETE")["StackStatusReason"] == INCOMPLETE
    assert phases.seen(stack_id, "Sibling") == ("UPDATE_ROLLBACK_COMPLETE", None, None)


def test_a_deletion_of_the_stack_makes_one_attempt(phases: Phases) -> None:
    phases.created(BUNDLE, Bundle="bun-1")
    phases.sandbox.client.delete_stack(StackName="shop")
    fail_deletes(phases, "Bundle", "bun-1", 1)

    phases.sandbox.until("DELETE_FAILED")
    assert deletes(phases) == 1
