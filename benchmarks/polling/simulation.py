"""Time in a simulation, and the function's environments, which its queues have in common."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from benchmarks.polling import assumptions


class Simulation:
    """What happens when. Moments are seconds from its beginning."""

    def __init__(self) -> None:
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        self._warm = 0

    def at(self, moment: float, happen: Callable[[float], None]) -> None:
        """Have something happen at a moment; it is called with the moment."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), happen))

    def run(self) -> None:
        """Let time pass until nothing happens any more."""
        while self._agenda:
            now, _, happen = heapq.heappop(self._agenda)
            happen(now)

    def enter(self, now: float) -> float:
        """Take an environment of the function's, or have one started; when it is ready."""
        if self._warm:
            self._warm -= 1
            return now
        return now + assumptions.COLD_START

    def leave(self) -> None:
        """An invocation has ended: its environment is warm."""
        self._warm += 1
