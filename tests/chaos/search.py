"""One piece of the long search, in its own process and its own world."""

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
from tests.chaos.whole import search_whole
from tests.chaos.world import Violation, running

PIECE = 50
"""Sequences of one piece."""

STEPS = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """The result of one piece of the search.

    Attributes:
        counts: what happened, by name.
        violations: each with the command that replays it.
    """

    counts: Counter[str]
    violations: list[str]


def search_piece(number: int, *, whole: bool = False, finds_all: bool = False) -> Piece:
    """Search the sequences of one seed.

    Args:
        whole: whether to check the promises about the bundles' owners too.
        finds_all: whether to continue after a violation.
    """
    found: list[str] = []
    with quiet(), running() as world:
        try:
            if whole:
                search_whole(world, number, PIECE, found if finds_all else None)
            else:
                stacks = seed(number)(machine(world, found if finds_all else None))
                run_state_machine_as_test(stacks, settings=search(PIECE, STEPS, shrink=False))
        except Violation as violation:
            found.append(str(violation))
        except Exception:  # noqa: BLE001  errors of the search are reported too
            found.append(traceback.format_exc())
        return Piece(world.counts, [f"seed {number}: {each}" for each in found])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the metrics that the function prints."""
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        yield
