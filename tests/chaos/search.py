"""One piece of the long search, in a process and a world of its own."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

import tests.conftest  # noqa: F401  it sets the environment that all tests share
from tests.chaos.machine import machine, search
from tests.chaos.world import Violation, running

PIECE = 50
"""Sequences of one piece."""

STEPS = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one piece of the search.

    Attributes:
        counts: what happened, by name.
        violation: the one that ended it, with the command to replay it; None if there was none.
    """

    counts: Counter[str]
    violation: str | None


def search_piece(number: int) -> Piece:
    """Search the sequences of one seed."""
    with quiet(), running() as world:
        stacks = seed(number)(machine(world))
        try:
            run_state_machine_as_test(stacks, settings=search(PIECE, STEPS, shrink=False))
        except Violation as violation:
            return Piece(world.counts, f"seed {number}: {violation}")
        except Exception:  # noqa: BLE001  what breaks the search is told like what it finds
            return Piece(world.counts, f"seed {number}: {traceback.format_exc()}")
        return Piece(world.counts, None)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the lines of metrics that the function prints."""
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        yield
