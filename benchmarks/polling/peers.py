"""The alternatives, as their own documentation shows them.

Bundles are independent of one another in these designs: each is polled separately, so that
the times of the polls follow from the bundle alone. tests/benchmarks/test_peers.py compares them
with crhelper and botocore's waiter themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.polling import assumptions
from benchmarks.polling.bundles import Bundle
from benchmarks.polling.outcome import Outcome

WAITER_DELAY = 15
"""Seconds between the polls of botocore's `bundle_task_complete` waiter."""
WAITER_ATTEMPTS = 60
"""Polls that fit into a function's longest time, 15 minutes. The waiter makes 40 by default
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
LONGEST = 3600
"""Seconds that CloudFormation waits for an answer, and that the provider framework goes on for at
the most (AWS::CloudFormation::CustomResource reference, ServiceTimeout; the CDK's Provider,
totalTimeout)."""
_MEMORY = 128
"""MB: Lambda's least, and the default."""
_POLL = assumptions.INVOCATION + assumptions.CALL
"""Seconds of an invocation that polls."""


@dataclass(frozen=True, slots=True)
class Polls:
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


Peer = Callable[[Bundle], Polls]


def crhelper(minutes: int) -> Peer:
    """A function that uses crhelper's `poll_create`: a rule of EventBridge's invokes it.

    crhelper makes the rule with the Create; its first turn comes after one period
    (https://github.com/aws-cloudformation/custom-resource-helper, Polling).

    Args:
        minutes: of the rule's period; crhelper's default is 2.
    """

    def polls(bundle: Bundle) -> Polls:
        at = tuple(_until_seen(bundle, bundle.start + 60 * minutes, 60 * minutes))
        return Polls(at, billed=_POLL * len(at), invocations=len(at))

    return polls


def provider_framework(seconds: float) -> Peer:
    """The CDK's provider framework: a state machine retries `isComplete` until it is true.

    Each poll invokes the framework's function, which invokes the user's and waits for it; each
    retry is a state transition
    (https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.custom_resources-readme.html, and
    waiter-state-machine.ts of the CDK's: IntervalSeconds is `queryInterval`, with no back-off).

    Args:
        seconds: `queryInterval`; its default is 5.
    """

    def polls(bundle: Bundle) -> Polls:
        at = tuple(_until_seen(bundle, bundle.start + _POLL, seconds + 2 * _POLL))
        return Polls(at, billed=3 * _POLL * len(at), invocations=2 * len(at), transitions=len(at))

    return polls


def waiting(bundle: Bundle) -> Polls:
    """A function that waits inside on botocore's waiter, for as long as a function may run."""
    at = []
    for moment in _until_seen(bundle, bundle.start, WAITER_DELAY):
        at.append(moment)
        if len(at) == WAITER_ATTEMPTS:
            break
    billed = at[-1] - bundle.start + _POLL
    return Polls(tuple(at), billed, invocations=1)


def simulate(bundles: Sequence[Bundle], peer: Peer) -> Outcome:
    """Watch bundles until each is answered, or times out."""
    outcome = Outcome()
    for bundle in bundles:
        polls = peer(bundle)
        outcome.calls += polls.at
        outcome.usage.invocations += polls.invocations
        outcome.usage.gb_seconds += polls.billed * _MEMORY / 1024
        outcome.usage.transitions += polls.transitions
        if polls.at[-1] >= bundle.end:
            outcome.answers.append(polls.at[-1] + _POLL - bundle.end)
        else:
            outcome.unanswered += 1
    return outcome


def _until_seen(bundle: Bundle, first: float, seconds: float) -> Iterator[float]:
    """Times of polls, up to the one that sees the bundle's end, or the last in time."""
    moment = first
    while moment <= bundle.start + LONGEST:
        yield moment
        if moment >= bundle.end:
            return
        moment += seconds
