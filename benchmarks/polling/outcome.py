"""The results of a simulated design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """What is paid for.

    Attributes:
        invocations: of Lambda functions.
        gb_seconds: of memory times duration, billed.
        sqs_requests: of whatever kind.
        read_units: of DynamoDB.
        write_units: of DynamoDB.
        transitions: of Step Functions.
    """

    invocations: int = 0
    gb_seconds: float = 0
    sqs_requests: int = 0
    read_units: int = 0
    write_units: int = 0
    transitions: int = 0


@dataclass(slots=True)
class Outcome:
    """Of all bundles of a run.

    Attributes:
        answers: seconds from a bundle's end to its answer, of each that was answered.
        unanswered: bundles that the design gave up, or lost.
        calls: when EC2 was called, in seconds of the simulation.
        usage: what is paid for.
    """

    answers: list[float] = field(default_factory=list)
    unanswered: int = 0
    calls: list[float] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
