"""The outcomes of a request: done, failed, or pending."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from instance_bundle.methods import Task


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is SUCCESS.

    Attributes:
        physical_id: what `Ref` returns.
        attributes: what `Fn::GetAtt` returns.
    """

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer is FAILED.

    Attributes:
        physical_id: the resource's ID, by which a later Delete finds what is left of the work.
        reason: what was wrong, where, and what to do, for a person.
    """

    physical_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """No answer yet.

    Attributes:
        seconds: seconds until the next poll.
        task: as it was described, if it was.
        acceptance: the answer for now, if a handle waits for the end of the work.
    """

    seconds: int
    task: Task | None = None
    acceptance: Done | None = None


Answer = Done | Failed
Outcome = Done | Failed | Pending
