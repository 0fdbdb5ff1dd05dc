"""A stack that has bundles, as CloudFormation describes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.errors import NotFound, calling
from cli.installation import Account

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

BUNDLE = "Custom::InstanceBundle"
NESTED = "AWS::CloudFormation::Stack"

_UNHARMED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_BEGINS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
"""The statuses with which a stack's operations begin; rollbacks belong to what they roll back."""
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled")
"""The reasons of resources that failed only because another one did."""


@dataclass(frozen=True, slots=True)
class Member:
    """A resource of a stack.

    Attributes:
        logical_id: its name in the template.
        type: such as `Custom::InstanceBundle`.
        status: such as `UPDATE_FAILED`.
        reason: why it has this status; empty if CloudFormation gives none.
        physical_id: empty before it is known.
    """

    logical_id: str
    type: str
    status: str
    reason: str = ""
    physical_id: str = ""

    @property
    def in_progress(self) -> bool:
        """Whether CloudFormation waits for it."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def nested(self) -> str:
        """The name of the nested stack that it is; empty if it is none."""
        return _name_in(self.physical_id) if self.type == NESTED else ""

    @property
    def was_cancelled(self) -> bool:
        """Whether it failed only because another one did, or the update was cancelled."""
        return self.reason in _CANCELLED


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of a resource.

    Attributes:
        logical_id: the resource's.
        status: such as `DELETE_FAILED`.
        reason: as CloudFormation shows it.
        at: epoch seconds.
    """

    logical_id: str
    status: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack.

    Attributes:
        stack_id: its ID.
        name: its name.
        status: such as `UPDATE_ROLLBACK_FAILED`.
        root: the name of the stack at the top, if it is nested; empty if it is not.
        members: its resources.
        failure: the last one of the last operation; None if there was none.
    """

    stack_id: str
    name: str
    status: str
    root: str = ""
    members: Sequence[Member] = ()
    failure: Failure | None = None

    @property
    def in_progress(self) -> bool:
        """Whether an operation runs."""
        return self.status.endswith("_IN_PROGRESS")

    def having(self, status: str) -> Sequence[str]:
        """The logical IDs of the resources that have a status, but nested stacks, and those that
        were cancelled."""
        return [
            member.logical_id
            for member in self.members
            if member.status == status and member.type != NESTED and not member.was_cancelled
        ]


def read(account: Account, name: str) -> Stack:
    """A stack as it is now.

    Args:
        account: where it is.
        name: its name or ID.

    Raises:
        NotFound: there is no such stack.
        Refused: AWS refuses to describe it.
    """
    found = account.stack(name)
    if found is None:
        raise NotFound(
            f"There is no stack {name} in this account and Region. Name a deleted stack by its ID."
        )
    stack_id, status = found["StackId"], found["StackStatus"]
    return Stack(
        stack_id,
        found["StackName"],
        status,
        root=_name_in(found.get("RootId", "")),
        members=_members(account, stack_id),
        failure=None if status in _UNHARMED else _last_failure(account, stack_id),
    )


def _members(account: Account, stack_id: str) -> Sequence[Member]:
    pages = account.cloudformation().get_paginator("list_stack_resources")
    with calling("cloudformation:ListStackResources"):
        return [
            Member(
                each["LogicalResourceId"],
                each["ResourceType"],
                each["ResourceStatus"],
                each.get("ResourceStatusReason", ""),
                each.get("PhysicalResourceId", ""),
            )
            for page in pages.paginate(StackName=stack_id)
            for each in page["StackResourceSummaries"]
        ]


def _name_in(stack_id: str) -> str:
    return stack_id.partition(":stack/")[2].partition("/")[0]


def _last_failure(account: Account, stack_id: str) -> Failure | None:
    with calling("cloudformation:DescribeStackEvents"):
        for event in _newest_first(account, stack_id):
            status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
            is_own = event.get("PhysicalResourceId") == stack_id
            if is_own and status in _BEGINS:
                break
            if status.endswith("_FAILED") and not is_own and reason not in _CANCELLED:
                at = event["Timestamp"].timestamp()
                return Failure(event.get("LogicalResourceId", ""), status, reason, at)
    return None


def _newest_first(account: Account, stack_id: str) -> "Iterator[StackEventTypeDef]":
    """The stack's events (AWS CloudFormation API Reference, DescribeStackEvents)."""
    pages = account.cloudformation().get_paginator("describe_stack_events")
    for page in pages.paginate(StackName=stack_id):
        yield from page["StackEvents"]
