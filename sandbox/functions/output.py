"""What a function's process prints, forwarded line by line."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import IO

_CHUNK = 1 << 16  # bytes


class Output:
    """The output of one process.

    Two threads may read it: one that forwards it, and one that needs all that is printed by now.

    Args:
        pipe: the reading end, without a buffer.
        take: gets each line, without its end.
    """

    def __init__(self, pipe: IO[bytes], take: Callable[[str], None]) -> None:
        self._pipe = pipe
        self._take = take
        self._lock = threading.Lock()
        self._unfinished = b""
        os.set_blocking(pipe.fileno(), False)

    def forward(self) -> None:
        """Forward lines until the process, and all that it has started, have closed their end."""
        poll = select.poll()
        with self._pipe:
            poll.register(self._pipe, select.POLLIN)
            while not self._read_all():
                poll.poll()

    def catch_up(self) -> None:
        """Forward what is printed up to now."""
        if not self._pipe.closed:
            self._read_all()

    def _read_all(self) -> bool:
        """Forward what is there; whether the output has ended."""
        with self._lock:
            if self._pipe.closed:
                return True
            try:
                while chunk := os.read(self._pipe.fileno(), _CHUNK):
                    *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
                    for line in lines:
                        self._forward(line)
            except BlockingIOError:
                return False
            if self._unfinished:
                self._forward(self._unfinished)
                self._unfinished = b""
            return True

    def _forward(self, line: bytes) -> None:
        # awslambdaric separates the lines of one traceback by carriage returns.
        text = line.rstrip(b"\r").replace(b"\r", b"\n").decode("utf-8", errors="replace")
        self._take(text)
