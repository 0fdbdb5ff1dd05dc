"""What groups of processes take: processor time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import psutil

_INTERVAL = 0.5
"""Seconds between measurements; what a process uses after the last one is missed."""

Group = Callable[[], Collection[psutil.Process]]
"""The processes that belong to a group now."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group took while it was watched.

    Attributes:
        processor: seconds of processor time, user's and system's.
        memory: bytes of resident memory, of all processes at once, at the most; pages that they
            share count for each.
        largest: bytes of resident memory of one process, at the most.
        at_once: processes that there were at once, at the most.
        processes: all processes that there were.
    """

    processor: float
    memory: int
    largest: int
    at_once: int
    processes: int


@dataclass(slots=True)
class _Seen:
    """What was seen of a group."""

    before: dict[tuple[int, float], float] = field(default_factory=dict)
    """Processor seconds of those that were there at the beginning, by PID and creation time."""
    now: dict[tuple[int, float], float] = field(default_factory=dict)
    memory: int = 0
    largest: int = 0
    at_once: int = 0

    def measure(self, processes: Collection[psutil.Process]) -> None:
        sizes = []
        for process in processes:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    sizes.append(process.memory_info().rss)
                    self.now[process.pid, process.create_time()] = times.user + times.system
            except psutil.NoSuchProcess:  # it has just ended
                continue
        self.memory = max(self.memory, sum(sizes))
        self.largest = max(self.largest, *sizes, 0)
        self.at_once = max(self.at_once, len(sizes))

    def usage(self) -> Usage:
        spent = [seconds - self.before.get(process, 0.0) for process, seconds in self.now.items()]
        return Usage(sum(spent), self.memory, self.largest, self.at_once, len(spent))


class Watch:
    """Watches groups of processes, from entering the context to leaving it.

    Args:
        groups: those to watch, by their names.

    Attributes:
        seconds: how long it watched.
        usage: what each group took, once the context is left.
    """

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._seen = {name: _Seen() for name in groups}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._began = 0.0
        self.seconds = 0.0
        self.usage: Mapping[str, Usage] = {}

    def __enter__(self) -> Watch:
        self._measure()
        for seen in self._seen.values():
            seen.before = dict(seen.now)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self._ended.set()
        self._thread.join()
        self._measure()
        self.usage = {name: seen.usage() for name, seen in self._seen.items()}

    def _run(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self._measure()

    def _measure(self) -> None:
        for name, group in self._groups.items():
            self._seen[name].measure(group())
