"""What people would use instead, as its own documentation shows it.

Bundles have nothing to do with one another in these designs: each is looked at by itself, so that
the times of the looks follow from the bundle alone. tests/benchmarks/test_peers.py holds them
against crhelper and botocore's waiter themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.polling import assumptions
from benchmarks.polling.bundles import Bundle
from benchmarks.polling.outcome import Outcome

WAITER_DELAY = 15
"""Seconds between the looks of botocore's `bundle_task_complete` waiter."""
WAITER_ATTEMPTS = 60
"""Looks that fit into a function's longest time, 15 minutes. The waiter makes 40 if not told else
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
LONGEST = 3600
"""Seconds that CloudFormation waits for an answer, and that the provider framework goes on for at
the most (AWS::CloudFormation::CustomResource reference, ServiceTimeout; the CDK's Provider,
totalTimeout)."""
_MEMORY = 128
"""MB: Lambda's least, and the default."""
_LOOK = assumptions.INVOCATION + assumptions.CALL
"""Seconds of an invocation that looks."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Of one bundle.

    Attributes:
        at: when EC2 is asked, in seconds of the simulation.
        billed: seconds of functions that are paid for.
        invocations: of functions.
        transitions: of Step Functions.
    """

    at: tuple[float, ...]
    billed: float
    invocations: int
    transitions: int = 0


Peer = Callable[[Bundle], Looks]


def crhelper(minutes: int) -> Peer:
    """A function that uses crhelper's `poll_create`: a rule of EventBridge's invokes it.

    crhelper makes the rule with the Create; its first turn comes after one period
    (https://github.com/aws-cloudformation/custom-resource-helper, Polling).

    Args:
        minutes: of the rule's period; crhelper's default is 2.
    """

    def looks(bundle: Bundle) -> Looks:
        at = tuple(_until_seen(bundle, bundle.start + 60 * minutes, 60 * minutes))
        return Looks(at, billed=_LOOK * len(at), invocations=len(at))

    return looks


def provider_framework(seconds: float) -> Peer:
    """The CDK's provider framework: a state machine retries `isComplete` until it is true.

    Each look invokes the framework's function, which invokes the user's and waits for it; each
    retry is a state transition
    (https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources-readme.html, and
    waiter-state-machine.ts of the CDK's: IntervalSeconds is `queryInterval`, with no back-off).

    Args:
        seconds: `queryInterval`; its default is 5.
    """

    def looks(bundle: Bundle) -> Looks:
        at = tuple(_until_seen(bundle, bundle.start + _LOOK, seconds + 2 * _LOOK))
        return Looks(at, billed=3 * _LOOK * len(at), invocations=2 * len(at), transitions=len(at))

    return looks


def waiting(bundle: Bundle) -> Looks:
    """A function that waits inside on botocore's waiter, for as long as a function may run."""
    at = []
    for look in _until_seen(bundle, bundle.start, WAITER_DELAY):
        at.append(look)
        if len(at) == WAITER_ATTEMPTS:
            break
    billed = at[-1] - bundle.start + _LOOK
    return Looks(tuple(at), billed, invocations=1)


def simulate(bundles: Sequence[Bundle], peer: Peer) -> Outcome:
    """Watch bundles until each is answered, or given up."""
    outcome = Outcome()
    for bundle in bundles:
        looks = peer(bundle)
        outcome.looks += looks.at
        outcome.usage.invocations += looks.invocations
        outcome.usage.gb_seconds += looks.billed * _MEMORY / 1024
        outcome.usage.transitions += looks.transitions
        if looks.at[-1] >= bundle.end:
            outcome.answers.append(looks.at[-1] + _LOOK - bundle.end)
        else:
            outcome.unanswered += 1
    return outcome


def _until_seen(bundle: Bundle, first: float, seconds: float) -> Iterator[float]:
    """Times of looks, up to the one that sees the bundle's end, or the last in time."""
    look = first
    while look <= bundle.start + LONGEST:
        yield look
        if look >= bundle.end:
            return
        look += seconds
