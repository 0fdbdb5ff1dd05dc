"""Which resources a continued rollback is to skip, in a stack and in those nested in it.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html: a
resource of a nested stack is named as the nested stack's name, a dot and its logical ID. "You can
specify only resources that are in the UPDATE_FAILED state because a rollback failed."
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.stacks import STACK_TYPE, Stack

_ENDED = ("DELETE_IN_PROGRESS", "DELETE_COMPLETE", "DELETE_FAILED")
"""Statuses of nested stacks that are skipped as a whole."""


def check(stack: Stack) -> None:
    """Raises ValidationError for a stack whose rollback can't be continued.

    The words about nested stacks: https://github.com/eucalyptus/eucalyptus.
    """
    if stack.parent_id:
        raise invalid("RollbackUpdatedStack cannot be invoked on child stacks")
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(
            f"Stack:{stack.stack_id} is in {stack.status} state and can not continue rollback."
        )


def skipped(
    stack: Stack, nested: Collection[Stack], named: Iterable[str]
) -> dict[str, frozenset[str]]:
    """The logical IDs to skip in each stack, by the stacks' IDs.

    nested: the stacks in `stack`, on all levels. The words of refusals are not known. Raises
    ValidationError.
    """
    found: dict[str, set[str]] = {}
    for name in named:
        of_stack, dot, logical_id = name.rpartition(".")
        within = [each for each in nested if each.name == of_stack] if dot else [stack]
        if not within:
            raise invalid(f"Stack [{of_stack}] does not exist")
        found.setdefault(within[0].stack_id, set()).add(logical_id)
    for each in (stack, *nested):
        _check(each, nested, found.get(each.stack_id, set()))
    return {stack_id: frozenset(names) for stack_id, names in found.items()}


def _check(stack: Stack, nested: Collection[Stack], names: set[str]) -> None:
    wrong = sorted(names - stack.unrestored)
    if wrong:
        raise invalid(
            f"[{', '.join(wrong)}] can not be skipped: only resources that are in the "
            "UPDATE_FAILED state because a rollback failed can be"
        )
    embedded = {
        name: stack.resources[name].physical_id
        for name in names
        if stack.resources[name].declaration.type == STACK_TYPE
    }
    for name, stack_id in embedded.items():
        if any(each.stack_id == stack_id and each.status not in _ENDED for each in nested):
            raise invalid(f"Nested stacks could not be skipped: [{name}]")
