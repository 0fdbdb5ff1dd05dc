"""The API calls that functions have made, and those that Lambda makes by their roles."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.models import LambdaFunction

Judge = Callable[[LambdaFunction, str, Mapping[str, Any]], bool]
"""Whether a function's role allows a call, by its name and parameters."""


def _anything(*_: object) -> bool:
    return True


class CallsMade:
    """How often each function has made each call. Safe to use from several threads.

    Args:
        judge: authorizes Lambda's calls; all are allowed if absent.
    """

    def __init__(self, judge: Judge = _anything) -> None:
        self._judge = judge
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, function_name: str, call: str) -> None:
        """Count a call, by its name as `service:Action`."""
        with self._lock:
            self._counts[function_name, call] += 1

    def by_role(self, function: LambdaFunction, call: str, **parameters: str) -> bool:
        """Count a call that Lambda makes by a function's role; whether the role allows it.

        Args:
            call: as `service:Action`.
            parameters: of the call's request, as far as they say what it is about.
        """
        self.add(function.function_name, call)
        return self._judge(function, call, parameters)

    def described(self) -> list[dict[str, Any]]:
        """Each function, call and count as JSON can hold it, sorted by function, then call."""
        with self._lock:
            counts = sorted(self._counts.items())
        return [
            {"function": function, "call": call, "count": count}
            for (function, call), count in counts
        ]
