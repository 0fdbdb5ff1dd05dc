"""A short search; `make chaos` runs a long one."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.branches import explore
from tests.chaos.flows import FLOWS
from tests.chaos.machine import machine, search
from tests.chaos.sequence import Run, Step, carry_out
from tests.chaos.steps import (
    CREATE,
    FAILS,
    HANDLE,
    LATER,
    REGISTERS,
    STORES,
    UPDATE,
    UPDATE_IMAGE,
    fault,
    later,
)
from tests.chaos.world import EVENTS_PUT, RECEIVES, VISIBILITY_SECONDS, World

FOUND = Path(__file__).with_name("found")
NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize("number", [0, 6])
def test_no_sequence_breaks_a_promise(world: World, number: int) -> None:
    run_state_machine_as_test(
        seed(number)(machine(world)), settings=search(8, steps=12, shrink=False)
    )


@pytest.mark.parametrize(
    "steps",
    [
        [CREATE, LATER, UPDATE],
        [CREATE, LATER, UPDATE | {"sibling": 9}],
        [CREATE, LATER, UPDATE | {"sibling": 9, "delete_first": True}],
        [CREATE, LATER, UPDATE | {"outcome": "failed"}],
        [CREATE, LATER, UPDATE | {"outcome": "failed", "delete_first": True}],
        [CREATE, LATER, UPDATE | {"outcome": "hang"}],
        [CREATE, LATER, UPDATE | {"sibling": 120}],
        [CREATE, LATER, UPDATE | {"prefix": "a", "on_delete": "Retain"}, LATER],
        [CREATE | {"outcome": "hang"}, {"do": "move", "seconds": 25}, {"do": "delete", "stack": 0}],
        [
            CREATE,
            LATER,
            {"do": "delete", "stack": 0},
            {"do": "duplicate event", "number": 0, "delay": 3600},
        ],
        [CREATE | STORES, LATER, UPDATE | STORES],
        [CREATE | STORES, LATER, UPDATE | STORES | {"sibling": 9}],
        [CREATE | STORES, LATER, UPDATE | STORES | {"prefix": "a", "described": "y"}],
        [CREATE | STORES, LATER, UPDATE | STORES | {"prefix": "a", "described": None}],
        [CREATE | STORES, LATER, UPDATE],
        [CREATE, LATER, UPDATE | STORES | {"store_outcome": "failed"}],
        [CREATE, LATER, UPDATE | STORES | {"sibling": 60, "delete_first": True}],
        [CREATE | STORES | {"on_delete": "Retain"}, LATER, UPDATE | STORES],
        [CREATE | STORES | {"outcome": "hang"}, {"do": "move", "seconds": 25}],
        [CREATE | STORES, {"do": "move", "seconds": 60}, {"do": "delete", "stack": 0}],
        [fault("ec2:CreateImage", "cut-after"), CREATE | STORES],
        [fault("ec2:CreateStoreImageTask", "cut-after"), CREATE | STORES],
        # An update in place that comes after its rollback.
        [
            CREATE | STORES,
            LATER,
            fault("dynamodb:PutItem", "kill"),
            UPDATE | STORES | {"prefix": "a", "described": "y", "sibling": 12},
            {"do": "move", "seconds": 1000},
        ],
        [CREATE | REGISTERS, LATER, UPDATE_IMAGE, LATER],
        [CREATE | REGISTERS, LATER, UPDATE_IMAGE | {"described": None}, LATER],
        [CREATE | REGISTERS, LATER, UPDATE_IMAGE | {"image": None}, LATER],
        [CREATE, LATER, UPDATE_IMAGE, LATER, UPDATE_IMAGE | {"image": None}, LATER],
        [CREATE | REGISTERS | {"image": "n"}, LATER, UPDATE_IMAGE | {"image": "n"}, LATER],
        [CREATE | REGISTERS | {"image": "n"}, LATER, UPDATE_IMAGE | {"sibling": 1}, LATER],
        [CREATE | REGISTERS, LATER, UPDATE_IMAGE | FAILS, LATER],
        [CREATE | REGISTERS | FAILS | {"on_delete": "Retain"}, LATER],
        [CREATE, LATER, UPDATE_IMAGE | FAILS | {"image": "n"}, LATER, UPDATE_IMAGE, LATER],
        # The earlier name is used again, with another description.
        [
            CREATE | REGISTERS | {"image": "n"},
            LATER,
            UPDATE_IMAGE | {"image": None},
            LATER,
            UPDATE_IMAGE | {"image": "n"},
        ],
        [
            CREATE | REGISTERS | {"image": "n"},
            LATER,
            UPDATE_IMAGE | {"image": "m"},
            LATER,
            UPDATE_IMAGE | {"image": "n"},
        ],
        [CREATE | REGISTERS | {"register_seconds": 100}, LATER, UPDATE | REGISTERS],
        [CREATE | REGISTERS | {"on_delete": "Retain"}, LATER, UPDATE_IMAGE],
        [
            CREATE | REGISTERS,
            LATER,
            *({"do": "copy", "number": 0, "by_hand": by_hand} for by_hand in (True, False)),
            UPDATE_IMAGE,
        ],
        [fault("ec2:RegisterImage", "cut-after"), CREATE | REGISTERS],
        [CREATE | HANDLE | REGISTERS, LATER, UPDATE | HANDLE | REGISTERS],
        [CREATE | HANDLE, LATER, UPDATE | HANDLE | {"sibling": 9}],
        [CREATE | HANDLE, LATER, UPDATE | HANDLE | {"outcome": "failed"}],
        [CREATE | HANDLE | {"outcome": "hang"}, LATER, UPDATE],
        [CREATE | HANDLE, {"do": "move", "seconds": 12}, {"do": "delete", "stack": 0}],
        [CREATE | HANDLE | {"watched": False}, {"do": "delete", "stack": 0}],
        [CREATE, LATER, UPDATE | HANDLE | {"watched": False}, LATER, UPDATE_IMAGE],
        [CREATE, LATER, UPDATE | STORES | HANDLE | {"watched": False}, LATER],
        [CREATE | HANDLE, LATER, UPDATE_IMAGE | {"handle": "same"}, UPDATE | {"handle": "same"}],
        [CREATE | HANDLE, LATER, UPDATE_IMAGE | {"handle": "new"}],
        [CREATE | STORES | HANDLE, LATER, UPDATE | STORES | HANDLE | {"sibling": 9}],
        [CREATE | STORES | HANDLE, LATER, UPDATE | STORES | HANDLE | {"store_outcome": "failed"}],
        [
            CREATE | STORES | HANDLE,
            {"do": "move", "seconds": 60},
            {"do": "delete", "stack": 0},
        ],
        [fault(EVENTS_PUT, "cut-after"), CREATE, LATER, UPDATE | {"outcome": "failed"}],
        [fault(EVENTS_PUT, "kill-after"), CREATE | HANDLE],
        # It finishes and is not answered; the process that removes it is killed midway.
        [
            fault("response:Put", "kill"),
            fault("s3:DeleteObjects", "kill-after"),
            CREATE | STORES | {"timeout": 90},
        ],
    ],
)
def test_paths_that_are_known_to_be_hard_end_right(world: World, steps: list[Step]) -> None:
    carry_out(world, steps)

    assert world.violations == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=getattr(pytest.mark, flow.command)) for name, flow in FLOWS.items()],
)
def test_a_fault_at_any_call_breaks_no_promise(world: World, name: str) -> None:
    flow = FLOWS[name]
    run = Run(world)
    flow.begin(run)

    branches = explore(world, flow.faults(), lambda: flow.play(run), list)

    assert len(branches) > 10 // flow.every
    assert {str(branch): branch.problems for branch in branches if branch.problems} == {}


def test_polls_that_are_denied_the_ledger_are_resumed_by_the_failure_handler(world: World) -> None:
    """No poll can work on the request: DynamoDB refuses as many polls as the queue delivers."""
    run = Run(world)
    denial = fault("dynamodb:UpdateItem", "deny", times=RECEIVES)
    run.carry_out([CREATE | {"timeout": 3600}, later(2), denial])
    world.run_until_idle()

    [stack] = run.stacks
    assert stack.status == "CREATE_COMPLETE"
    assert [task.view.state for task in world.finished.values()] == ["complete"]
    run.finish()


@pytest.mark.parametrize(
    ("bundle", "faults"),
    [
        pytest.param(REGISTERS | {"seconds": 10800}, [], id="bundled", marks=NIGHTLY),
        pytest.param(STORES | {"store_seconds": 10800}, [], id="stored", marks=NIGHTLY),
        pytest.param(
            *(REGISTERS | {"seconds": 10800}, [fault("*", "kill", 500)]),
            id="bundled, with a crash",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_three_hour_task_completes_through_its_handle(
    world: World, bundle: dict[str, Any], faults: list[dict[str, Any]]
) -> None:
    run = Run(world)

    run.carry_out([*faults, CREATE | HANDLE | {"completion": 14400} | bundle])
    world.run_until_idle()

    [stack] = run.stacks
    [exchange] = stack.exchanges
    [condition] = stack.conditions
    assert stack.status == "CREATE_COMPLETE"
    assert exchange.is_accepted
    assert condition.signal is not None
    assert condition.signal.succeeds
    assert condition.signal.at - exchange.sent_at > 3 * 3600
    assert stack.image_id == condition.signal.data["ImageId"] != ""
    polled = [moment - exchange.sent_at for moment in world.polled]
    apart = [after - before for before, after in itertools.pairwise([0.0, *polled])]
    assert len(polled) >= 3 * 60
    assert max(apart) <= (61 if not faults else VISIBILITY_SECONDS + 61)
    assert max(polled) <= condition.signal.at - exchange.sent_at
    assert bool(world.log) == bool(faults)
    run.finish()


def test_an_answer_whose_storing_is_denied_is_stored_and_signalled_later(world: World) -> None:
    run = Run(world)

    run.carry_out([CREATE | HANDLE, later(39)])  # until just before the work is complete
    # The first UpdateItem of the last poll takes the lease.
    run.carry_out([fault("dynamodb:UpdateItem", "deny", nth=2), later(30)])

    [stack] = run.stacks
    [signal] = stack.conditions[0].handle.signals
    assert signal.succeeds
    assert len(set(stack.exchanges[0].bodies)) == 1
    run.finish()


def test_a_sequence_is_printed_as_a_command_that_replays_it(world: World) -> None:
    run = Run(world)
    run.carry_out([CREATE, LATER])
    run.finish()

    printed = run.replay().partition("'")[2].rpartition("'")[0]
    assert json.loads(printed) == [CREATE, LATER]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOUND.glob("*.json")))
def test_a_sequence_that_once_broke_a_promise_breaks_none_now(world: World, name: str) -> None:
    carry_out(world, json.loads((FOUND / f"{name}.json").read_text()))
