"""How requests end if a call is refused, throttled, unreadable, or hangs."""

import pytest
from rich.console import Console

from instance_bundle.aws.calls import CALLS, Purpose
from tests.chaos.outcomes import FOR_GOOD, MEETS, ONCE, PLACES, Outcome, outcomes, purpose, table
from tests.chaos.search import quiet
from tests.chaos.world import TEXT_CALLS, action_of, running

SERVICE_TIMEOUT = 600
"""Seconds; the ServiceTimeout of the stacks."""

FAILED_BY = {
    ONCE: {Purpose.START, Purpose.REMOVE},
    FOR_GOOD: set(Purpose) - {Purpose.PUBLISH},
}
"""The purposes of the calls whose refusal fails the request."""

OPTIONAL = {
    *("sqs:DeleteMessageBatch", "sqs:ReceiveMessage", "sqs:SendMessageBatch"),
    *("s3:HeadBucket", "ec2:DescribeLockedSnapshots", "ec2:DescribeVolumes"),
    *("ec2:ListImagesInRecycleBin", "ec2:ListSnapshotsInRecycleBin"),
    "texts:DeleteItem",
}
"""Without these, a batch is smaller, its messages are delivered again, or an answer is not sent
again; a check that is denied decides nothing; a text that is not removed expires."""

ELSEWHERE = {
    *(call for call in CALLS if call.startswith("cloudformation:")),
    *("s3:GetObjectRetention", "s3:ListObjectVersions"),
}
"""These are tried in tests/unit/test_confirmation.py and test_versions.py."""

TRIED = {*CALLS, *TEXT_CALLS} - ELSEWHERE


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    with quiet(), running() as world:
        return list(outcomes(world))


def test_each_call_is_tried() -> None:
    assert {call for calls in PLACES.values() for call in calls} == TRIED


@pytest.mark.faults
def test_the_outcome_of_each_call_depends_on_its_purpose(
    found: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        Console(width=160).print(table(found))

    assert len(found) == len(TRIED) * len(MEETS)
    assert [str(each.broken) for each in found if each.broken] == []
    assert [each for each in found if not is_right(each)] == []


def is_right(outcome: Outcome) -> bool:
    """Whether it is as the table in `instance_bundle.refusals` says."""
    fails = purpose(outcome.call) in FAILED_BY.get(outcome.meets, set())
    if not fails or outcome.call in OPTIONAL:
        return outcome.is_unchanged
    named = any(f"{action_of(outcome.call)} was refused. " in reason for reason in outcome.reasons)
    return named and outcome.seconds < SERVICE_TIMEOUT
