"""Measure everything, and write benchmarks/results: `python -m benchmarks`."""

from __future__ import annotations

import importlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console

from benchmarks import report
from benchmarks.section import Section

_PARTS = (
    "benchmarks.polling.time_to_answer",
    "benchmarks.ceilings.designs",
    "benchmarks.load.stacks_at_once",
    "benchmarks.cold_start.first_requests",
    "benchmarks.size",
)


def main() -> None:
    """Run each part after the other: what is timed needs the machine for itself."""
    began = time.monotonic()
    # A process for each, since one has one sandbox at the most in its life.
    with ProcessPoolExecutor(
        max_workers=1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        sections = [pool.submit(_measure, part, began).result() for part in _PARTS]
    page = report.write(sections, time.monotonic() - began)
    _Progress(began).say(f"Wrote {page.relative_to(page.parents[2])}")


class _Progress:
    """Lines with the seconds that have passed."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._console = Console()

    def say(self, line: str) -> None:
        """Print a line."""
        passed = time.monotonic() - self._began
        self._console.print(f"{passed:5.0f} s  {line}", highlight=False, markup=False)


def _measure(part: str, began: float) -> Section:
    section: Section = importlib.import_module(part).run(_Progress(began).say)
    return section


if __name__ == "__main__":
    main()
