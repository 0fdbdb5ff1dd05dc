"""What CloudFormation is doing with a stack and with a resource of it, and which IDs that had.

All Describe calls of an account share a rate of a few a second (https://github.com/aws/aws-sam-
cli/issues/2671), and what they answer may be the state of some seconds before
(https://github.com/aws/aws-cdk-cli/pull/1848): ask seldom, and decide nothing that does harm on one
answer.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from instance_bundle import aws
from instance_bundle.errors import Denied, Doubtful

T = TypeVar("T")

PAGES = 25
"""Pages of events that are read, of 100 events each
(https://github.com/ansible/ansible/pull/41840): about as many as the creation and the rollback of
the 500 resources that a template may have (CloudFormation User Guide, CloudFormation quotas)."""
CLOCKS_DIFFER = 60
"""Seconds by which CloudFormation's clock may be behind."""

# "If the stack doesn't exist, a ValidationError is returned" (CloudFormation API Reference,
# DescribeStacks). Its words, as recorded: "Stack with id … does not exist"
# (https://github.com/boto/boto3/issues/2807), "Stack '…' does not exist", and "Resource … does not
# exist for stack …" (https://github.com/aws-samples/amazon-rekognition-video-analyzer/issues/23).
# Other ValidationErrors, such as that of a malformed name, begin otherwise.
_UNKNOWN = re.compile(r"(Stack|Resource)\b.* does not exist", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, as DescribeStacks describes it.

    Attributes:
        status: StackStatus, such as `UPDATE_IN_PROGRESS`; empty where CloudFormation knows no such
            stack.
        operation: OperationType of the operation that is under way, or was the last one, by
            LastOperations: CREATE_STACK, UPDATE_STACK, DELETE_STACK, ROLLBACK or CONTINUE_ROLLBACK;
            empty where CloudFormation does not say.
        operation_id: the ID of that operation, which no other one has; empty where
            CloudFormation does not say.
        root_id: ID of the stack at the top, of a nested stack; empty where it is none.
        rollback_disabled: a failure of the last creation or update is left as it is.
    """

    status: str
    operation: str = ""
    operation_id: str = ""
    root_id: str = ""
    rollback_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a stack, as DescribeStackResource describes it.

    Attributes:
        status: ResourceStatus, such as `DELETE_IN_PROGRESS`; empty where CloudFormation knows no
            such resource, or no such stack.
        physical_id: empty where there is none.
    """

    status: str
    physical_id: str = ""


def describe_stack(stack_id: str) -> Stack:
    """Ask what CloudFormation is doing with a stack.

    Args:
        stack_id: its ID. A name would also find the next stack that is given the name.

    Raises:
        Throttled: CloudFormation asks to come later.
        PassingFault: no answer.
        Doubtful: CloudFormation refuses, such as for want of a permission.
    """
    return _known(lambda: _describe_stack(stack_id), Stack(status=""))


def describe_resource(stack_id: str, logical_id: str) -> Resource:
    """Ask what CloudFormation is doing with a resource.

    Args:
        stack_id: as of `describe_stack`. The resources of a deleted stack are described for 90 days
            (CloudFormation API Reference, DescribeStackResource).
        logical_id: the resource's name in the stack's template.

    Raises:
        As `describe_stack`.
    """
    return _known(lambda: _describe_resource(stack_id, logical_id), Resource(status=""))


def has_had(stack_id: str, logical_id: str, physical_id: str, since: float) -> bool:
    """Read whether a resource has had a physical ID at some time.

    Events come "in reverse chronological order" (CloudFormation API Reference,
    DescribeStackEvents), so few are read. If there are more than `PAGES` of them since then, the
    answer is yes, so that nothing is removed: one operation hardly makes more.

    Args:
        stack_id: as of `describe_stack`.
        logical_id: the resource's name in the stack's template.
        physical_id: the ID.
        since: epoch seconds; the resource did not have it before.

    Raises:
        As `describe_stack`.
    """
    return _known(lambda: _has_had(stack_id, logical_id, physical_id, since), unknown=False)


def _has_had(stack_id: str, logical_id: str, physical_id: str, since: float) -> bool:
    pages = aws.cloudformation().get_paginator("describe_stack_events")
    with aws.calling("cloudformation:DescribeStackEvents"):
        for page in islice(pages.paginate(StackName=stack_id), PAGES):
            for event in page["StackEvents"]:
                if event["Timestamp"].timestamp() < since - CLOCKS_DIFFER:
                    return False
                ids = event.get("LogicalResourceId"), event.get("PhysicalResourceId")
                if ids == (logical_id, physical_id):
                    return True
            if not page.get("NextToken"):
                return False
    return True


def _describe_stack(stack_id: str) -> Stack:
    with aws.calling("cloudformation:DescribeStacks"):
        [described] = aws.cloudformation().describe_stacks(StackName=stack_id)["Stacks"]
    # The newest comes first: recorded (https://github.com/awslabs/mcp/issues/4275), not documented.
    last = (described.get("LastOperations") or [{}])[0]
    return Stack(
        status=described["StackStatus"],
        operation=last.get("OperationType", ""),
        operation_id=last.get("OperationId", ""),
        root_id=described.get("RootId", ""),
        rollback_disabled=described.get("DisableRollback", False),
    )


def _describe_resource(stack_id: str, logical_id: str) -> Resource:
    with aws.calling("cloudformation:DescribeStackResource"):
        described = aws.cloudformation().describe_stack_resource(
            StackName=stack_id, LogicalResourceId=logical_id
        )["StackResourceDetail"]
    return Resource(described["ResourceStatus"], described.get("PhysicalResourceId", ""))


def _known(ask: Callable[[], T], unknown: T) -> T:
    """What is answered, or `unknown` where CloudFormation answers that there is no such thing."""
    try:
        return ask()
    except Doubtful as doubtful:
        if _says_unknown(doubtful):
            return unknown
        raise


def _says_unknown(doubtful: Doubtful) -> bool:
    denied = doubtful.refusal
    return (
        isinstance(denied, Denied)
        and denied.code == "ValidationError"
        and _UNKNOWN.match(denied.message) is not None
    )
