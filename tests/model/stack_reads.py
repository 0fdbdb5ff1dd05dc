"""What CloudFormation's API says about a stack and its bundle, now and earlier."""

from __future__ import annotations

from instance_bundle.aws import stacks
from instance_bundle.lifecycle.meaning import Answers


class StackReads:
    """The statuses of one stack and its bundle."""

    def __init__(self) -> None:
        self._entered = [(0.0, Answers(stacks.Stack(""), stacks.Resource("")))]

    def enter(
        self, now: float, status: str, resource: str, physical_id: str, operation: str = ""
    ) -> None:
        """Record new statuses.

        Args:
            now: epoch seconds.
            status: the stack's.
            resource: the bundle's; empty if the stack has none.
            physical_id: the bundle's.
            operation: the operation that begins now; empty if none does.
        """
        before = self._entered[-1][1].stack
        stack = stacks.Stack(status, operation or before.operation, rollback_disabled=False)
        answers = Answers(stack, stacks.Resource(resource, physical_id if resource else ""))
        self._entered.append((now, answers))

    def at(self, moment: float) -> Answers:
        """The statuses at a moment."""
        return next(answers for entered, answers in reversed(self._entered) if entered <= moment)

    def previous(self) -> Answers:
        """The statuses before the current ones, for a read that is out of date."""
        return self._entered[-2][1] if len(self._entered) > 1 else self._entered[-1][1]

    def has_had(self, physical_id: str, until: Answers) -> bool:
        """Whether the bundle had an ID when it had these statuses, or before."""
        last = next(at for at, (_, answers) in enumerate(self._entered) if answers is until)
        return any(
            answers.resource.physical_id == physical_id for _, answers in self._entered[: last + 1]
        )
