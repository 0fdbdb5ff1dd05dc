"""Execution environments that report what they used: time, processor time and memory."""

from __future__ import annotations

import queue
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.functions.interpreter import Runtime
from sandbox.functions.lineage import Lineage
from sandbox.functions.process import Deployment
from sandbox.functions.runtime import ExecutionEnvironment
from sandbox.functions.runtime_api import InvokeResult

_TIMEOUT = 30.0
_CPUCLOCK_SCHED = 2
"""Of Linux's `posix-timers_types.h`: a process's clock is `~pid << 3 | 2`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one invocation took.

    Attributes:
        ready: seconds from the invocation, which starts the process if it does not run, until the
            function's code was loaded.
        seconds: from the invocation until its answer.
        processor: seconds of processor time of the process meanwhile.
        memory: bytes of resident memory that the process has had at the most.
    """

    ready: float
    seconds: float
    processor: float
    memory: int


class _Moments(queue.SimpleQueue[Any]):
    """A queue that notes when something was put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self.moments.append(time.perf_counter())
        super().put(item, block, timeout)


class MeasuredEnvironment(ExecutionEnvironment):
    """An environment whose invocations are measured; close it at the end."""

    def __init__(self, deployment: Deployment, runtime: Runtime) -> None:
        self.output: list[str] = []
        super().__init__(deployment, runtime, lambda _, line: self.output.append(line))
        self._moments = _Moments()
        self._events = self._api.events = self._moments

    def measure(self, payload: bytes) -> Taken:
        """Invoke, and see that it goes well.

        Raises:
            RuntimeError: it does not; with the answer and all that the function has printed.
        """
        self._moments.moments.clear()
        before = self._processor()
        began = time.perf_counter()
        result = self.invoke(str(uuid.uuid4()), payload, _TIMEOUT, Lineage().header())
        if not _is_good(result):
            raise RuntimeError("\n".join([result.payload.decode(), *self.output]))
        ready, ended = self._moments.moments
        return Taken(ready - began, ended - began, self._processor() - before, self._memory())

    def _processor(self) -> float:
        """Seconds on a processor, of all threads, also of those that have ended: to the nanosecond,
        unlike `times`.

        What clock_getcpuclockid(3) answers, which Python does not have for other processes.
        """
        if self._process is None:
            return 0.0
        return time.clock_gettime(~self._process.pid << 3 | _CPUCLOCK_SCHED)

    def _memory(self) -> int:
        assert self._process is not None  # noqa: S101  it has just answered
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [peak] = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak) * 1024


def _is_good(result: InvokeResult) -> bool:
    return result.error is None and b'"itemIdentifier"' not in result.payload
