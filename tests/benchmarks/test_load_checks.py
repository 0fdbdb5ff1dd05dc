from dataclasses import replace
from typing import Any

import pytest

from benchmarks.load.checks import Seen, problems
from benchmarks.load.client import Stack


def stack(number: int, **changes: Any) -> Stack:
    outputs = {
        "BundleId": f"bun-{number:017x}",
        "S3Uri": f"s3://images/load-{number}",
        "ManifestLocation": f"images/load-{number}.manifest.xml",
    }
    made = Stack(
        name=f"load-{number}",
        instance_id=f"i-{number}",
        stack_id=f"arn:{number}",
        status="CREATE_COMPLETE",
        outputs=tuple(outputs.items()),
    )
    return replace(made, **changes)


CREATED = (stack(1), stack(2))
ANSWERS = [
    {
        "stackId": each.stack_id,
        "requestId": f"{each.name}-create",
        "taken": True,
        "body": {"Status": "SUCCESS", "RequestId": f"{each.name}-create"},
    }
    for each in CREATED
]
SEEN = Seen(
    bucket="images",
    bundle_requests=[
        {"InstanceId": each.instance_id, "BundleId": dict(each.outputs)["BundleId"]}
        for each in CREATED
    ],
    responses=ANSWERS,
    keys=frozenset(f"{each.name}.manifest.xml" for each in CREATED),
    left_in_queues=0,
)


def with_output(number: int, name: str, value: str) -> Stack:
    made = stack(number)
    return replace(made, outputs=tuple({**dict(made.outputs), name: value}.items()))


def test_stacks_that_ended_right_are_no_problem() -> None:
    assert problems(CREATED, SEEN) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        stack(2, status="ROLLBACK_COMPLETE"),
        stack(2, outputs=()),
        with_output(2, "BundleId", "dryrun-1"),
        with_output(2, "BundleId", dict(stack(1).outputs)["BundleId"]),
        with_output(2, "S3Uri", "s3://images/other"),
        with_output(2, "ManifestLocation", "images/other.manifest.xml"),
    ],
)
def test_a_stack_that_was_not_created_right_is_one(wrong: Stack) -> None:
    assert problems((stack(1), wrong), SEEN)


def test_an_answer_that_is_sent_again_as_it_was_is_none() -> None:
    again = replace(SEEN, responses=[*ANSWERS, {**ANSWERS[0], "taken": False}])
    assert problems(CREATED, again) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle_requests": SEEN.bundle_requests[:1]},
        {"bundle_requests": [*SEEN.bundle_requests, SEEN.bundle_requests[0]]},
        {"bundle_requests": [*SEEN.bundle_requests, {"InstanceId": "i-1", "Error": "refused"}]},
        {"responses": ANSWERS[:-1]},
        {"responses": [*ANSWERS, {**ANSWERS[0], "requestId": "another"}]},
        {"responses": [*ANSWERS, {**ANSWERS[0], "taken": False, "body": {"Status": "FAILED"}}]},
        {"responses": [*ANSWERS, {**ANSWERS[0], "taken": False, "body": {"Status": "SUCCESS"}}]},
        {"responses": [*ANSWERS[:-1], {**ANSWERS[-1], "taken": False}]},
        {"responses": [*ANSWERS[:-1], {**ANSWERS[-1], "body": {"Status": "FAILED"}}]},
        {"keys": frozenset({"load-1.manifest.xml"})},
        {"left_in_queues": 1},
    ],
)
def test_a_record_that_disagrees_is_reported(changes: dict[str, Any]) -> None:
    assert problems(CREATED, replace(SEEN, **changes))
