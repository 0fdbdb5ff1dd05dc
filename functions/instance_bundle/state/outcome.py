"""What a step of the work can come to: done, failed, or pending."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from instance_bundle.methods import Task


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is SUCCESS.

    Attributes:
        physical_id: what `Ref` gives.
        attributes: what `Fn::GetAtt` gives.
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
        task: how far the work was seen to be, if it was seen.
        accepted: the answer for now, where a handle is to hear of the end.
    """

    seconds: int
    task: Task | None = None
    accepted: Done | None = None


Answer = Done | Failed
Outcome = Done | Failed | Pending
