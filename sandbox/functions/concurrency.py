"""How many executions functions may have at once, before Lambda throttles them.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from sandbox.functions import metrics

ACCOUNT_LIMIT = 1_000
"""Executions of all functions of an account in a Region, where the quota was not changed
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


class TooManyRequestsException(LambdaClientError):
    """The function has no free environment, and may not have another."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class Concurrency:
    """The executions of all functions. Safe to use from several threads.

    Args:
        account_limit: how many there may be at once in an account and Region, those that functions
            have reserved included.
    """

    def __init__(self, account_limit: int) -> None:
        self._account_limit = account_limit
        self._lock = threading.Lock()
        self._running: Counter[tuple[str, str, str]] = Counter()

    @contextmanager
    def execution(self, function: LambdaFunction) -> Iterator[None]:
        """One execution of the function.

        Raises TooManyRequestsException, and counts it, if there may be no more of them.
        """
        key = (function.account_id, function.region, function.function_name)
        with self._lock:
            admitted = self._is_free(function)
            self._running[key] += admitted
        if not admitted:
            metrics.count(function, "Throttles")
            raise TooManyRequestsException
        try:
            yield
        finally:
            with self._lock:
                self._running[key] -= 1

    def _is_free(self, function: LambdaFunction) -> bool:
        account, region = function.account_id, function.region
        if (reserved := reserved_by(function)) is not None:
            return self._running[account, region, function.function_name] < reserved
        kept = get_backend(account, region)._lambdas._functions  # functions may come meanwhile
        unreserved, running = self._account_limit, 0
        for each in [group["latest"] for group in list(kept.values()) if group["latest"]]:
            if (reserved := reserved_by(each)) is None:
                running += self._running[account, region, each.function_name]
            else:
                unreserved -= reserved
        return running < unreserved


def reserved_by(function: LambdaFunction) -> int | None:
    """A function's reserved concurrency; None if it takes what others leave."""
    reserved = function.reserved_concurrency
    return None if reserved is None else int(reserved)
