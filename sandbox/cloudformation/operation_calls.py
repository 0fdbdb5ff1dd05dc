"""CloudFormation's API calls that act on a stack that exists, other than by a template."""

from __future__ import annotations

from typing import cast

from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloudformation.describe_api import DescribeCalls
from sandbox.cloudformation.models import StackBackend
from sandbox.cloudformation.stacks import Stack


class OperationCalls(DescribeCalls):
    """CloudFormation's API calls that delete stacks, roll them back, and protect them."""

    @property
    def _stacks(self) -> StackBackend:
        return cast(StackBackend, self.cloudformation_backend)

    def _stack(self) -> Stack:
        return self._stacks.get_stack(self._get_param("StackName"))

    def delete_stack(self) -> ActionResult:
        self._stacks.delete_stack(
            self._get_param("StackName"),
            self._get_param("RetainResources", []),
            force=self._get_param("DeletionMode") == "FORCE_DELETE_STACK",
            role_arn=self._get_param("RoleARN"),
        )
        return EmptyResult()

    def cancel_update_stack(self) -> ActionResult:
        self._stacks.cancel_update(self._stack())
        return EmptyResult()

    def rollback_stack(self) -> ActionResult:
        stack = self._stack()
        self._stacks.roll_back(stack, self._get_param("RoleARN"))
        return begun(stack)

    def continue_update_rollback(self) -> ActionResult:
        skipped = self._get_param("ResourcesToSkip", [])
        self._stacks.continue_rollback(self._stack(), skipped, self._get_param("RoleARN"))
        return EmptyResult()

    def update_termination_protection(self) -> ActionResult:
        stack = self._stack()
        self._stacks.protect(stack, on=bool(self._get_bool_param("EnableTerminationProtection")))
        return ActionResult({"StackId": stack.stack_id})


def begun(stack: Stack) -> ActionResult:
    """The answer to a call that began an operation."""
    operation_id = stack.operation.operation_id
    return ActionResult({"StackId": stack.stack_id, "OperationId": operation_id})
