"""The threads that operations on stacks run in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Condition, Thread, current_thread
from time import monotonic

from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.views import Operation

log = logging.getLogger("sandbox")

_JOIN = 2.0  # seconds that all threads are given to end


class Closed(Exception):
    """The sandbox closes, and operations stop."""


class OperationThreads:
    """One thread at a time for each stack.

    Args:
        changed: guards the threads.
        check_open: raises Closed if operations on a stack are to stop.
    """

    def __init__(self, changed: Condition, check_open: Callable[[Stack], None]) -> None:
        self._changed = changed
        self._check_open = check_open
        self._threads: dict[str, Thread] = {}

    def start(self, stack: Stack, operation: Operation, run: Callable[[], None]) -> None:
        """Run `operation`, which has begun on the stack, once the one before it has ended."""
        with self._changed:
            before = self._threads.get(stack.stack_id)
            thread = Thread(
                target=self._run,
                args=(stack, operation, run, before),
                name=f"stack-{stack.name}",
                daemon=True,
            )
            self._threads[stack.stack_id] = thread
            thread.start()

    def _run(
        self, stack: Stack, operation: Operation, run: Callable[[], None], before: Thread | None
    ) -> None:
        if before:
            before.join()
        try:
            self._check_open(stack)
            run()
        except Closed:
            log.info("stack %s is left as it is", stack.name)
        except Exception:
            log.exception("stack %s: the operation broke down", stack.name)
            status = f"{stack.status.split('_')[0]}_FAILED"
            stack.become(status, "Internal Failure", operation=operation)
        with self._changed:
            if self._threads.get(stack.stack_id) is current_thread():
                del self._threads[stack.stack_id]

    def join(self) -> None:
        """Wait until the threads have ended, for a while."""
        with self._changed:
            threads = list(self._threads.values())
        deadline = monotonic() + _JOIN
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
            if thread.is_alive():
                log.warning("%s did not end", thread.name)
