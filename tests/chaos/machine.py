"""The state machine that draws sequences of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos.sequence import Run
from tests.chaos.world import FAULTS, KILLS, RESPONSE_PUT, World

CALLS = (
    *("dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"),
    *("dynamodb:DeleteItem", "sqs:SendMessage", "ec2:BundleInstance"),
    *("ec2:DescribeBundleTasks", "ec2:CancelBundleTask", "s3:HeadObject", "s3:GetObject"),
    *("s3:ListObjectsV2", "s3:DeleteObjects", RESPONSE_PUT),
)

BUNDLES = {
    "instance": st.integers(0, 1),
    "prefix": st.sampled_from([None, "a", "b"]),
    "on_delete": st.sampled_from(["Retain", "Delete"]),
    "timeout": st.sampled_from([60, 90, 300, 600]),
    "seconds": st.sampled_from([10, 40, 200]),
    "outcome": st.sampled_from(["complete", "complete", "complete", "failed", "hang"]),
    "sibling": st.sampled_from([None, None, 1, 12, 70]),
}


def machine(world: World) -> type[RuleBasedStateMachine]:
    """A machine whose sequences are carried out in a world."""

    class Stacks(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.run = Run(world)
            world.counts["sequences"] += 1

        @initialize(bundle=st.fixed_dictionaries(BUNDLES), faults=_some(_faults()))
        def begin(self, bundle: dict[str, Any], faults: list[dict[str, Any]]) -> None:
            for fault in faults:
                self.run.step({"do": "fault", **fault})
            self.run.step({"do": "create", **bundle})

        @rule(bundle=st.fixed_dictionaries(BUNDLES))
        def create(self, bundle: dict[str, Any]) -> None:
            self.run.step({"do": "create", **bundle})

        @rule(
            stack=st.integers(0, 1), bundle=st.fixed_dictionaries(BUNDLES), delete_first=st.booleans()
        )
        def update(self, stack: int, bundle: dict[str, Any], delete_first: bool) -> None:
            step = {"do": "update", "stack": stack, "delete_first": delete_first, **bundle}
            self.run.step(step)

        @rule(stack=st.integers(0, 1))
        def delete(self, stack: int) -> None:
            self.run.step({"do": "delete", "stack": stack})

        @rule(seconds=st.sampled_from([1, 6, 25, 40, 250, 4000]))
        def move(self, seconds: int) -> None:
            self.run.step({"do": "move", "seconds": seconds})

        @rule(faults=_some(_faults()))
        def strike(self, faults: list[dict[str, Any]]) -> None:
            for fault in faults:
                self.run.step({"do": "fault", **fault})

        @rule(number=st.integers(0, 5), delay=st.sampled_from([0, 3, 3600]))
        def duplicate_event(self, number: int, delay: int) -> None:
            self.run.step({"do": "duplicate event", "number": number, "delay": delay})

        @rule(count=st.integers(1, 3))
        def duplicate_messages(self, count: int) -> None:
            self.run.step({"do": "duplicate messages", "count": count})

        @rule(number=st.integers(0, 1))
        def overwrite(self, number: int) -> None:
            self.run.step({"do": "overwrite", "number": number})

        def teardown(self) -> None:
            self.run.finish()

    return Stacks


def search(sequences: int, steps: int, *, shrink: bool) -> settings:
    """How long to search.

    Args:
        sequences: how many to draw.
        steps: of each, at most.
        shrink: look for the shortest sequence that fails.
    """
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


def _faults() -> st.SearchStrategy[dict[str, Any]]:
    kinds = st.sampled_from([*FAULTS, *KILLS, *KILLS, "meanwhile", "meanwhile"])
    times = st.sampled_from([1, 1, 1, 2, 5])
    any_call = {"call": st.just("*"), "kind": kinds, "nth": st.integers(1, 14), "times": times}
    one_call = {
        "call": st.sampled_from(CALLS),
        "kind": kinds,
        "nth": st.integers(1, 3),
        "times": times,
    }
    return st.fixed_dictionaries(any_call) | st.fixed_dictionaries(one_call)


def _some(
    drawn: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(drawn, min_size=1, max_size=3)


Machine = Callable[[World], type[RuleBasedStateMachine]]
