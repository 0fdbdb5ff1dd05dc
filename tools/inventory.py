"""What is tried: which call meets which kind of fault, in which phase of a stack's life, and where.

It is read from the parameters of the tests, and from the calls that each phase makes in the
simulated world. `python -m tools.inventory` prints a line for each; `--json` writes them for
another program. tests/tried.txt has the lines that must stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import tests.conftest  # noqa: F401  it sets the environment that all tests share
from tests.chaos import matrix
from tests.chaos.flows import FLOWS
from tests.chaos.phases import PHASES, Call, OwnCalls
from tests.chaos.search import quiet
from tests.chaos.sequence import Run
from tests.chaos.world import World, running
from tests.stacks import test_batches, test_faults

SIMULATED, PROCESSES = "simulated", "processes"


@dataclass(frozen=True, slots=True, order=True)
class Tried:
    """One thing that is tried.

    Attributes:
        phase: with the method before it.
        where: the simulated world, or real processes in the sandbox.
        command: the first of `make test`, `make faults` and `make nightly` that tries it.
    """

    phase: str
    call: str
    kind: str
    where: str
    command: str

    @property
    def what(self) -> str:
        """Without where, as a line."""
        return f"{self.phase} | {self.call} | {self.kind}"


def main() -> int:
    """Print the list; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.inventory", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a JSON list of lists, with counts")
    counts = Counter(everything())
    if parser.parse_args().json:
        json.dump([[*astuple(tried), times] for tried, times in sorted(counts.items())], sys.stdout)
        return 0
    widths = [max(len(astuple(tried)[column]) for tried in counts) for column in range(5)]
    for tried, times in sorted(counts.items()):
        cells = zip(astuple(tried), widths, strict=True)
        sys.stdout.write("  ".join(f"{cell:{width}}" for cell, width in cells) + f"  {times:3}\n")
    different = {tried.what for tried in counts}
    sys.stdout.write(f"{len(different)} different, {counts.total()} in all\n")
    return 0


def everything() -> Iterator[Tried]:
    """All that is tried, once for each place in a phase where it is."""
    with quiet(), running() as world:
        for phase in PHASES:
            yield from _of_phase(phase, _calls(world, phase))
        for name in FLOWS:
            yield from _of_flow(world, name)
    for call in matrix.OF_A_BATCH:
        for kind in matrix.OF_A_BATCH_MEET:
            yield Tried("BundleInstance: batches", call, kind, SIMULATED, "faults")
    yield from _of_processes()


def _calls(world: World, name: str) -> list[Call]:
    """The calls of a phase in which nothing fails."""
    phase, run = PHASES[name], Run(world)
    own, calls = OwnCalls(phase), list[Call | None]()
    phase.begin(run)
    world.on_call = lambda call: calls.append(own.next(call))
    phase.play(run)
    world.on_call = None
    run.finish()
    return [call for call in calls if call is not None]


def _of_phase(name: str, calls: list[Call]) -> Iterator[Tried]:
    for trial in matrix.TRIALS:
        command = matrix.command(trial, name)
        for call in calls if name in trial.phases else []:
            if trial.selection(call):
                yield from (Tried(name, call.name, k, SIMULATED, command) for k in trial.kinds)
    for delivery in matrix.DELIVERIES:
        yield Tried(name, delivery, "twice", SIMULATED, "faults")


def _of_flow(world: World, name: str) -> Iterator[Tried]:
    flow, run = FLOWS[name], Run(world)
    faults, struck = flow.faults(), list[str]()
    flow.begin(run)
    world.on_call = lambda call: struck.extend(fault.call for fault in faults(call))
    flow.play(run)
    world.on_call = None
    for call in struck:
        yield Tried(f"flow: {name}", call, flow.kind, SIMULATED, flow.command)


def _of_processes() -> Iterator[Tried]:
    for phase, call, kind, _ in test_faults.ONE_OF_EACH:
        yield Tried(phase, call, kind.replace("delay", "hang"), PROCESSES, "faults")
    for call in test_faults.REFUSED:
        yield Tried(test_faults.BUNDLE, call, "deny", PROCESSES, "faults")
    yield Tried("BundleInstance: batches", test_batches.POISONED, "kill", PROCESSES, "faults")
    for call in matrix.OF_A_BATCH:
        for kind in test_batches.KINDS:
            yield Tried("BundleInstance: batches", call, kind, PROCESSES, "nightly")


if __name__ == "__main__":
    sys.exit(main())
