"""Sequences of steps with a fault in the last step, at every few calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.chaos.sequence import Run, Step
from tests.chaos.steps import (
    CREATE,
    DELETE,
    HANDLE,
    LATER,
    REGISTERS,
    STORES,
    UPDATE,
    UPDATE_IMAGE,
    later,
)
from tests.chaos.world import Fault


@dataclass(frozen=True, slots=True)
class Flow:
    """Steps, and the faults in the last of them.

    Attributes:
        kind: of the faults.
        every: every how many calls one is struck, starting with the first call.
    """

    steps: Sequence[Step]
    kind: str
    every: int

    @property
    def command(self) -> Literal["faults", "nightly"]:
        """The command that tries it. `make faults` already has kills in the same phases."""
        return "nightly" if self.kind == "kill-after" else "faults"

    def faults(self) -> Callable[[str], list[Fault]]:
        """The faults to try at each call of a run."""
        numbers = itertools.count()

        def at(call: str) -> list[Fault]:
            return [Fault(call, self.kind)] if next(numbers) % self.every == 0 else []

        return at

    def begin(self, run: Run) -> None:
        """Carry out all steps but the last."""
        run.carry_out(self.steps[:-1])

    def play(self, run: Run) -> None:
        """Carry out the last step, and delete the stack."""
        run.carry_out([self.steps[-1], later(600)])
        run.finish()


FLOWS: Mapping[str, Flow] = {
    "create, meanwhile": Flow([CREATE], "meanwhile", 2),
    "create": Flow([CREATE], "kill-after", 2),
    "replace": Flow([CREATE, LATER, UPDATE], "kill-after", 9),
    "roll back meanwhile": Flow([CREATE, LATER, UPDATE | {"sibling": 9}], "kill-after", 9),
    "register another": Flow(
        [CREATE | REGISTERS | {"image": "n"}, LATER, UPDATE_IMAGE], "kill-after", 2
    ),
    "roll back another registration": Flow(
        [CREATE | REGISTERS, LATER, UPDATE_IMAGE | {"sibling": 1}], "kill-after", 6
    ),
    "create through a handle": Flow([CREATE | REGISTERS | HANDLE], "kill-after", 3),
    "store": Flow([CREATE | STORES], "kill-after", 5),
    "delete while stored": Flow([CREATE | STORES, later(60), DELETE], "kill-after", 13),
}
