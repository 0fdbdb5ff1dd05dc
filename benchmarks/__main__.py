"""Measure everything, and write benchmarks/results: `python -m benchmarks`."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks import report
from benchmarks.parts import PARTS, measure, say


def main() -> None:
    """Run each part after the other: what is timed needs the machine for itself."""
    began = time.monotonic()
    with ProcessPoolExecutor(
        max_workers=1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        sections = [pool.submit(measure, part, began).result() for part in PARTS]
    page = report.write(sections, time.monotonic() - began)
    say(f"Wrote {page.relative_to(page.parents[2])}", began)


if __name__ == "__main__":
    main()
