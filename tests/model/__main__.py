"""The search: `python -m tests.model`; `--scenario` and `--replay` replay one schedule."""

from __future__ import annotations

import argparse
import json
import os
import sys
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from tests.model.scenarios import SCENARIOS
from tests.model.search import DEPTH, Report, replay, search

SHOWN = 3
"""The most violations that are printed of a scenario."""


def main() -> int:
    """Run the search, or replay a schedule; returns the exit status."""
    arguments = _parser().parse_args()
    console = Console(width=160, soft_wrap=True, markup=False, highlight=False)
    if arguments.replay is not None:
        return _replay(arguments.scenario or "", arguments.replay, console)
    names = [name for name in SCENARIOS if (arguments.scenario or "") in name]
    each = max(1, arguments.schedules // max(1, len(names)))
    jobs = [(name, each, arguments.depth) for name in names]
    with get_context("fork").Pool(arguments.processes, maxtasksperchild=1) as pool:
        reports = list(pool.imap(_search, jobs, chunksize=1))
    _show(reports, console)
    return 1 if any(report.broken for report in reports) else 0


def _search(job: tuple[str, int, int]) -> Report:
    name, schedules, depth = job
    return search(SCENARIOS[name], schedules, depth=depth)


def _replay(name: str, deviations: str, console: Console) -> int:
    found = replay(SCENARIOS, name, tuple((at, what) for at, what in json.loads(deviations)))
    for line in found.trace:
        console.print(line)
    console.print(found.outcome)
    for violation in found.violations:
        console.print(f"VIOLATION: {violation}")
    return 1 if found.violations else 0


def _show(reports: list[Report], console: Console) -> None:
    table = Table("scenario", title="Model")
    for column in ("schedules", "all with up to", "longest", "violations", "seconds"):
        table.add_column(column, justify="right")
    for report in reports:
        table.add_row(
            report.scenario,
            f"{report.schedules:,}",
            f"{report.complete} deviations",
            f"{report.longest:,}",
            f"{len(report.broken):,}",
            f"{report.seconds:.1f}",
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(report.schedules for report in reports):,}",
        "",
        f"{max(report.longest for report in reports):,}",
        f"{sum(len(report.broken) for report in reports):,}",
        f"{sum(report.seconds for report in reports):.1f}",
    )
    console.print(table)
    for report in reports:
        seen: set[str] = set()
        for run in report.broken:
            if len(seen) < SHOWN and run.violations[0] not in seen:
                seen.add(run.violations[0])
                deviations = json.dumps(run.deviations)
                console.print(f"--scenario '{report.scenario}' --replay '{deviations}'")
                for violation in run.violations:
                    console.print(f"    {violation}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--schedules", type=int, default=5000, help="how many to run; default 5000")
    parser.add_argument("--scenario", help="the name of a scenario, or a part of some names")
    parser.add_argument(
        "--depth", type=int, default=DEPTH, help=f"most deviations in a schedule; default {DEPTH}"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", metavar="DEVIATIONS", help="run one schedule that was printed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
