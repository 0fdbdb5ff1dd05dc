"""Whole stacks whose function meets what passes: no room to run, calls that hang, answers that say
nothing. Nothing of it ends a stack, and no invocation fails to its end."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .faults import (
    VISIBILITY,
    clear_faults,
    hits,
    ledger_table,
    set_batch_size,
    set_fault,
    set_visibility,
    wait_for_empty_queues,
)
from .support import Aws, json_of, wait_for
from .trials import (
    BUNDLE_INSTANCE,
    PHASES,
    STORE_IMAGE,
    Method,
    Sight,
    Steps,
    Trial,
    carry_out,
    new_trial,
)

BUNDLE = "BundleInstance: create"

ALWAYS = 100_000

HANGS = 6
"""Calls that hang until the fault is over."""

UNREADABLE: list[tuple[str, str]] = [
    *(("ec2:DescribeInstances", body) for body in ("empty", "truncated", "cut-short")),
    *(("ec2:DescribeInstances", "unreadable"), ("ec2:DescribeBundleTasks", "empty")),
    *(("ec2:DescribeBundleTasks", "unreadable"), ("ec2:BundleInstance", "truncated")),
    *(("dynamodb:UpdateItem", "empty"), ("dynamodb:Query", "unreadable")),
    *(("sqs:SendMessageBatch", "empty"), ("sqs:SendMessageBatch", "unreadable")),
    *(("s3:HeadObject", "empty"), ("s3:HeadObject", "unreadable")),
    *(("events:PutEvents", "empty"), ("events:PutEvents", "unreadable")),
]
"""A call, and what its answer holds."""

TOO_SLOW: dict[str, str | float] = {"code": "RequestTimeout", "status": 400}
"""What S3 answers where the body of a PUT is too long in coming."""

pytestmark = pytest.mark.faults


@pytest.fixture
def aws(quick_and_clear: Aws) -> Aws:
    return quick_and_clear


@pytest.fixture
def batches(aws: Aws) -> Iterator[Aws]:
    """The sandbox, with polls that share invocations, as they do where it is deployed."""
    set_batch_size(aws, 10)
    yield aws
    set_batch_size(aws, 1)


@pytest.fixture
def impatient(aws: Aws) -> Iterator[Aws]:
    """The sandbox, in which what Lambda has no room for is a dead letter soon."""
    set_visibility(aws, 9)
    yield aws
    set_visibility(aws, VISIBILITY)


def test_work_that_lambda_has_no_room_for_is_done_once_it_has(impatient: Aws) -> None:
    """A poll is a dead letter by then, and a Create was refused by Lambda before it ever ran."""
    aws = impatient
    functions, name = aws.clients.functions, aws.ready["service_token"]
    under_way = Trial(aws, instance=aws.instance(seconds="6", bundled="yes"))
    new = new_trial(aws, PHASES[BUNDLE])
    under_way.create(under_way.body("one"))
    wait_for(lambda: under_way.is_between_polls()(Sight(aws)) or None, "the bundle to be under way")

    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        new.create(new.body("one"))
        wait_for(lambda: _dead_letters(aws, under_way) or None, "a poll to be a dead letter")
    finally:
        functions.delete_function_concurrency(FunctionName=name)

    for trial in (under_way, new):
        aws.at_rest(trial.stack_id)
        assert trial.problems("CREATE_COMPLETE", 1, ["one"]) == []


def test_what_hangs_is_waited_out_and_delays_no_work_of_the_other_method(batches: Aws) -> None:
    """The polls of all these stacks come in batches, with one Describe call a kind of task."""
    aws, failed = batches, _failed_invocations(batches)
    bundles = [_trial(aws, BUNDLE_INSTANCE) for _ in range(3)]
    stored = [_trial(aws, STORE_IMAGE) for _ in range(2)]
    hanging = set_fault(
        aws, "ec2:DescribeBundleTasks", "delay", "trial-", seconds=600, times=ALWAYS
    )

    def has_hung(_: Sight) -> bool:
        return len(hits(aws)[hanging]) >= HANGS

    def store(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield trial.rests()
        assert hanging in hits(aws)

    def bundle(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield has_hung
        assert aws.stack(trial.stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
        yield lambda now: not {each.stack_id for each in stored} & now.busy
        if hanging in hits(aws):
            clear_faults(aws, hanging)
        yield trial.rests()

    carry_out(aws, [*map(bundle, bundles), *map(store, stored)])
    wait_for_empty_queues(aws)
    now = Sight(aws)

    for trial in (*bundles, *stored):
        assert trial.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    assert _failed_invocations(aws) == failed
    assert [line for line in _log(aws) if "Task timed out" in line] == []


def test_an_answer_that_can_not_be_read_is_waited_out_by_the_next_poll(aws: Aws) -> None:
    """No invocation fails of it, so that no message has to come again."""
    failed = _failed_invocations(aws)
    # Work that lasts has one poll send the next one.
    trials = [Trial(aws, instance=aws.instance(seconds="7", bundled="yes")) for _ in UNREADABLE]
    # What was asked is read before the request is received: if that fails, Lambda invokes again.
    held = {"dynamodb:Query": {"holding": ledger_table(aws.clients.client("dynamodb"))}}
    struck = [
        set_fault(aws, call, "garble", trial.name, body=body, **held.get(call, {}))
        for trial, (call, body) in zip(trials, UNREADABLE, strict=True)
    ]

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one", OnDelete="Delete"))
        yield trial.rests()

    carry_out(aws, map(create, trials))
    wait_for_empty_queues(aws)
    found = hits(aws)
    clear_faults(aws)
    now = Sight(aws)

    problems = {
        case: [
            *([] if found[fault_id] else ["never struck"]),
            *trial.problems("CREATE_COMPLETE", 1, ["one"], now),
            *trial.not_notified(now),
        ]
        for case, fault_id, trial in zip(UNREADABLE, struck, trials, strict=True)
    }
    assert {case: wrong for case, wrong in problems.items() if wrong} == {}
    assert [body for trial in trials for body in _dead_letters(aws, trial)] == []
    assert _failed_invocations(aws) == failed


def test_an_answer_that_the_bucket_was_too_slow_for_is_sent_again(aws: Aws) -> None:
    once, often, refused = trials = [new_trial(aws, PHASES[BUNDLE]) for _ in range(3)]
    struck = [
        set_fault(aws, "response:Put", "refuse", trial.name, times=times, **TOO_SLOW)
        for trial, times in ((once, 1), (often, 5), (refused, 5))
    ]

    def create(trial: Trial, **properties: Any) -> Steps:
        trial.create(trial.body("one", **properties))
        yield trial.rests()

    carry_out(aws, [create(once), create(often), create(refused, OnDelete="Burn")])
    wait_for_empty_queues(aws)
    found = hits(aws)
    now = Sight(aws)

    assert [len(found[fault]) for fault in struck] == [1, 5, 5]
    assert once.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    assert often.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    assert refused.problems("ROLLBACK_COMPLETE", 0, [], now) == []
    [reason] = refused.reasons()
    assert "OnDelete" in reason
    # At once: by the invocation that had the answer.
    assert len(_answering(aws, once)) == 1
    assert [trial for trial in trials if _dead_letters(aws, trial)] == []


def _trial(aws: Aws, method: Method) -> Trial:
    return Trial(aws, instance=method.instance(aws, "complete"), method=method)


def _dead_letters(aws: Aws, trial: Trial) -> list[str]:
    """The bodies of the dead letters about a stack, those that were handled included."""
    messages = json_of(f"{aws.clients.endpoint}/sandbox/messages")
    return [
        message["body"]
        for message in messages
        if "DeadLetter" in message["queue"] and trial.name in message["body"]
    ]


def _failed_invocations(aws: Aws) -> float:
    """How many invocations of the function ended in an error, by CloudWatch."""
    now = datetime.now(UTC)
    points = aws.clients.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[
            {"Name": "FunctionName", "Value": aws.ready["service_token"].rsplit(":", 1)[1]}
        ],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(minutes=1),
        Period=10800,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def _log(aws: Aws) -> list[str]:
    """The lines that the function has logged, and Lambda about it."""
    pages = (
        aws.clients.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=aws.ready["log_group"])
    )
    return [event["message"] for page in pages for event in page["events"]]


def _answering(aws: Aws, trial: Trial) -> list[str]:
    """The invocations that had an answer to the stack's request."""
    lines = [json.loads(line) for line in _log(aws) if trial.name in line]
    return [line["function_request_id"] for line in lines if line.get("message") == "Answering"]
