"""Branches of a run: each reports what happened in it, and does not affect the others."""

import os

import pytest
from moto.ec2.models import ec2_backends

from tests.chaos.branches import Branch, explore
from tests.chaos.world import ACCOUNT, REGION, Fault, World


class Player:
    """Makes two calls, as a function does, and records their results."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[str] = []

    def play(self) -> None:
        for number in (1, 2):
            self.world.call(
                f"ec2:Call{number}",
                lambda number=number: self.seen.append(f"{number} done"),  # type: ignore[misc]
                lambda kind, number=number: self.seen.append(f"{number} {kind}"),  # type: ignore[misc]
            )


@pytest.fixture
def player(world: World, monkeypatch: pytest.MonkeyPatch) -> Player:
    class Context:
        ends = float("inf")
        is_for_failure_handler = False

    monkeypatch.setattr(world, "_contexts", [Context()])
    return Player(world)


def both(call: str) -> list[Fault]:
    return [Fault(call, "fail"), Fault(call, "cut-after")]


def test_each_branch_meets_its_fault_alone(world: World, player: Player) -> None:
    def check() -> list[str]:
        return [] if player.seen == ["1 done", "2 done"] else player.seen

    branches = explore(world, both, player.play, check)

    assert branches == [
        Branch(Fault("ec2:Call1", "fail"), 1, ["1 fail", "2 done"]),
        Branch(Fault("ec2:Call1", "cut-after"), 1, ["1 done", "1 cut", "2 done"]),
        Branch(Fault("ec2:Call2", "fail"), 2, ["1 done", "2 fail"]),
        Branch(Fault("ec2:Call2", "cut-after"), 2, ["1 done", "2 done", "2 cut"]),
    ]
    assert player.seen == ["1 done", "2 done"]


def test_what_breaks_a_branch_is_reported(world: World, player: Player) -> None:
    def check() -> list[str]:
        if "1 fail" in player.seen:
            raise ValueError("broken")
        return []

    branches = explore(world, lambda call: both(call)[:1], player.play, check)

    [first, second] = branches
    assert "ValueError: broken" in first.problems[0]
    assert second.problems == []


def test_a_branch_that_dies_is_reported(world: World, player: Player) -> None:
    def check() -> list[str]:
        if "1 fail" in player.seen:
            os._exit(0)
        return []

    [first, _] = explore(world, lambda call: both(call)[:1], player.play, check)

    assert first.problems == ["The branch ended without a report"]


def test_a_run_that_is_wrong_without_a_fault_is_no_base_for_branches(
    world: World, player: Player
) -> None:
    with pytest.raises(AssertionError, match="wrong already"):
        explore(world, both, player.play, lambda: ["wrong already"])
    assert world.on_call is None


def test_a_branch_has_aws_to_itself(world: World, player: Player) -> None:
    ec2 = ec2_backends[ACCOUNT][REGION]
    before = len(ec2.vpcs)

    def check() -> list[str]:
        if player.seen != ["1 done", "2 done"]:
            ec2.create_vpc("10.0.0.0/16")
        return []

    explore(world, both, player.play, check)

    assert len(ec2.vpcs) == before
