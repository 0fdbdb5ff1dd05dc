"""CloudFormation's API calls that act on a stack that exists, other than by a template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloudformation.describe_api import DescribeCalls
from sandbox.cloudformation.stacks import Stack


class Acts(Protocol):
    """What can be done to the stacks of an account and region. Each raises ValidationError."""

    def get_stack(self, name_or_stack_id: str) -> Stack:
        """The stack of that ID, or the one of that name that is not deleted."""

    def delete_stack(
        self,
        name_or_stack_id: str,
        retain: Iterable[str] = (),
        *,
        force: bool = False,
        role_arn: str | None = None,
    ) -> None:
        """Begin to delete a stack."""

    def roll_back(self, stack: Stack, role_arn: str | None = None) -> None:
        """Begin to roll a stack back whose failure was left."""

    def continue_rollback(
        self, stack: Stack, skipped: Iterable[str], role_arn: str | None = None
    ) -> None:
        """Begin to roll a stack back whose rollback failed."""

    def cancel_update(self, stack: Stack) -> None:
        """Begin to roll a stack back that is being updated."""

    def protect(self, stack: Stack, *, on: bool) -> None:
        """Set whether the stack, and those nested in it, can be deleted."""


class OperationCalls(DescribeCalls):
    """CloudFormation's API calls that delete stacks, roll them back, and protect them."""

    @property
    def _acts(self) -> Acts:
        return cast(Acts, self.cloudformation_backend)

    def _stack(self) -> Stack:
        return self._acts.get_stack(self._get_param("StackName"))

    def delete_stack(self) -> ActionResult:
        self._acts.delete_stack(
            self._get_param("StackName"),
            self._get_param("RetainResources", []),
            force=self._get_param("DeletionMode") == "FORCE_DELETE_STACK",
            role_arn=self._get_param("RoleARN"),
        )
        return EmptyResult()

    def cancel_update_stack(self) -> ActionResult:
        self._acts.cancel_update(self._stack())
        return EmptyResult()

    def rollback_stack(self) -> ActionResult:
        stack = self._stack()
        self._acts.roll_back(stack, self._get_param("RoleARN"))
        return begun(stack)

    def continue_update_rollback(self) -> ActionResult:
        skipped = self._get_param("ResourcesToSkip", [])
        self._acts.continue_rollback(self._stack(), skipped, self._get_param("RoleARN"))
        return EmptyResult()

    def update_termination_protection(self) -> ActionResult:
        stack = self._stack()
        self._acts.protect(stack, on=bool(self._get_bool_param("EnableTerminationProtection")))
        return ActionResult({"StackId": stack.stack_id})


def begun(stack: Stack) -> ActionResult:
    """The answer to a call that began an operation."""
    operation_id = stack.operation.operation_id
    return ActionResult({"StackId": stack.stack_id, "OperationId": operation_id})
