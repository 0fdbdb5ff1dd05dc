"""Which images stacks manage: a stack that lives, and the physical IDs that it has now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from botocore.exceptions import ClientError

from cli.errors import calling
from cli.installation import Account

Why = Literal["", "stack deleted", "resource removed", "replaced"]
"""Why a stack does not manage an image; empty if it does, or may.

- stack deleted: there is no such stack.
- resource removed: the stack has no such resource.
- replaced: the resource has another physical ID.
"""

_GONE = {"", "DELETE_COMPLETE"}
_NOT_MANAGED = {"DELETE_COMPLETE", "DELETE_SKIPPED"}
"""What a resource is once it is deleted, or was retained."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """A stack.

    Attributes:
        status: StackStatus; empty if there is no such stack.
        physical_ids: of the resources that it manages, by their logical IDs.
    """

    status: str
    physical_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stacks:
    """Stacks, each described once.

    Attributes:
        account: where they are.
    """

    account: Account
    _known: dict[str, _Stack] = field(default_factory=dict)

    def is_deleted(self, stack_id: str) -> bool:
        """Whether there is no such stack any more."""
        return self._stack(stack_id).status in _GONE

    def why_unmanaged(
        self, stack_id: str, logical_id: str, own: Collection[str], others: Collection[str]
    ) -> Why:
        """Why a stack does not manage an image; empty if it does, or may.

        A stack that is being changed, or whose last change failed, may still return to each image
        that its resources have had.

        Args:
            stack_id: the stack's ID; a name would find the next stack that is given it.
            logical_id: the resource's.
            own: the physical IDs that the resource has if it manages the image; empty if unknown.
            others: those that it has if it manages another one.

        Raises:
            Refused: CloudFormation refuses to describe the stack.
        """
        stack = self._stack(stack_id)
        if stack.status in _GONE:
            return "stack deleted"
        if not stack.status.endswith("_COMPLETE"):
            return ""
        current = stack.physical_ids.get(logical_id)
        if current is None:
            return "resource removed"
        return "replaced" if current in others and current not in own else ""

    def _stack(self, stack_id: str) -> _Stack:
        if stack_id not in self._known:
            self._known[stack_id] = self._read(stack_id)
        return self._known[stack_id]

    def _read(self, stack_id: str) -> _Stack:
        """A deleted stack is described by its ID for 90 days; then, and if there never was one,
        it is a ValidationError (AWS CloudFormation API Reference, DescribeStacks)."""
        cloudformation = self.account.cloudformation()
        with calling("cloudformation:DescribeStacks"):
            try:
                [found] = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "ValidationError":
                    raise
                return _Stack("")
        if found["StackStatus"] in _GONE:
            return _Stack(found["StackStatus"])
        pages = cloudformation.get_paginator("list_stack_resources")
        with calling("cloudformation:ListStackResources"):
            return _Stack(
                found["StackStatus"],
                {
                    each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
                    for page in pages.paginate(StackName=stack_id)
                    for each in page["StackResourceSummaries"]
                    if each["ResourceStatus"] not in _NOT_MANAGED
                },
            )
