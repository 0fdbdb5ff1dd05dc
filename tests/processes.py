"""Forks of the process that runs the tests."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable

BROKEN = 71
"""The exit status of a fork whose action raised."""


def fork() -> int:
    """`os.fork`, without the warning of later Pythons: the thread that pytest-xdist has next to
    this one only waits for messages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def forked(action: Callable[[], int]) -> int:
    """Do something in a fork.

    Returns:
        The exit status that the action returns; the negative number of the signal that killed it.
    """
    child = fork()
    if child == 0:
        status = BROKEN
        try:
            status = action()
        except BaseException:  # noqa: BLE001  nothing may return to the test in this process
            traceback.print_exc(file=sys.stderr)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
