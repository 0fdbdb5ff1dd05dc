"""One run of the simulated world, and from each of its calls on another for each fault tried there.

Each branch is a fork of this process. It has the world of that moment to itself, meets its fault,
plays to the end and reports what is not right. What comes before the fault is played once for all.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.chaos.world import Fault, World
from tests.processes import fork

FaultsAt = Callable[[str], Iterable[Fault]]
"""The faults to try at a call, by the call's name; asked once for each call of the plain run."""

Play = Callable[[], None]
"""What is played, in which the faults strike."""

Check = Callable[[], list[str]]
"""Plays what is left, without faults; what is not right then."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What came of one fault.

    Attributes:
        nth: the call that it struck first, counted from 1.
        problems: what was not right in the end.
    """

    fault: Fault
    nth: int
    problems: list[str]

    def __str__(self) -> str:
        return f"{self.fault.kind} at call {self.nth}, {self.fault.call}"


def explore(world: World, faults_at: FaultsAt, play: Play, check: Check) -> list[Branch]:
    """Play without a fault, and from each call on with each fault.

    Raises:
        AssertionError: the run without a fault does not end right.
    """
    tree = _Tree(world, faults_at)
    world.on_call = tree.branch
    gc.freeze()  # so that a branch copies less of this process
    problems = []
    try:
        play()
        world.on_call = None
        problems = check()
    except BaseException:
        if not tree.is_branch:
            raise
        problems = [traceback.format_exc()]
    finally:
        world.on_call = None
        if tree.is_branch:
            tree.report(problems)
        gc.unfreeze()
    assert problems == [], problems
    return tree.branches


@dataclass(slots=True)
class _Tree:
    """The plain run with what its branches have reported; or, in a fork, one branch of it."""

    world: World
    faults_at: FaultsAt
    branches: list[Branch] = field(default_factory=list)
    calls: int = 0
    reports_to: int | None = None

    @property
    def is_branch(self) -> bool:
        return self.reports_to is not None

    def branch(self, call: str) -> None:
        self.calls += 1
        for each in self.faults_at(call):
            fault = replace(each, call=call, nth=1)
            problems = self._forked()
            if problems is None:
                self.world.on_call = None
                self.world.arm(fault)
                return
            self.branches.append(Branch(fault, self.calls, problems))

    def report(self, problems: list[str]) -> None:
        """Tell the plain run; and end here, whatever there is above in the stack."""
        assert self.reports_to is not None
        Path(f"/proc/self/fd/{self.reports_to}").write_text(json.dumps(problems))
        os._exit(0)

    def _forked(self) -> list[str] | None:
        """What the branch has reported, once it has ended; None in the branch itself."""
        reads, writes = os.pipe()
        child = fork()
        if child == 0:
            os.close(reads)
            self.reports_to = writes
            return None
        os.close(writes)
        try:
            with os.fdopen(reads, "rb") as report:
                reported = report.read()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if not reported:
            return ["The branch ended without a report"]
        problems: list[str] = json.loads(reported)
        return problems
