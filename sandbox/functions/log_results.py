"""What an invocation with LogType Tail answers: the last 4 KB of its log, in base64.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (X-Amz-Log-Result). Lambda writes a
line at the start of an invocation, one at its end, and a report:
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html.
"""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Callable, Sequence

SIZE = 4096
"""Bytes of the log in an answer."""


class Tail:
    """The lines of one environment since its last invocation began; a sink of its log."""

    def __init__(self, sink: Callable[[str, str], None]) -> None:
        """sink: gets each line, too."""
        self._sink = sink
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=SIZE)

    def __call__(self, function_name: str, line: str) -> None:
        with self._lock:
            self._lines.append(line)
        self._sink(function_name, line)

    def begin(self) -> None:
        """Forget the lines of the invocation before."""
        with self._lock:
            self._lines.clear()

    def lines(self) -> list[str]:
        """The lines."""
        with self._lock:
            return list(self._lines)


def log_result(
    request_id: str, version: str, memory: int, took: float, lines: Sequence[str]
) -> str:
    """The value of the header. memory: MB. took: seconds."""
    milliseconds = 1000 * took
    log = [
        f"START RequestId: {request_id} Version: {version}",
        *lines,
        f"END RequestId: {request_id}",
        (
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Billed Duration: {int(milliseconds) + 1} ms\tMemory Size: {memory} MB\t"
            f"Max Memory Used: {memory} MB\t"
        ),
    ]
    whole = "".join(f"{line}\n" for line in log).encode()
    return base64.b64encode(whole[-SIZE:]).decode()
