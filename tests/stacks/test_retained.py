"""Bundles that their stack has retained, and a resource of the same name that comes after."""

from collections.abc import Callable
from functools import partial
from typing import Any

from .support import Aws, side_by_side

Template = Callable[..., dict[str, Any]]

HANDLE = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
"""What a stack is made of that has no bundle."""


def test_a_bundle_that_was_retained_survives_a_create_of_the_same_resource_that_fails(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_for_the_same_prefix, aws, template, {"DeletionPolicy": "Retain"}),
        partial(_for_the_same_prefix, aws, template, {"DeletionPolicy": "RetainExceptOnCreate"}),
        partial(_for_the_same_prefix, aws, template, {}),
        partial(_for_a_wrong_property, aws, template),
    )


def _for_the_same_prefix(aws: Aws, template: Template, policy: dict[str, str]) -> None:
    """policy: what the resource has where it is added again."""
    prefix = f"retained/{policy.get('DeletionPolicy', 'none')}"
    instance = aws.instance(seconds="1")
    stack_id, keys = _retained(aws, template, instance, prefix)

    body = template(instance, prefix, OnDelete="Delete")
    body["Resources"]["Bundle"] |= policy
    reason = _refused(aws, stack_id, body)

    assert "is not overwritten. Change Prefix" in reason
    assert aws.keys(f"{prefix}.") == keys
    assert len(aws.bundle_requests(instance)) == 1


def _for_a_wrong_property(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    stack_id, keys = _retained(aws, template, instance, "retained/wrong")

    reason = _refused(
        aws, stack_id, template(instance, "retained/wrong", OnDelete="Delete", Colour="red")
    )

    assert "Colour" in reason
    assert aws.keys("retained/wrong.") == keys


def _retained(aws: Aws, template: Template, instance: str, prefix: str) -> tuple[str, list[str]]:
    """A stack whose bundle was taken out of its template and stays; its ID, and the keys."""
    body = template(instance, prefix, OnDelete="Delete")
    body["Resources"]["Bundle"]["DeletionPolicy"] = "Retain"
    body["Resources"] |= HANDLE
    stack_id = aws.create_stack(body)
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    keys = aws.keys(f"{prefix}.")
    assert f"{prefix}.manifest.xml" in keys

    aws.update_stack(stack_id, {"Resources": HANDLE})
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert ("Bundle", "DELETE_SKIPPED") in [
        (event["LogicalResourceId"], event["ResourceStatus"]) for event in aws.events(stack_id)
    ]
    assert aws.keys(f"{prefix}.") == keys
    return stack_id, keys


def _refused(aws: Aws, stack_id: str, body: dict[str, Any]) -> str:
    """The reason for which a stack does not get a resource, and the Delete of it is over."""
    aws.update_stack(stack_id, {**body, "Resources": body["Resources"] | HANDLE})
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    answers = [answer["Status"] for answer in aws.responses(stack_id)]
    is_retained = body["Resources"]["Bundle"].get("DeletionPolicy") == "Retain"
    assert answers == ["SUCCESS", "FAILED"] + ([] if is_retained else ["SUCCESS"])
    return aws.failure(stack_id)
