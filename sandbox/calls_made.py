"""The API calls that functions have made, and those that Lambda makes by their roles."""

import threading
from collections import Counter
from typing import Any


class CallsMade:
    """How often each function has made each call. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, function_name: str, call: str) -> None:
        """Count a call, by its name as `service:Action`."""
        with self._lock:
            self._counts[function_name, call] += 1

    def described(self) -> list[dict[str, Any]]:
        """Each function, call and count as JSON can hold it, sorted by function, then call."""
        with self._lock:
            counts = sorted(self._counts.items())
        return [
            {"function": function, "call": call, "count": count}
            for (function, call), count in counts
        ]
