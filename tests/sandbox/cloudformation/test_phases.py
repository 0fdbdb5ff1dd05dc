"""What the Describe calls say while a request to a custom resource is open, phase by phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.cloudformation.phases import Phases, template

BUNDLE = template(Bundle="one")
FAMILY = template(Bundle="one", Sibling="one")
NEW_FAMILY = template(Bundle="two", Sibling="two")


def test_a_create(phases: Phases) -> None:
    stack_id = phases.create(BUNDLE)
    phases.request("Create")

    assert phases.seen(stack_id) == ("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", None)
    assert phases.last_event(stack_id) == ("CREATE_IN_PROGRESS", "")


def test_the_delete_of_a_create_that_failed(phases: Phases) -> None:
    stack_id = phases.create(BUNDLE)
    phases.fail(phases.request("Create"), "bun-1")
    delete = phases.request("Delete")

    assert delete["PhysicalResourceId"] == "bun-1"
    assert phases.seen(stack_id) == ("ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")
    assert phases.last_event(stack_id) == ("DELETE_IN_PROGRESS", "bun-1")


def test_the_delete_of_a_create_that_was_cancelled_has_an_id_that_was_made_up(
    phases: Phases,
) -> None:
    stack_id = phases.create(FAMILY)
    phases.request("Create")
    phases.fail(phases.request("Create", "Sibling"))
    delete = phases.request("Delete")

    made_up = delete["PhysicalResourceId"]
    assert made_up.startswith("shop-Bundle-")
    assert phases.seen(stack_id) == ("ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS", made_up)


def test_what_was_rolled_back_is_listed_but_not_described(phases: Phases) -> None:
    stack_id = phases.create(BUNDLE)
    phases.fail(phases.request("Create"), "bun-1")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("ROLLBACK_COMPLETE")

    assert phases.seen(stack_id) == ("ROLLBACK_COMPLETE", None, None)
    [listed] = phases.sandbox.client.list_stack_resources(StackName=stack_id)[
        "StackResourceSummaries"
    ]
    assert listed["ResourceStatus"] == "DELETE_COMPLETE"


def test_a_creation_that_failed_and_is_to_be_deleted(phases: Phases) -> None:
    stack_id = phases.create(BUNDLE, OnFailure="DELETE")
    phases.fail(phases.request("Create"), "bun-1")
    phases.request("Delete")

    assert phases.seen(stack_id) == ("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")


def test_an_update(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.update(template(Bundle="two"))
    phases.request("Update")

    assert phases.seen(stack_id) == ("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "bun-1")
    assert phases.last_event(stack_id) == ("UPDATE_IN_PROGRESS", "bun-1")


def test_a_replacement_while_a_sibling_is_at_work(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    phases.request("Update", "Sibling")
    phases.answer(phases.request("Update"), "bun-2")
    phases.until_resource("UPDATE_COMPLETE")

    assert phases.seen(stack_id) == ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "bun-2")


def rolled_back(phases: Phases) -> tuple[str, dict[str, Any]]:
    """A stack in whose rollback the bundle's Update is open: the stack's ID, and the request."""
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(NEW_FAMILY)
    sibling = phases.request("Update", "Sibling")
    phases.answer(phases.request("Update"), "bun-2")
    phases.until_resource("UPDATE_COMPLETE")
    phases.fail(sibling)
    return stack_id, phases.request("Update", nth=2)


def test_the_update_of_a_rollback(phases: Phases) -> None:
    stack_id, update = rolled_back(phases)

    assert update["PhysicalResourceId"] == "bun-2"
    assert update["ResourceProperties"]["Name"] == "one"
    assert update["OldResourceProperties"]["Name"] == "two"
    seen = ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS", "bun-2")
    assert phases.seen(stack_id) == seen


def test_the_clean_up_after_a_replacement(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.update(template(Bundle="two"))
    phases.answer(phases.request("Update"), "bun-2")
    delete = phases.request("Delete")

    assert delete["PhysicalResourceId"] == "bun-1"
    seen = ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE", "bun-2")
    assert phases.seen(stack_id) == seen
    assert phases.last_event(stack_id) == ("DELETE_IN_PROGRESS", "bun-1")


def test_the_clean_up_after_a_rollback(phases: Phases) -> None:
    stack_id, update = rolled_back(phases)
    phases.answer(update, "bun-1")
    phases.answer(phases.request("Update", "Sibling", nth=2))
    delete = phases.request("Delete")

    assert delete["PhysicalResourceId"] == "bun-2"
    seen = ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE", "bun-1")
    assert phases.seen(stack_id) == seen
    assert phases.last_event(stack_id) == ("DELETE_IN_PROGRESS", "bun-2")


def test_a_resource_that_is_taken_out(phases: Phases) -> None:
    stack_id = phases.created(FAMILY, Bundle="bun-1", Sibling="sib-1")
    phases.update(template(Sibling="one"))
    delete = phases.request("Delete")

    seen = ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")
    assert phases.seen(stack_id) == seen
    phases.answer(delete)
    phases.sandbox.until("UPDATE_COMPLETE")
    assert phases.seen(stack_id) == ("UPDATE_COMPLETE", None, None)


def test_the_deletion_of_a_stack(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.sandbox.client.delete_stack(StackName="shop")
    phases.request("Delete")

    assert phases.seen(stack_id) == ("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "bun-1")


def deleted(phases: Phases) -> str:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.sandbox.client.delete_stack(StackName="shop")
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("DELETE_COMPLETE", stack_id)
    return stack_id


def test_a_deleted_stack_is_described_by_its_id(phases: Phases) -> None:
    stack_id = deleted(phases)

    assert phases.seen(stack_id) == ("DELETE_COMPLETE", "DELETE_COMPLETE", "bun-1")
    assert phases.last_event(stack_id) == ("DELETE_COMPLETE", "bun-1")


def test_the_resources_of_a_deleted_stack_are_known_for_ninety_days(phases: Phases) -> None:
    stack_id = deleted(phases)
    client = phases.sandbox.client
    calls: list[Callable[[], Any]] = [
        lambda: client.describe_stack_resource(StackName=stack_id, LogicalResourceId="Bundle"),
        lambda: client.describe_stack_resources(StackName=stack_id),
        lambda: client.list_stack_resources(StackName=stack_id),
    ]

    phases.sandbox.clock.ahead += 89 * 86400
    assert all(call() for call in calls)

    phases.sandbox.clock.ahead += 86400
    for call in calls:
        with pytest.raises(client.exceptions.ClientError, match="does not exist"):
            call()
    assert phases.sandbox.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert phases.last_event(stack_id) == ("DELETE_COMPLETE", "bun-1")


NEVER = (
    "arn:aws:cloudformation:us-east-1:123456789012:stack/never/5a4db0f0-0000-4000-8000-000000000000"
)


@pytest.mark.parametrize("stack", ["never", NEVER])
def test_a_stack_that_is_not_known_is_called_so_in_each_calls_own_words(
    phases: Phases, stack: str
) -> None:
    client = phases.sandbox.client
    says: dict[str, Callable[[], Any]] = {
        f"Stack with id {stack} does not exist": lambda: client.describe_stacks(StackName=stack),
        f"Stack '{stack}' does not exist": lambda: client.describe_stack_resource(
            StackName=stack, LogicalResourceId="Bundle"
        ),
    }

    for words, call in says.items():
        with pytest.raises(client.exceptions.ClientError) as refused:
            call()
        error = refused.value.response["Error"]
        assert (error["Code"], error["Message"]) == ("ValidationError", words)


def test_a_deleted_stack_is_not_known_by_its_name(phases: Phases) -> None:
    deleted(phases)
    client = phases.sandbox.client

    with pytest.raises(client.exceptions.ClientError, match="Stack with id shop does not exist"):
        client.describe_stacks(StackName="shop")
    with pytest.raises(client.exceptions.ClientError, match="Stack 'shop' does not exist"):
        client.describe_stack_resource(StackName="shop", LogicalResourceId="Bundle")


def test_a_resource_is_missing_from_the_stack_as_the_request_names_it(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    client = phases.sandbox.client

    for stack in ("shop", stack_id):
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.describe_stack_resource(StackName=stack, LogicalResourceId="Other")
        error = refused.value.response["Error"]
        assert error["Message"] == f"Resource Other does not exist for stack {stack}"


def test_the_last_operation_of_a_deletion(phases: Phases) -> None:
    stack_id = phases.created(BUNDLE, Bundle="bun-1")
    phases.sandbox.client.delete_stack(StackName="shop")
    phases.request("Delete")
    assert phases.operations() == ["DELETE_STACK", "CREATE_STACK"]
    phases.answer(phases.request("Delete"))
    phases.sandbox.until("DELETE_COMPLETE", stack_id)

    last = phases.sandbox.stack(stack_id)["LastOperations"][0]
    assert last["OperationType"] == "DELETE_STACK"
