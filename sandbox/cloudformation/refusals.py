"""Which operations CloudFormation refuses in a stack's present status."""

from __future__ import annotations

from collections.abc import Collection

from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.stacks import Stack

_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
_PAUSED = ("CREATE_FAILED", "UPDATE_FAILED")


def check_updatable(stack: Stack, *, preserves: bool) -> None:
    """preserves: whether the update is to roll nothing back. Only such a one goes on from a failure
    (its words: https://github.com/aws/aws-cli/issues/6368). Raises ValidationError."""
    if stack.status in _PAUSED:
        if preserves:
            return
        raise invalid(
            f"This stack is currently in a non-terminal [{stack.status}] state. To update the "
            "stack from this state, please use the disable-rollback parameter with update-stack "
            "API. To rollback to the last known good state, use the rollback-stack API"
        )
    if stack.status not in _UPDATABLE:
        raise invalid(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def check_change_set(stack: Stack) -> None:
    """A change set can be made of a stack that failed and was left. Raises ValidationError."""
    check_updatable(stack, preserves=True)


def check_rollback(stack: Stack) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html; the
    words are not known. Raises ValidationError."""
    if stack.status not in _PAUSED:
        raise invalid(
            f"Stack:{stack.stack_id} is in {stack.status} state and can not be rolled back."
        )


def check_cancelable(stack: Stack) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CancelUpdateStack.html;
    its words: https://github.com/aws/copilot-cli/pull/5046. Raises ValidationError."""
    if stack.status != "UPDATE_IN_PROGRESS":
        raise invalid("CancelUpdateStack cannot be called from current stack status")


def check_protectable(stack: Stack) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html;
    the words are not known. Raises ValidationError."""
    if stack.root_id:
        raise invalid(
            f"Termination protection of the nested stack [{stack.name}] is set on its root stack, "
            f"[{stack.root_id}]"
        )
    if stack.status in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"):
        raise invalid(
            f"Termination protection of stack [{stack.name}] can not be changed while in status "
            f"{stack.status}"
        )


def check_deletable(stack: Stack, retain: Collection[str], *, force: bool, by_parent: bool) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html; the
    words about `force` are not known. by_parent: whether it is an operation of the parent's, which
    deletes a protected stack, too. Raises ValidationError."""
    if stack.settings.protected and not by_parent:
        raise invalid(
            f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
        )
    if stack.status.startswith("UPDATE_") and stack.status.endswith("_IN_PROGRESS"):
        raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
    if retain and stack.status != "DELETE_FAILED":
        raise invalid(
            f"Invalid operation on stack [{stack.stack_id}]. When you delete a stack, specify "
            "which resources to retain only when the stack is in the DELETE_FAILED state."
        )
    if force and stack.status != "DELETE_FAILED":
        raise invalid(
            f"Invalid operation on stack [{stack.stack_id}]. A stack can be force deleted only "
            "when it is in the DELETE_FAILED state."
        )
