"""The long search: `python -m tests.chaos`, or one sequence again, with `--replay`.

Each process searches a world of its own; the figures of all are added up in one table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tests.conftest  # noqa: F401  it sets the environment that all tests share
from tests.chaos.machine import machine, search
from tests.chaos.sequence import carry_out
from tests.chaos.world import FAULTS, KILLS, Violation, running

SEQUENCES = 2000
STEPS = 12
_PIECE = 50


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one piece of the search.

    Attributes:
        counts: what happened, by name.
        violation: the one that ended it, with the command to replay it; None if there was none.
    """

    counts: Counter[str]
    violation: str | None


def main() -> int:
    """Run what the arguments ask for; the exit status."""
    arguments = _parser().parse_args()
    console = Console()
    if arguments.replay:
        return _replay(json.loads(arguments.replay), console)
    return _search(arguments.sequences, arguments.seed, arguments.processes, console)


def _replay(steps: list[dict[str, object]], console: Console) -> int:
    try:
        with _quiet(), running() as world:
            carry_out(world, steps)
    except Violation as violation:
        console.print(str(violation), markup=False, soft_wrap=True)
        return 1
    console.print("No promise was broken.")
    return 0


def _search(sequences: int, first_seed: int, processes: int, console: Console) -> int:
    seeds = range(first_seed, first_seed + -(-sequences // _PIECE))
    console.print(
        f"Searching {sequences} sequences from seed {first_seed} in {processes} processes"
    )
    began = time.monotonic()
    pieces = []
    # A process of its own for each piece, so that what one leaves behind weighs on no other.
    with (
        ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("sequences", total=len(seeds) * _PIECE)
        for done in as_completed(pool.submit(_search_piece, number) for number in seeds):
            pieces.append(done.result())
            progress.advance(bar, _PIECE)
            if not console.is_terminal:
                searched = sum(piece.counts["sequences"] for piece in pieces)
                console.print(f"{searched:5} sequences, {time.monotonic() - began:4.0f} s")
    _tell(pieces, console)
    return 1 if any(piece.violation for piece in pieces) else 0


def _search_piece(number: int) -> Piece:
    with _quiet(), running() as world:
        stacks = seed(number)(machine(world))
        try:
            run_state_machine_as_test(stacks, settings=search(_PIECE, STEPS, shrink=False))
        except Violation as violation:
            return Piece(world.counts, f"seed {number}: {violation}")
        except Exception:  # noqa: BLE001  what breaks the search is told like what it finds
            return Piece(world.counts, f"seed {number}: {traceback.format_exc()}")
        return Piece(world.counts, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines of metrics that the function prints."""
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        yield


def _tell(pieces: Iterable[Piece], console: Console) -> None:
    pieces = list(pieces)
    counts: Counter[str] = sum((piece.counts for piece in pieces), Counter())
    violations = [piece.violation for piece in pieces if piece.violation]
    table = Table(title="Chaos")
    table.add_column("what")
    table.add_column("how many", justify="right")
    rows = ["sequences", "steps", *FAULTS, *KILLS, "time-outs", "meanwhile", "duplicates"]
    for row in rows:
        table.add_row(row, f"{counts[row]:,}")
    table.add_section()
    injected = sum(counts[kind] for kind in (*FAULTS, *KILLS))
    table.add_row("faults and kills in all", f"{injected:,}")
    table.add_row("violations", f"{len(violations):,}")
    console.print(table)
    for violation in violations:
        console.print(violation, markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=f"default {SEQUENCES}")
    parser.add_argument("--seed", type=int, default=1, help="of the first piece; default 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--replay", metavar="STEPS", help="carry out one sequence, as it was printed"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
