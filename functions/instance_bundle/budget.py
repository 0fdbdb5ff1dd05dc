"""How long things may take: one attempt at a call, one invocation, one request.

Each fits into the next longer one:

    an attempt at a call < what an invocation has left < the lease < the visibility timeout

so that a call that hangs never makes an invocation time out, and a process never takes a request
that another process still works on. All durations are in seconds.

    with budget.invocation(context.get_remaining_time_in_millis):
        ...  # each call made in here first checks that there is time for it
"""

import math
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from instance_bundle.errors import NothingDone, PassingFault

CONNECT = 2
"""Until a connection is open."""
READ = 6
"""Until the answer to a call arrives. Without an AWS outage, no call takes as long."""
ATTEMPT = CONNECT + READ + 1
"""What one attempt at a call needs, with a second for the process itself."""
RETRY_WITHIN = 3
"""A call is retried only within this time of its first attempt: a call that fails at once is
retried, a call that hangs is left to the next poll."""
SAVE = ATTEMPT
"""What an invocation needs left for a call that saves progress, or publishes the end of work."""
WORK = 2 * ATTEMPT
"""What it needs left for any other call, so that there is still time to save progress after it."""

LEASE_MARGIN = 2
"""How much longer than its invocation a process holds a request's lease."""

EVENT_RETRIES = 240
"""Until an event that keeps failing has been sent three times and has reached the failure handler:
Lambda waits for one minute, then for two (AWS Lambda Developer Guide, Configuring error handling
settings for asynchronous invocations)."""

NEXT_POLL = 5
"""Until the first poll, and at least until any other; polls that share a call may be early."""
AFTER_FAULT = 10
"""Until the poll after a passing fault."""

SHORTEST_TIMEOUT = 10
"""The shortest ServiceTimeout in which work can be started, polled once and answered."""

# How long before CloudFormation's own limit a request times out.
_LONGEST_MARGIN = 30
_SHORTEST_MARGIN = 5

# Between CloudFormation's date of a request and its receipt: Lambda keeps an event for six hours at
# the longest (AWS Lambda Developer Guide, Configuring error handling settings for asynchronous
# invocations), and clocks differ.
_OLDEST = 6 * 3600
_CLOCK_SKEW = 5 * 60

_PAUSES = (0.5, 1)
"""Before the second and the third attempt at a call that no SDK makes."""

_AT_FIRST = "seconds left at the first attempt"


@dataclass
class _Invocation:
    """The invocation that is under way; without one, time is unlimited."""

    left: Callable[[], float] = lambda: math.inf


_this = _Invocation()


@contextmanager
def invocation(remaining_millis: Callable[[], int]) -> Iterator[None]:
    """Make an invocation's time the budget of all calls that are made inside.

    Args:
        remaining_millis: as Lambda's context has it, `get_remaining_time_in_millis`.
    """
    before = _this.left
    _this.left = lambda: remaining_millis() / 1000
    try:
        yield
    finally:
        _this.left = before


def left() -> float:
    """Seconds that the invocation has left; infinite outside of one."""
    return _this.left()


def require_attempt(call: MutableMapping[str, Any], seconds: float, what: str) -> None:
    """Check that the invocation has time for an attempt at a call, and that a retry is allowed.

    Args:
        call: the call's context, the same in each of its attempts.
        seconds: `SAVE` or `WORK`.
        what: the call, for a person.

    Raises:
        NothingDone: there is no time for the first attempt; the next poll has some.
        PassingFault: there is no time for a retry; the call may have had its effect.
    """
    if _AT_FIRST not in call:
        require(seconds, what)
        call[_AT_FIRST] = left()
    elif not _allows_another(call[_AT_FIRST], seconds):
        raise PassingFault(f"{what}: no answer in time")


def attempts(what: str) -> Iterator[None]:
    """The attempts at a call that saves progress and that no SDK makes: three where each fails at
    once, one where it hangs.

    Args:
        what: the call, for a person.

    Raises:
        NothingDone: there is no time for the first one.
    """
    require(SAVE, what)
    at_first = left()
    yield
    for pause in _PAUSES:
        time.sleep(pause)
        if not _allows_another(at_first, SAVE):
            return
        yield


def _allows_another(at_first: float, seconds: float) -> bool:
    """Whether a call whose first attempt had so much time left may be retried."""
    return left() >= max(seconds, at_first - RETRY_WITHIN)


def require(seconds: float, what: str) -> None:
    """Check that the invocation has time for a call.

    Args:
        seconds: `SAVE` or `WORK`.
        what: the call, for a person.

    Raises:
        NothingDone: it does not; the next poll has.
    """
    if left() < seconds:
        raise NothingDone(f"{what}: too little time is left in this invocation")


def lease() -> float:
    """Seconds of the lease that this process takes on a request."""
    return left() + LEASE_MARGIN


def believed(date: float | None, received: float) -> float | None:
    """The date of a request, in epoch seconds, if it is plausible: anybody can write one.

    Args:
        date: the date that its ResponseURL is signed with; None where it has none.
        received: when the request was received first.
    """
    if date is None or not received - _OLDEST <= date <= received + _CLOCK_SKEW:
        return None
    return date


def deadline(sent: float, timeout: int) -> float:
    """When a request times out, in epoch seconds: early enough that a poll and an answer fit in
    before CloudFormation's own timeout.

    Args:
        sent: when CloudFormation sent it, epoch seconds.
        timeout: how long CloudFormation waits, counted from `sent`.
    """
    margin = min(_LONGEST_MARGIN, max(_SHORTEST_MARGIN, timeout / 5), timeout / 2)
    return sent + timeout - margin
