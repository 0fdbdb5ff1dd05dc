"""Stacks that are resources of other stacks.

"Use nested stacks" in the CloudFormation User Guide
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html).
"CloudFormation doesn't start cleaning up nested stack resources until all nested stacks have been
updated or have rolled back"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html): until its
parent cleans up, a nested stack is UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, and if the parent fails, it
is rolled back, to UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS. Here one is updated only where its
properties change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from moto.cloudformation.exceptions import CloudFormationError

from sandbox.cloudformation.intrinsics import text
from sandbox.cloudformation.providers import (
    Failed,
    Finished,
    Made,
    Order,
    Outcome,
    Work,
    no_attribute,
)
from sandbox.cloudformation.stacks import Stack

_UPDATED = ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
_ROLLED_BACK = ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")


class Stacks(Protocol):
    """The stacks of an account and region."""

    def get_stack(self, name_or_stack_id: str) -> Stack:
        """The stack of that ID. Raises ValidationError."""

    def nest(self, order: Order, url: str, given: Mapping[str, str]) -> Stack:
        """Begin to create a stack as a resource. Raises CloudFormationError."""

    def change_nested(self, stack: Stack, order: Order, url: str, given: Mapping[str, str]) -> bool:
        """Begin to update a stack that is a resource; whether there is something to update.

        Raises CloudFormationError.
        """

    def continue_nested(self, stack: Stack, role_arn: str | None) -> bool:
        """Begin to roll a nested stack back whose rollback failed, if that of its root is
        continued; whether it is."""

    def delete_stack(
        self, name_or_stack_id: str, *, role_arn: str | None = None, by_parent: bool = False
    ) -> None:
        """Begin to delete a stack. Raises ValidationError."""


@dataclass(frozen=True, slots=True)
class _Outputs:
    order: Order
    values: Mapping[str, str]
    hidden: bool = False

    def attribute(self, name: str) -> str:
        kind, _, key = name.partition(".")
        if kind != "Outputs" or key not in self.values:
            raise no_attribute(self.order, name)
        return self.values[key]


@dataclass(frozen=True, slots=True)
class _Nested:
    """What is done with a nested stack. good: the statuses that end it well."""

    stack: Stack
    order: Order
    what: str
    good: tuple[str, ...]

    def outcome(self) -> Outcome | None:
        stack = self.stack
        with stack.changed:
            status, reason = stack.status, _reason(stack)
            outputs = {output.key: output.value for output in stack.outputs}
        if status in self.good:
            return Made(stack.stack_id, self.order, _Outputs(self.order, outputs))
        has_rolled_back = status in _ROLLED_BACK
        if status.endswith("_IN_PROGRESS") and not has_rolled_back:
            return None
        problem = f"Embedded stack {stack.stack_id} was not successfully {self.what}: {reason}"
        return Failed(problem, stack.stack_id, untouched=has_rolled_back)

    def abandon(self) -> str:
        return self.stack.stack_id


class NestedStacks:
    """Provider of ``AWS::CloudFormation::Stack``."""

    def __init__(self, stacks: Callable[[str, str], Stacks]) -> None:
        """stacks: those of an account and region."""
        self._stacks = stacks

    def create(self, order: Order) -> Work:
        try:
            stack = self._of(order).nest(order, *_source(order))
        except CloudFormationError as problem:
            return Finished(Failed(problem.message))
        return _Nested(stack, order, "created", ("CREATE_COMPLETE",))

    def update(self, order: Order, made: Made) -> Work:
        try:
            stack = self._of(order).get_stack(made.physical_id)
            if stack.decide("undone") or self._of(order).continue_nested(stack, order.role_arn):
                return _Nested(stack, order, "rolled back", _ROLLED_BACK)
            if not self._of(order).change_nested(stack, order, *_source(order)):
                return Finished(Made(made.physical_id, order, made.attributes))
        except CloudFormationError as problem:
            return Finished(Failed(problem.message, untouched=True))
        return _Nested(stack, order, "updated", _UPDATED)

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Work:  # noqa: ARG002
        try:
            stack = self._of(order).get_stack(physical_id)
            self._of(order).delete_stack(physical_id, role_arn=order.role_arn, by_parent=True)
        except CloudFormationError as problem:
            return Finished(Failed(problem.message))
        return _Nested(stack, order, "deleted", ("DELETE_COMPLETE",))

    def keep(self, stack: Stack, physical_id: str) -> Stack:
        """What the parent's operation made of a nested stack is final. Returns it."""
        nested = self._stacks(stack.account_id, stack.region_name).get_stack(physical_id)
        nested.decide("kept")
        return nested

    def _of(self, order: Order) -> Stacks:
        return self._stacks(order.account, order.region)


def _reason(stack: Stack) -> str:
    """Why the stack failed."""
    reasons = [
        event.resource_status_reason
        for event in stack.events
        if event.logical_resource_id == stack.name and event.resource_status_reason
    ]
    return reasons[-1].partition("Rollback requested by user.")[0] if reasons else ""


def _source(order: Order) -> tuple[str, dict[str, str]]:
    """The template's URL, and the parameters that are given."""
    given: Mapping[str, object] = order.properties.get("Parameters") or {}
    values = {
        name: ",".join(map(text, value)) if isinstance(value, list) else text(value)
        for name, value in given.items()
    }
    return text(order.properties.get("TemplateURL", "")), values
