"""One run of the simulated world, and branches of it, one for each fault at each call.

A branch is a fork of this process at a call, with its own copy of the world. The fault strikes the
call, the branch runs to the end and reports problems. So the steps before the fault run only once.
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
"""The faults to try at a call, by its name; called once for each call of the run without faults."""

Play = Callable[[], None]
"""Runs the steps in which the faults strike."""

Check = Callable[[], list[str]]
"""Runs the rest, without faults, and returns the problems."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The result of one fault.

    Attributes:
        nth: the call that it struck first, counted from 1.
        problems: what was not correct in the end.
    """

    fault: Fault
    nth: int
    problems: list[str]

    def __str__(self) -> str:
        return f"{self.fault.kind} at call {self.nth}, {self.fault.call}"


def explore(world: World, faults_at: FaultsAt, play: Play, check: Check) -> list[Branch]:
    """Run without faults, and with each fault at each call.

    Raises:
        AssertionError: the run without a fault does not end correctly.
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
    """The run without faults and the results of its branches; or, in a fork, one branch of it."""

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
        """Report to the parent process, and exit at once."""
        assert self.reports_to is not None
        Path(f"/proc/self/fd/{self.reports_to}").write_text(json.dumps(problems))
        os._exit(0)

    def _forked(self) -> list[str] | None:
        """The problems of the branch, when it has ended; None in the branch itself."""
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
