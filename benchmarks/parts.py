"""The benchmarks, each run in a process of its own: one has one sandbox in its life."""

from __future__ import annotations

import importlib
import time

from rich.console import Console

from benchmarks.section import Section

PARTS = (
    "benchmarks.polling.time_to_answer",
    "benchmarks.ceilings.designs",
    "benchmarks.load.stacks_at_once",
    "benchmarks.cold_start.first_requests",
    "benchmarks.size",
)
"""The modules, in the order of the report."""


def measure(part: str, began: float) -> Section:
    """Run a part, and report its progress.

    Args:
        part: the module's name.
        began: when all of it began, by `time.monotonic`.
    """
    section: Section = importlib.import_module(part).run(lambda line: say(line, began))
    return section


def say(line: str, began: float) -> None:
    """Print a line, with the seconds that have passed."""
    passed = time.monotonic() - began
    Console().print(f"{passed:5.0f} s  {line}", highlight=False, markup=False, soft_wrap=True)
