"""What happens to resources whose update failed in an operation that rolls nothing else back.

"CloudFormation preserves the state of successful resources while rolling back failed resources to
the last known stable state. Failed resources will be in an UPDATE_FAILED state"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html).
Assumed, since no page says it: the resource is UPDATE_FAILED while that is done, and there is no
event for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sandbox.cloudformation.providers import Failed, Outcome, Provider, Work
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.views import Resource
from sandbox.cloudformation.walks import Start


class Restoration:
    """Updates single resources back to what they were."""

    interruptible = True

    def __init__(
        self, stack: Stack, before: Mapping[str, Resource], provider: Callable[[str], Provider]
    ) -> None:
        """before: what the resources are to be again, by their logical IDs."""
        self._stack = stack
        self._before = before
        self._provider = provider

    def first(self, ready: Sequence[str]) -> list[str]:
        """Which of the resources that could begin now are to begin."""
        return list(ready)

    def begin(self, logical_id: str) -> Start | None:
        """Returns what starts the work; None where the update had changed nothing."""
        before, failed = self._before[logical_id].made, self._stack.resources[logical_id].made
        if before is None or failed is None or before.order is failed.order:
            return None
        return lambda: self._provider(before.order.type).update(before.order, failed)

    def finish(self, logical_id: str, outcome: Outcome) -> bool:
        """Record the outcome. Returns whether it is a good one."""
        failed, before = self._stack.resources[logical_id], self._before[logical_id].made
        if failed.made is None or before is None:
            raise LookupError(f"there was no {logical_id}")
        if isinstance(outcome, Failed):
            # The next update is to ask again for what failed.
            made = replace(failed.made, order=before.order)
            self._stack.keep(replace(failed, made=made, order=before.order))
            return False
        if outcome.physical_id != failed.physical_id:
            self._stack.former.append(failed)
        self._stack.keep(
            replace(failed, made=outcome, order=before.order, physical_id=outcome.physical_id)
        )
        return True

    def cancel(self, logical_id: str, work: Work | None) -> None:  # noqa: ARG002
        """Give up the work; None where it was not started."""
        if work:
            work.abandon()
