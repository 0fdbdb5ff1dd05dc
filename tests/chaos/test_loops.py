"""Long work continues in one chain of requests, which Lambda stops without RecursiveLoop: Allow.

Lambda Developer Guide, Use Lambda recursive loop detection.
"""

from collections.abc import Iterator

import pytest

from sandbox.functions.lineage import LIMIT
from tests.chaos.sequence import Run
from tests.chaos.steps import CREATE, DELETE, HANDLE, STORES, later
from tests.chaos.world import World

TWENTY_MINUTES = {"seconds": 600, "store_seconds": 600, "timeout": 3600}
TWELVE_HOURS = {"seconds": 11 * 3600, "completion": 43_200}


@pytest.fixture
def world(world: World) -> Iterator[World]:
    """A world whose functions may run in a loop, as in the template."""
    assert world.allows_loops
    yield world
    world.allows_loops = True


def stored_images(world: World) -> list[str]:
    """The statuses of four stacks, each of which stores an image for twenty minutes."""
    run = Run(world, most_at_once=4)
    for number in range(4):
        run.step(CREATE | STORES | TWENTY_MINUTES | {"instance": number % 2, "prefix": None})
    run.step(later(3700))
    world.run_until_idle()
    return [stack.status for stack in run.stacks]


@pytest.mark.faults
def test_images_are_stored_for_twenty_minutes(world: World) -> None:
    assert stored_images(world) == ["CREATE_COMPLETE"] * 4
    assert world.longest_chain > 3 * LIMIT
    assert world.counts["loops stopped"] == 0


def test_without_allow_their_polls_are_stopped_at_the_seventeenth_invocation(world: World) -> None:
    world.allows_loops = False

    assert "CREATE_COMPLETE" not in stored_images(world)
    assert world.longest_chain == LIMIT
    assert world.counts["loops stopped"] > 0


def deleted_after_ten_minutes(world: World) -> str:
    """The status of a stack that is deleted while its image is stored: that can't be cancelled."""
    run = Run(world)
    stored = CREATE | STORES | {"seconds": 10, "store_seconds": 700, "timeout": 3600}
    run.carry_out([stored, later(60), DELETE, later(3700)])
    world.run_until_idle()
    [stack] = run.stacks
    return stack.status


@pytest.mark.faults
def test_a_delete_waits_for_ten_minutes(world: World) -> None:
    assert deleted_after_ten_minutes(world) == "DELETE_COMPLETE"
    assert world.longest_chain > LIMIT


def test_without_allow_a_delete_does_not_wait_so_long(world: World) -> None:
    world.allows_loops = False

    assert deleted_after_ten_minutes(world) != "DELETE_COMPLETE"
    assert world.longest_chain == LIMIT


def signalled_after_eleven_hours(world: World) -> list[bytes]:
    """The signals of an eleven-hour task, to a handle whose condition waits for twelve hours."""
    run = Run(world)
    run.carry_out([CREATE | HANDLE | TWELVE_HOURS, later(12 * 3600)])
    [condition] = run.stacks[0].conditions
    return [signal.body for signal in condition.handle.signals]


@pytest.mark.nightly
def test_a_handle_is_signalled_after_eleven_hours(world: World) -> None:
    [signal] = signalled_after_eleven_hours(world)

    assert b'"Status": "SUCCESS"' in signal
    assert world.longest_chain > 100 * LIMIT


def test_without_allow_a_handle_is_not_signalled(world: World) -> None:
    world.allows_loops = False

    assert not any(b"SUCCESS" in signal for signal in signalled_after_eleven_hours(world))
    assert world.longest_chain == LIMIT
