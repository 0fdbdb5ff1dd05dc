"""Reads of stacks by functions: they are stale, and throttled.

AWS documents neither. What was seen: DescribeStacks still showed the status before an operation
that had begun (https://github.com/aws/aws-cdk-cli/pull/1848), or did not know a new stack
(https://github.com/aws/aws-cdk/issues/7340); and it is capped "to 5 calls per second", which can't
be raised (https://github.com/aws/aws-sam-cli/issues/2671). For how long the first lasts is assumed,
and so is that all reads count together.

Other clients see the present, and as often as they like: tests and AWS CLI's waiters take a stack
that is at rest for one that has ended what they asked for just now, which a stale answer would make
wrong; and they ask far more often than operators do on AWS.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from sandbox.calls.api_calls import ServiceError, call_name

READ_DELAY = 3.0
"""Seconds."""

RATE = 5
"""Reads in a second, of all functions of an account in a Region."""

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_of_function: ContextVar[bool] = ContextVar("_of_function", default=False)


class Throttled(Exception):
    """The account makes too many reads."""


THROTTLING = ServiceError(400, "Throttling", "Rate exceeded")
"""What they are answered (its words: https://github.com/aws/aws-cli/pull/3186)."""


@contextmanager
def by_function() -> Iterator[None]:
    """A function makes the calls of this thread."""
    token = _of_function.set(True)
    try:
        yield
    finally:
        _of_function.reset(token)


class OfFunctions:
    """A WSGI application that knows which calls of CloudFormation a function makes.

    Args:
        app: what carries the calls out.
        caller: the function that calls, by the request's user agent and TCP port, if one does.
    """

    def __init__(self, app: Wsgi, caller: Callable[[str, int], object | None]) -> None:
        self._app = app
        self._caller = caller

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = call_name(environ) or ""
        if name.startswith("cloudformation:") and self._caller(
            environ.get("HTTP_USER_AGENT", ""), environ["REMOTE_PORT"]
        ):
            with by_function():
                return self._app(environ, start_response)
        return self._app(environ, start_response)


class Reads:
    """Which moment a read shows, and whether it is admitted."""

    def __init__(self, clock: Callable[[], float], delay: float) -> None:
        """clock: epoch seconds."""
        self._clock = clock
        self.delay = delay
        self._lock = Lock()
        self._made: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def moment(self, account: str, region: str) -> float | None:
        """The moment that the caller is shown, in epoch seconds; None for the present.

        Raises Throttled.
        """
        if not _of_function.get():
            return None
        now = self._clock()
        with self._lock:
            made = self._made[account, region]
            while made and made[0] <= now - 1:
                made.popleft()
            if len(made) >= RATE:
                raise Throttled
            made.append(now)
        return now - self.delay
