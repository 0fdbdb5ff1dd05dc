"""For how long a stack may be created: TimeoutInMinutes of CreateStack
(https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html)."""

from __future__ import annotations

from sandbox.cloudformation.stacks import Stack

_TOO_LATE = "Stack creation time exceeded the specified timeout. "
"""https://github.com/flynn/flynn/issues/3200."""


class Deadline:
    """When the creation of a stack, which begins now, is to be complete."""

    def __init__(self, stack: Stack) -> None:
        minutes = stack.settings.timeout_in_minutes
        self._stack = stack
        self._ends = None if minutes is None else stack.time() + 60 * minutes
        self.problem: str | None = None
        """Why the creation was ended, if it was."""

    def ends(self) -> bool:
        """Whether the creation, which is still under way, ends here."""
        if self._ends is not None and self._stack.time() >= self._ends:
            self.problem = _TOO_LATE
        return self.problem is not None
