"""The state machine that draws sequences of steps."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos.aws_events import FATES
from tests.chaos.forged_events import ABOUT
from tests.chaos.refusal_promises import READS
from tests.chaos.sequence import Run
from tests.chaos.world import (
    EVENTS_PUT,
    FAULTS,
    KILLS,
    RESPONSE_PUT,
    SIGNAL_PUT,
    TASK_EVENTS_PUT,
    TEXT_CALLS,
    Violation,
    World,
)

CALLS = (
    *("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"),
    *("dynamodb:DeleteItem", "sqs:SendMessage", "sqs:SendMessageBatch", "sqs:ReceiveMessage"),
    *("sqs:DeleteMessageBatch", "ec2:BundleInstance"),
    *("secretsmanager:GetSecretValue", "ec2:DescribeInstances", "ec2:DescribeBundleTasks"),
    *("ec2:CreateImage", "ec2:CreateStoreImageTask", "ec2:DescribeImages"),
    *("ec2:DescribeStoreImageTasks", "ec2:DescribeSnapshots", "ec2:DeregisterImage"),
    *("ec2:DeleteSnapshot", "ec2:ModifyImageAttribute", "ec2:CreateTags", "ec2:DeleteTags"),
    *("ec2:CancelBundleTask", "ec2:RegisterImage", "s3:HeadObject", "s3:GetObject"),
    *("s3:ListObjectsV2", "s3:DeleteObjects", RESPONSE_PUT, SIGNAL_PUT, EVENTS_PUT),
    TASK_EVENTS_PUT,
    *TEXT_CALLS,
    *("cloudformation:DescribeStacks", "cloudformation:DescribeStackResource"),
    *("cloudformation:DescribeStackEvents", "s3:HeadBucket", "ec2:DescribeLockedSnapshots"),
    *("ec2:DescribeVolumes", "ec2:ListImagesInRecycleBin", "ec2:ListSnapshotsInRecycleBin"),
)

BUNDLES = {
    "method": st.sampled_from(["BundleInstance", "StoreImage"]),
    "instance": st.integers(0, 1),
    "prefix": st.sampled_from([None, "a", "b"]),
    "on_delete": st.sampled_from(["Retain", "Delete"]),
    "timeout": st.sampled_from([60, 90, 300, 600, 600]),
    "seconds": st.sampled_from([10, 40, 200]),
    "outcome": st.sampled_from([*["complete"] * 6, "failed", "hang"]),
    "store_seconds": st.sampled_from([5, 10, 40, 100]),
    "store_outcome": st.sampled_from([*["complete"] * 5, "failed"]),
    "store_stalls": st.sampled_from([99, 20]),
    "sibling": st.sampled_from([None, None, 1, 12, 70]),
    "long": st.sampled_from([*[False] * 19, True]),
}
IMAGES = {
    "image": st.sampled_from([None, None, "", "", "n", "m"]),
    "described": st.sampled_from([None, "x", "y"]),
    "register_seconds": st.sampled_from([0, 0, 20, 100]),
    "register_outcome": st.sampled_from([*["complete"] * 5, "failed"]),
    "handle": st.sampled_from([None, None, "new", "new", "same"]),
    "watched": st.sampled_from([True, True, True, False]),
    "completion": st.sampled_from([60, 120, 600, 1500]),
}
BUNDLES |= IMAGES


AWS_EVENTS = {
    "bucket": st.booleans(),
    "fates": st.lists(st.sampled_from([*FATES]), min_size=1, max_size=4),
}

_KINDS = st.sampled_from([*FAULTS, *KILLS, *KILLS, "meanwhile", "meanwhile", "hint"])
_TIMES = st.sampled_from([1, 1, 1, 2, 5])
_SOME_FAULTS = st.lists(
    st.fixed_dictionaries(
        {"call": st.just("*"), "kind": _KINDS, "nth": st.integers(1, 14), "times": _TIMES}
    )
    | st.fixed_dictionaries(
        {
            "call": st.sampled_from(CALLS),
            "kind": _KINDS,
            "nth": st.integers(1, 3),
            "times": _TIMES,
        }
    )
    | st.fixed_dictionaries(
        {
            "call": st.sampled_from(READS),
            "kind": st.just("deny"),
            "nth": st.integers(1, 3),
            "times": st.just(1),
        }
    ),
    min_size=1,
    max_size=3,
)


class Stacks(RuleBasedStateMachine):
    """Draws what users, siblings and AWS do to stacks of `world`.

    Attributes:
        found: collects the violations; None: the first one ends the search.
    """

    world: ClassVar[World]
    found: ClassVar[list[str] | None]

    def __init__(self) -> None:
        super().__init__()
        self.sequence = Run(self.world)
        self.world.counts["sequences"] += 1

    @initialize(
        events=st.none() | st.fixed_dictionaries(AWS_EVENTS),
        bundle=st.fixed_dictionaries(BUNDLES),
        faults=_SOME_FAULTS,
        faults_first=st.booleans(),
    )
    def begin(
        self,
        events: dict[str, Any] | None,
        bundle: dict[str, Any],
        faults: list[dict[str, Any]],
        faults_first: bool,
    ) -> None:
        if events is not None:
            self.sequence.step({"do": "aws events", **events})
        if faults_first:
            self.strike(faults)
            self.create(bundle)
        else:
            self.create(bundle)
            self.move(700)
            self.strike(faults)

    @rule(bundle=st.fixed_dictionaries(BUNDLES))
    def create(self, bundle: dict[str, Any]) -> None:
        self.sequence.step({"do": "create", **bundle})

    @rule(
        stack=st.integers(0, 1), bundle=st.fixed_dictionaries(BUNDLES), delete_first=st.booleans()
    )
    def update(self, stack: int, bundle: dict[str, Any], delete_first: bool) -> None:
        self.sequence.step({"do": "update", "stack": stack, "delete_first": delete_first, **bundle})

    @rule(
        stack=st.integers(0, 1),
        image=st.fixed_dictionaries(IMAGES),
        sibling=st.sampled_from([None, None, 1, 12, 70]),
    )
    def update_image(self, stack: int, image: dict[str, Any], sibling: int | None) -> None:
        self.sequence.step({"do": "update image", "stack": stack, "sibling": sibling, **image})

    @rule(stack=st.integers(0, 1))
    def delete(self, stack: int) -> None:
        self.sequence.step({"do": "delete", "stack": stack})

    @rule(seconds=st.sampled_from([1, 6, 25, 40, 250, 700, 4000]))
    def move(self, seconds: int) -> None:
        self.sequence.step({"do": "move", "seconds": seconds})

    @rule(faults=_SOME_FAULTS)
    def strike(self, faults: list[dict[str, Any]]) -> None:
        for fault in faults:
            self.sequence.step({"do": "fault", **fault})

    @rule(number=st.integers(0, 5), delay=st.sampled_from([0, 3, 3600]))
    def duplicate_event(self, number: int, delay: int) -> None:
        self.sequence.step({"do": "duplicate event", "number": number, "delay": delay})

    @rule(count=st.integers(1, 3))
    def duplicate_messages(self, count: int) -> None:
        self.sequence.step({"do": "duplicate messages", "count": count})

    @rule(number=st.integers(0, 1))
    def overwrite(self, number: int) -> None:
        self.sequence.step({"do": "overwrite", "number": number})

    @rule(number=st.integers(0, 3), by_hand=st.booleans())
    def copy(self, number: int, by_hand: bool) -> None:
        self.sequence.step({"do": "copy", "number": number, "by_hand": by_hand})

    @rule(
        about=st.sampled_from([*ABOUT]), number=st.integers(0, 9), count=st.sampled_from([1, 1, 25])
    )
    def forge_event(self, about: str, number: int, count: int) -> None:
        self.sequence.step({"do": "forge event", "about": about, "number": number, "count": count})

    def teardown(self) -> None:
        try:
            self.sequence.finish()
        except Violation as violation:
            if self.found is None:
                raise
            self.found.append(str(violation))


def machine(world: World, found: list[str] | None = None) -> type[Stacks]:
    """A machine whose sequences are carried out in a world.

    Args:
        found: collects the violations; None: the first one ends the search.
    """
    return type("StacksOfAWorld", (Stacks,), {"world": world, "found": found})


def search(sequences: int, steps: int, *, shrink: bool) -> settings:
    """The settings of a search.

    Args:
        sequences: how many to draw.
        steps: of each, at most.
        shrink: whether to find the shortest sequence that fails.
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
