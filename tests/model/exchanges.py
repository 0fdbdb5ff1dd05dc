"""What a stack waits for: the answer to a request, a signal, or a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from instance_bundle.request import Request
from instance_bundle.state import Answer, Done

TIMEOUT = 600
"""ServiceTimeout, in seconds."""


class Awaited(Protocol):
    """What a script waits for."""

    @property
    def arrived_at(self) -> float | None:
        """When it arrived, epoch seconds; None if it has not."""

    @property
    def ends_at(self) -> float:
        """Its timeout, epoch seconds."""


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and its answers.

    Attributes:
        kind: Create, Update, Delete, or Rollback: the Update of a rollback.
        sent_at: epoch seconds.
        default_id: the resource's ID if no answer arrives.
        is_interruptible: CloudFormation may stop waiting, since a sibling fails or the stack is
            deleted.
        answers: all answers that arrived, and when.
        result: the answer that CloudFormation uses, the first one; None until it arrives.
        is_open: CloudFormation waits for an answer.
        interrupted_at: when CloudFormation stops waiting, epoch seconds; None if at the timeout.
    """

    request: Request
    kind: str
    sent_at: float
    default_id: str
    is_interruptible: bool
    answers: list[tuple[float, Answer]] = field(default_factory=list)
    result: Answer | None = None
    arrived_at: float | None = None
    is_open: bool = True
    interrupted_at: float | None = None

    @property
    def request_id(self) -> str:
        return self.request.key.request_id

    @property
    def ends_at(self) -> float:
        return self.sent_at + TIMEOUT

    @property
    def succeeded(self) -> bool:
        return isinstance(self.result, Done)

    @property
    def physical_id(self) -> str:
        """The resource's ID after the request."""
        return self.result.physical_id if self.result is not None else self.default_id

    def answer(self, answer: Answer, now: float) -> None:
        """Receive an answer."""
        self.answers.append((now, answer))
        if self.is_open and self.result is None:
            self.result, self.arrived_at = answer, now


@dataclass(slots=True)
class Signal:
    """What a wait condition waits for. statuses: those of all signals, oldest first."""

    ends_at: float
    statuses: list[str] = field(default_factory=list)
    arrived_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, until a time."""

    ends_at: float
    arrived_at: float | None = None
