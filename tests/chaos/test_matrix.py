"""The fault matrix: each kind of fault at each call, in each phase of a stack's life.

`make test` tries one phase. `make faults` tries kills, refusals and double deliveries in all
phases, and the other kinds in the most common phases. `make nightly` tries all kinds in all phases,
at each call, not only at the first of each name.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.chaos.branches import explore
from tests.chaos.matrix import (
    DELIVERIES,
    OF_A_BATCH,
    OF_A_BATCH_MEET,
    REFUSED,
    TRIALS,
    Trial,
    carry_out,
    command,
    deliver_twice,
)
from tests.chaos.phases import PHASES
from tests.chaos.sequence import Run
from tests.chaos.steps import SEVERAL
from tests.chaos.world import Fault, World

MARKS = {"test": [], "faults": [pytest.mark.faults], "nightly": [pytest.mark.nightly]}


def cases() -> Iterator[object]:
    for trial, name in itertools.product(TRIALS, PHASES):
        if name not in trial.phases:
            continue
        marks = MARKS[command(trial, name)]
        yield pytest.param(trial, name, id=f"{name}, {trial.name}", marks=marks)


@pytest.mark.parametrize(("trial", "name"), [*cases()])
def test_a_stack_ends_right_whatever_a_call_meets(world: World, trial: Trial, name: str) -> None:
    branches = carry_out(world, name, trial)

    assert branches
    if trial.is_refusal:
        assert {*REFUSED.get(name, ())} <= {branch.fault.call for branch in branches}
    assert {str(branch): branch.problems for branch in branches if branch.problems} == {}


@pytest.mark.faults
@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_what_is_delivered_twice_at_once_is_done_once(
    world: World, name: str, delivery: str
) -> None:
    assert deliver_twice(world, name, delivery) == []


@pytest.mark.faults
def test_stacks_end_right_whatever_the_calls_for_all_of_their_batch_meet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "batch_size", 2)
    run = Run(world, most_at_once=3)
    struck: set[str] = set()

    def first_of_each_name(call: str) -> Iterator[Fault]:
        if call in OF_A_BATCH and call not in struck:
            struck.add(call)
            yield from (Fault(call, kind, times=times) for kind, times in OF_A_BATCH_MEET.items())

    def play() -> None:
        run.carry_out(SEVERAL)
        world.run_until_idle()

    def check() -> list[str]:
        statuses = [stack.status for stack in run.stacks]
        run.finish()
        return [] if statuses == ["CREATE_COMPLETE"] * 3 else statuses

    branches = explore(world, first_of_each_name, play, check)

    assert struck == {*OF_A_BATCH}
    assert {str(branch): branch.problems for branch in branches if branch.problems} == {}
