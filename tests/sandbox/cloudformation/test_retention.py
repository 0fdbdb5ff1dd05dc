"""Which resources are kept, by their DeletionPolicy, in each operation that removes some."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.support import Sandbox
from tests.sandbox.cloudformation.test_stacks import queues

# The bucket's name is not valid, and so it fails after the queue was made.
BROKEN = """
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Kept
    Properties: {BucketName: X}
"""


def body(policy: str | None, *, broken: bool = False) -> str:
    kept = f"  Kept: {{Type: AWS::SQS::Queue, DeletionPolicy: {policy}}}\n" if policy else ""
    topic = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n"
    return topic + kept + (BROKEN if broken else "")


KEPT = [("Retain", "DELETE_SKIPPED"), ("RetainExceptOnCreate", "DELETE_SKIPPED")]
KEPT_UNLESS_NEW = [("Retain", "DELETE_SKIPPED"), ("RetainExceptOnCreate", "DELETE_COMPLETE")]


def assert_ended(sandbox: Sandbox, status: str, name: str = "shop") -> None:
    assert sandbox.statuses("Kept", name)[-1] == status
    assert len(queues(sandbox)) == (1 if status == "DELETE_SKIPPED" else 0)


@pytest.mark.parametrize(("policy", "status"), KEPT_UNLESS_NEW)
def test_rollback_of_a_creation(sandbox: Sandbox, policy: str, status: str) -> None:
    sandbox.finish(body(policy, broken=True), "ROLLBACK_COMPLETE")

    assert_ended(sandbox, status)


@pytest.mark.parametrize(("policy", "status"), KEPT_UNLESS_NEW)
def test_deletion_of_what_failed_to_be_created(sandbox: Sandbox, policy: str, status: str) -> None:
    stack_id = sandbox.finish(body(policy, broken=True), "DELETE_COMPLETE", OnFailure="DELETE")

    assert_ended(sandbox, status, stack_id["StackId"])


@pytest.mark.parametrize(("policy", "status"), KEPT_UNLESS_NEW)
def test_rollback_of_an_update_that_added_it(sandbox: Sandbox, policy: str, status: str) -> None:
    sandbox.finish(body(None), "CREATE_COMPLETE")

    sandbox.client.update_stack(StackName="shop", TemplateBody=body(policy, broken=True))

    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert_ended(sandbox, status)


@pytest.mark.parametrize(("policy", "status"), KEPT)
def test_a_later_update_that_removes_it(sandbox: Sandbox, policy: str, status: str) -> None:
    sandbox.finish(body(policy), "CREATE_COMPLETE")

    sandbox.client.update_stack(StackName="shop", TemplateBody=body(None))

    sandbox.until("UPDATE_COMPLETE")
    assert_ended(sandbox, status)


@pytest.mark.parametrize(("policy", "status"), KEPT)
def test_deletion_of_the_stack(sandbox: Sandbox, policy: str, status: str) -> None:
    sandbox.finish(body(policy), "CREATE_COMPLETE")

    assert_ended(sandbox, status, sandbox.delete())


@pytest.mark.parametrize(("policy", "status"), KEPT)
def test_deletion_of_a_stack_whose_failure_was_left(
    sandbox: Sandbox, policy: str, status: str
) -> None:
    """Its deletion is another operation than the one that made the resource."""
    sandbox.finish(body(policy, broken=True), "CREATE_FAILED", OnFailure="DO_NOTHING")

    assert_ended(sandbox, status, sandbox.delete())


@pytest.mark.parametrize(("policy", "status"), KEPT_UNLESS_NEW)
def test_deletion_of_a_stack_that_was_rolled_back(
    sandbox: Sandbox, policy: str, status: str
) -> None:
    sandbox.finish(body(policy, broken=True), "ROLLBACK_COMPLETE")

    assert_ended(sandbox, status, sandbox.delete())
