"""Whole stacks that meet refusals: those that pass, and those that last."""

import pytest

from .faults import (
    clear_faults,
    hits,
    set_batch_size,
    set_fault,
    wait_for_empty_queues,
)
from .support import Aws
from .trials import BUNDLE_INSTANCE, STORE_IMAGE, Sight, Steps, Trial, carry_out

ALWAYS = 100_000
SHORT = "60"
"""A ServiceTimeout, in seconds."""

pytestmark = pytest.mark.faults


@pytest.fixture
def aws(quick_and_clear: Aws) -> Aws:
    return quick_and_clear


def _trials(aws: Aws, count: int, outcome: str = "complete") -> list[Trial]:
    return [
        Trial(aws, instance=STORE_IMAGE.instance(aws, outcome), method=STORE_IMAGE)
        for _ in range(count)
    ]


def test_one_denial_of_a_poll_that_stacks_share_fails_none_of_them(aws: Aws) -> None:
    """A policy that was just replaced can deny what it allows."""
    set_batch_size(aws, 10)
    trials = _trials(aws, 6, "slow")
    denied: list[str] = []

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield trial.is_between_polls("storing")
        if not denied:
            denied.append(set_fault(aws, "ec2:DescribeImages", "deny", "trial-"))
        yield trial.rests()

    carry_out(aws, map(create, trials))
    set_batch_size(aws, 1)
    [fault] = denied

    assert hits(aws)[fault] == ["ec2:DescribeImages"]
    now = Sight(aws)
    for trial in trials:
        assert trial.problems("CREATE_COMPLETE", 1, ["one"], now) == []


def test_a_poll_that_stays_denied_fails_only_its_own_work_and_at_the_deadline(
    aws: Aws,
) -> None:
    set_batch_size(aws, 10)
    images = _trials(aws, 5)
    bundles = [
        Trial(aws, instance=BUNDLE_INSTANCE.instance(aws, "complete"), method=BUNDLE_INSTANCE)
        for _ in range(5)
    ]
    denied = set_fault(aws, "ec2:DescribeStoreImageTasks", "deny", "trial-", times=ALWAYS)

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one", ServiceTimeout=SHORT, OnDelete="Delete"))
        # The rollback has to read, too.
        yield lambda _: all(each.reasons() or _rests(aws, each) for each in images)
        if denied in hits(aws):
            clear_faults(aws, denied)
        yield trial.rests()

    def bundle(trial: Trial) -> Steps:
        trial.create(trial.body("one", ServiceTimeout=SHORT))
        yield trial.rests()
        assert denied in hits(aws)

    carry_out(aws, [*map(create, images), *map(bundle, bundles)])
    set_batch_size(aws, 1)
    wait_for_empty_queues(aws)
    now = Sight(aws)

    for trial in bundles:
        assert trial.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    for trial in images:
        assert trial.problems("ROLLBACK_COMPLETE", 1, [], now) == []
        reason = trial.reasons()[0]
        assert f"Not complete within ServiceTimeout ({SHORT} s)" in reason
        assert "ec2:DescribeStoreImageTasks was refused. UnauthorizedOperation: " in reason
        assert "Allow ec2:DescribeStoreImageTasks in the role " in reason
        assert " of the function cfn-instance-bundle (application " in reason


def _rests(aws: Aws, trial: Trial) -> bool:
    return not aws.stack(trial.stack_id)["StackStatus"].endswith("_IN_PROGRESS")


@pytest.mark.parametrize("code", ["InvalidAMIID.Unavailable", "InvalidAMIID.NotFound"])
def test_an_image_that_is_not_known_everywhere_yet_is_stored_a_little_later(
    aws: Aws, code: str
) -> None:
    [trial] = _trials(aws, 1)
    struck = set_fault(
        aws, "ec2:CreateStoreImageTask", "refuse", trial.name, code=code, message="No.", status=400
    )

    def create() -> Steps:
        trial.create(trial.body("one"))
        yield trial.rests()

    carry_out(aws, [create()])

    assert hits(aws)[struck] == ["ec2:CreateStoreImageTask"]
    assert trial.problems("CREATE_COMPLETE", 1, ["one"], Sight(aws)) == []


def test_snapshots_that_are_in_use_for_a_while_are_deleted_a_little_later(aws: Aws) -> None:
    """As they are after their AMI is deregistered."""
    [trial] = _trials(aws, 1)

    def create_and_delete() -> Steps:
        trial.create(trial.body("one", OnDelete="Delete"))
        yield trial.rests()
        set_fault(
            aws,
            "ec2:DeleteSnapshot",
            "refuse",
            trial.name,
            code="InvalidSnapshot.InUse",
            message="The snapshot is in use.",
            status=400,
            times=2,
        )
        trial.delete()
        yield trial.rests()

    carry_out(aws, [create_and_delete()])

    assert trial.problems("DELETE_COMPLETE", 1, [], Sight(aws)) == []
