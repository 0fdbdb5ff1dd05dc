"""Measure everything, and write benchmarks/results: `python -m benchmarks`."""

from __future__ import annotations

import time

from rich.console import Console

from benchmarks import report, size
from benchmarks.ceilings import designs as ceilings
from benchmarks.cold_start import first_requests
from benchmarks.load import stacks_at_once
from benchmarks.polling import time_to_answer

_PARTS = (time_to_answer, ceilings, stacks_at_once, first_requests, size)


def main() -> None:
    """Run each part after the other: what is timed needs the machine for itself."""
    console = Console()
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {line}", highlight=False, markup=False)

    sections = [part.run(say) for part in _PARTS]
    page = report.write(sections, time.monotonic() - began)
    say(f"Wrote {page.relative_to(page.parents[2])}")


if __name__ == "__main__":
    main()
