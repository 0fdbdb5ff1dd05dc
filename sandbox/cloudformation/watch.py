"""Threads that wait until they have something to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Event, Thread

_INTERVAL = 0.2  # seconds between reads of the clock, which may be a simulated one and jump
_REST = 20  # times as long as a poll took is waited until the next


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A thread that waits until it has something to do."""

    has_news: Callable[[], bool]
    woken: Event = field(default_factory=Event)


class Watch:
    """One thread polls for all that wait, so that an answer to one of many wakes that one.

    changed: notified when there may be something to do.
    """

    def __init__(self, changed: Condition) -> None:
        self._changed = changed
        self._waiting: set[_Waiting] = set()
        self.closed = False
        """Whether nobody waits any more."""
        Thread(target=self._poll, name="operations", daemon=True).start()

    def wait(self, has_news: Callable[[], bool]) -> None:
        """Return once there is something to do, or the watch is closed."""
        waiting = _Waiting(has_news)
        with self._changed:
            if self.closed or has_news():
                return
            self._waiting.add(waiting)
        waiting.woken.wait()

    def close(self) -> None:
        """End all waits."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _poll(self) -> None:
        while not self.closed:
            with self._changed:
                self._changed.wait(_INTERVAL)
                began = time.monotonic()
                self._wake()
            # If thousands wait, a poll takes long, but must not slow down everything else.
            time.sleep(_REST * (time.monotonic() - began))
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        woken = {waiting for waiting in self._waiting if self.closed or waiting.has_news()}
        self._waiting -= woken
        for waiting in woken:
            waiting.woken.set()
