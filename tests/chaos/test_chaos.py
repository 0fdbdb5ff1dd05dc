"""A short search; `make chaos` runs a long one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.machine import machine, search
from tests.chaos.sequence import Run, Step, carry_out
from tests.chaos.world import World, running

BUNDLE: dict[str, Any] = {
    "method": "BundleInstance",
    "instance": 0,
    "prefix": "a",
    "on_delete": "Delete",
    "timeout": 600,
    "seconds": 40,
    "outcome": "complete",
    "store_seconds": 40,
    "store_outcome": "complete",
    "store_stalls": 99,
    "described": None,
    "sibling": None,
}
CREATE: dict[str, Any] = {"do": "create", **BUNDLE}
UPDATE: dict[str, Any] = {
    "do": "update",
    "stack": 0,
    "delete_first": False,
    **BUNDLE,
    "prefix": "b",
}
STORES: dict[str, Any] = {"method": "StoreImage", "described": "x"}
LATER: dict[str, Any] = {"do": "move", "seconds": 250}


def fault(call: str, kind: str, nth: int = 1) -> dict[str, Any]:
    return {"do": "fault", "call": call, "kind": kind, "nth": nth, "times": 1}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as world:
        yield world


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(3))
def test_no_sequence_breaks_a_promise(world: World, number: int) -> None:
    run_state_machine_as_test(
        seed(number)(machine(world)), settings=search(25, steps=12, shrink=False)
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
        # Finished, not answered; and the process that removes it is killed half-way.
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
    ("steps", "kind"),
    [
        ([CREATE], "meanwhile"),
        ([CREATE], "kill-after"),
        ([CREATE, LATER, UPDATE], "kill-after"),
        ([CREATE, LATER, UPDATE | {"sibling": 9}], "kill-after"),
        ([CREATE | STORES], "kill-after"),
        (
            [CREATE | STORES, {"do": "move", "seconds": 60}, {"do": "delete", "stack": 0}],
            "kill-after",
        ),
    ],
)
@pytest.mark.timeout(600)
def test_a_kill_after_any_call_breaks_no_promise(
    world: World, steps: list[Step], kind: str
) -> None:
    """The calls are counted from the last step on, until a sequence ends before the kill."""
    for nth in range(1, 200):
        before = world.counts[kind]
        kill = fault("*", kind, nth)
        carry_out(world, [*steps[:-1], kill, steps[-1], {"do": "move", "seconds": 600}])
        if world.counts[kind] == before:
            assert nth > 10
            return
    raise AssertionError("The sequence has no end")


def test_a_sequence_is_printed_so_that_it_can_be_carried_out_again(world: World) -> None:
    run = Run(world)
    for step in (CREATE, LATER):
        run.step(step)
    run.finish()

    printed = run.replay().partition("'")[2].rpartition("'")[0]
    assert json.loads(printed) == [CREATE, LATER]
