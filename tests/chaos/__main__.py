"""The long search: `python -m tests.chaos`; with `--replay`, it runs one sequence again.

Each process searches in its own world; one table has the sums of all counts. With `--whole`, the
sequences are also about the bundles' owners: see `tests.chaos.whole`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing import get_context

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.chaos.search import PIECE, Piece, quiet, search_piece
from tests.chaos.sequence import Step, carry_out
from tests.chaos.shorten import in_world, of_each_kind, shortest
from tests.chaos.world import FAULTS, KILLS, Violation, running

SEQUENCES = 2000


def main() -> int:
    """Run the search, or replay a sequence; returns the exit status."""
    arguments = _parser().parse_args()
    console = Console()
    if arguments.replay:
        replay = _shorten if arguments.shorten else _replay
        return replay(json.loads(arguments.replay), console)
    piece = partial(search_piece, whole=arguments.whole, finds_all=arguments.all)
    seeds = range(arguments.seed, arguments.seed + -(-arguments.sequences // PIECE))
    return _search(piece, seeds, arguments.processes, console)


def _replay(steps: list[Step], console: Console) -> int:
    try:
        with quiet(), running() as world:
            carry_out(world, steps)
    except Violation as violation:
        console.print(str(violation), markup=False, soft_wrap=True)
        return 1
    console.print("No promise was broken.")
    return 0


def _shorten(steps: list[Step], console: Console) -> int:
    with quiet(), running() as world:
        found = shortest(in_world(world), steps)
    console.print(found or "No promise was broken.", markup=False, soft_wrap=True)
    return 1 if found else 0


def _search(search: Callable[[int], Piece], seeds: range, processes: int, console: Console) -> int:
    console.print(
        f"Searching {len(seeds) * PIECE} sequences from seed {seeds[0]} in {processes} processes"
    )
    began = time.monotonic()
    pieces: list[Piece] = []
    # Each piece has its own process, so that it is not slowed down by what earlier ones left.
    with (
        get_context("spawn").Pool(processes, maxtasksperchild=1) as pool,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("sequences", total=len(seeds) * PIECE)
        for piece in pool.imap_unordered(search, seeds):
            pieces.append(piece)
            progress.advance(bar, PIECE)
            if not console.is_terminal:
                searched = sum(piece.counts["sequences"] for piece in pieces)
                console.print(f"{searched:5} sequences, {time.monotonic() - began:4.0f} s")
    _report(pieces, console)
    return 1 if any(piece.violations for piece in pieces) else 0


def _report(pieces: Iterable[Piece], console: Console) -> None:
    pieces = list(pieces)
    counts: Counter[str] = sum((piece.counts for piece in pieces), Counter())
    violations = [violation for piece in pieces for violation in piece.violations]
    table = Table(title="Chaos")
    table.add_column("what")
    table.add_column("how many", justify="right")
    rows = ["sequences", "steps", *FAULTS, *KILLS, "timeouts", "meanwhile", "duplicates"]
    rows += ["hint", "events of AWS's"]
    rows += ["bundle tasks", "images made", "images stored", "images registered", "images copied"]
    rows += ["accepted", "signals", "refused by IAM"]
    for row in rows:
        table.add_row(row, f"{counts[row]:,}")
    table.add_section()
    injected = sum(counts[kind] for kind in (*FAULTS, *KILLS))
    table.add_row("faults and kills in all", f"{injected:,}")
    table.add_row("violations", f"{len(violations):,}")
    console.print(table)
    for violation, count in of_each_kind(violations):
        also = f" (and {count - 1} like it)" if count > 1 else ""
        console.print(violation + also, markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=f"default {SEQUENCES}")
    parser.add_argument("--seed", type=int, default=1, help="of the first piece; default 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--whole", action="store_true", help="check promises about the bundles' owners too"
    )
    parser.add_argument(
        "--all", action="store_true", help="continue after a violation, and show one of each kind"
    )
    parser.add_argument(
        "--shorten", action="store_true", help="with --replay: find the shortest sequence"
    )
    parser.add_argument("--replay", metavar="STEPS", help="run one sequence, as it was printed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
