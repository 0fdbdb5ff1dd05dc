"""Whole stacks whose function meets faults: each AWS call throttled, failed, cut off or denied."""

import itertools
from collections.abc import Iterable

import pytest

from .faults import clear_faults, hits, set_fault, wait_for_empty_queues
from .support import Aws
from .trials import PHASES, Phase, Sight, Steps, Trial, carry_out, new_trial, phases_named

PASSING = ("throttle", "fail", "cut", "cut-after")
CREATE = "BundleInstance: create"

# More often than the function repeats a call within one invocation: the SDK tries 3 times, the
# sender of answers and signals 5 times, and what makes a task or an AMI is never repeated.
TIMES = {
    "ec2:BundleInstance": 1,
    "ec2:CreateImage": 1,
    "ec2:RegisterImage": 1,
    "response:Put": 6,
    "signal:Put": 6,
}
OFTEN = 4

ALWAYS = 100_000

pytestmark = pytest.mark.faults


@pytest.fixture
def aws(quick_and_clear: Aws) -> Aws:
    return quick_and_clear


def _until_it_rests(trial: Trial) -> Steps:
    yield trial.rests()


def _all_end_right(aws: Aws, ordered: Iterable[tuple[str, str, str, dict[str, float]]]) -> None:
    """Take a stack through a phase for each fault (phase, call, kind, more), all at once."""
    faults: dict[str, tuple[Trial, Phase, str]] = {}

    def struck(name: str, call: str, kind: str, more: dict[str, float]) -> Steps:
        phase = PHASES[name]

        def strike(trial: Trial) -> None:
            fault_id = set_fault(aws, call, kind, trial.name, **more)
            faults[fault_id] = trial, phase, f"{name}, {kind} of {call}"

        return phase.steps(new_trial(aws, phase), strike)

    carry_out(aws, itertools.starmap(struck, ordered), patience=260)
    wait_for_empty_queues(aws)
    found = hits(aws)
    clear_faults(aws)
    now = Sight(aws)

    problems = {
        what: [
            *([] if found[fault_id] else ["never struck"]),
            *trial.problems(phase.status, phase.bundles, phase.left, now),
            *trial.untold(now),
        ]
        for fault_id, (trial, phase, what) in faults.items()
    }
    assert {what: wrong for what, wrong in problems.items() if wrong} == {}


ALL = ("",)

STRUCK = {
    "BundleInstance: create": ALL,
    "BundleInstance: delete": ALL,
    "BundleInstance: create through a handle": ("dynamodb:UpdateItem", "response:", "signal:"),
    "StoreImage: create": ("ec2:", "s3:"),
    "StoreImage: delete": ("ec2:", "s3:"),
}
"""How the names begin of those calls of a phase that are struck; the others are made in the same
way in a phase before it."""


def _struck(calls: dict[str, list[str]], name: str) -> list[str]:
    return sorted({call for call in calls[name] if call.startswith(STRUCK[name])})


@pytest.mark.timeout(360)
@pytest.mark.parametrize("name", STRUCK)
def test_a_stack_ends_right_whichever_call_fails_for_a_while(
    aws: Aws, calls: dict[str, list[str]], name: str
) -> None:
    _all_end_right(
        aws,
        [
            (name, call, kind, {"times": TIMES.get(call, OFTEN)})
            for call, kind in itertools.product(_struck(calls, name), PASSING)
        ],
    )


@pytest.mark.timeout(360)
def test_a_call_that_outlasts_the_functions_time_is_taken_up_by_the_queue(
    aws: Aws, calls: dict[str, list[str]]
) -> None:
    _all_end_right(
        aws,
        [(name, call, "delay", {"seconds": 9}) for name in STRUCK for call in _struck(calls, name)],
    )


@pytest.mark.timeout(360)
def test_what_is_delivered_twice_at_once_is_done_once(aws: Aws) -> None:
    names = [
        *phases_named("create", "create through a handle", "replace", "roll back"),
        *phases_named("delete while created", "delete while accepted", "delete while stored"),
        "BundleInstance: update in place",
    ]
    deliveries = ("event:Delivery", "message:Delivery")
    _all_end_right(
        aws,
        [
            (name, delivery, "twice", {"times": ALWAYS})
            for name, delivery in itertools.product(names, deliveries)
        ],
    )


DENIED = {
    "BundleInstance: create": {
        "dynamodb:PutItem": "dynamodb:PutItem",
        "dynamodb:Query": "dynamodb:Query",
        "dynamodb:UpdateItem": "dynamodb:UpdateItem",
        "ec2:BundleInstance": "ec2:BundleInstance",
        "ec2:DescribeBundleTasks": "ec2:DescribeBundleTasks",
        "ec2:DescribeImages": "ec2:DescribeImages",
        "ec2:DescribeInstances": "ec2:DescribeInstances",
        "ec2:RegisterImage": "ec2:RegisterImage",
        "s3:HeadObject": "s3:GetObject",
        "secretsmanager:GetSecretValue": "secretsmanager:GetSecretValue",
        "sqs:SendMessage": "sqs:SendMessage",
    },
    "BundleInstance: delete": {
        "dynamodb:DeleteItem": "dynamodb:DeleteItem",
        "dynamodb:PutItem": "dynamodb:PutItem",
        "dynamodb:Query": "dynamodb:Query",
        "dynamodb:UpdateItem": "dynamodb:UpdateItem",
        "ec2:DeregisterImage": "ec2:DeregisterImage",
        "ec2:DescribeImages": "ec2:DescribeImages",
        "s3:DeleteObjects": "s3:DeleteObject",
        "s3:GetObject": "s3:GetObject",
        "s3:ListObjectsV2": "s3:ListBucket",
        "sqs:SendMessage": "sqs:SendMessage",
    },
    "BundleInstance: delete while created": {
        "ec2:CancelBundleTask": "ec2:CancelBundleTask",
        "ec2:DescribeBundleTasks": "ec2:DescribeBundleTasks",
    },
    "BundleInstance: update in place": {
        "ec2:DescribeImages": "ec2:DescribeImages",
        "ec2:RegisterImage": "ec2:RegisterImage",
    },
    "BundleInstance: replace": {
        "ec2:BundleInstance": "ec2:BundleInstance",
    },
    "StoreImage: create": {
        "ec2:CreateImage": "ec2:CreateImage",
        "ec2:CreateStoreImageTask": "ec2:CreateStoreImageTask",
        "ec2:DescribeImages": "ec2:DescribeImages",
        "ec2:DescribeInstances": "ec2:DescribeInstances",
        "ec2:DescribeStoreImageTasks": "ec2:DescribeStoreImageTasks",
    },
    "StoreImage: update in place": {
        "ec2:CreateTags": "ec2:CreateTags",
        "ec2:DeleteTags": "ec2:DeleteTags",
        "ec2:DescribeSnapshots": "ec2:DescribeSnapshots",
        "ec2:ModifyImageAttribute": "ec2:ModifyImageAttribute",
    },
    "StoreImage: delete": {
        "ec2:DeleteSnapshot": "ec2:DeleteSnapshot",
        "ec2:DeregisterImage": "ec2:DeregisterImage",
        "ec2:DescribeSnapshots": "ec2:DescribeSnapshots",
        "s3:DeleteObjects": "s3:DeleteObject",
    },
    "StoreImage: delete while created": {
        "ec2:DeleteSnapshot": "ec2:DeleteSnapshot",
        "ec2:DeregisterImage": "ec2:DeregisterImage",
        "ec2:DescribeImages": "ec2:DescribeImages",
        "s3:HeadObject": "s3:GetObject",
    },
    "StoreImage: replace": {
        "ec2:CreateImage": "ec2:CreateImage",
    },
}
"""The action that the Reason names, by the call that is denied."""

STORING = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
"""The calls without which no answer is stored."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DENIED)
def test_a_denied_call_is_failed_at_once_with_its_action_and_mended_by_a_delete(
    aws: Aws, calls: dict[str, list[str]], name: str
) -> None:
    """The Delete is a new request. Where the answer can't be stored, what is delivered again once
    it may be stored is answered as it then is: nobody listens any more."""
    phase = PHASES[name]
    reasons: dict[str, list[str]] = {}
    trials: dict[str, Trial] = {}

    def denied(call: str) -> Steps:
        faults: list[str] = []

        def strike(trial: Trial) -> None:
            faults.append(set_fault(aws, call, "deny", trial.name, times=ALWAYS))

        trial = trials[call] = new_trial(aws, phase)
        yield from phase.steps(trial, strike)
        reasons[call] = trial.reasons()
        clear_faults(aws, *faults)
        trial.delete()
        yield trial.rests()

    assert {*DENIED[name]} <= {*calls[name]}
    carry_out(aws, map(denied, DENIED[name]), patience=100)
    wait_for_empty_queues(aws)

    for call, action in DENIED[name].items():
        assert any(f"{action} was refused. " in reason for reason in reasons[call]), reasons
    ends = {
        call: [
            problem
            for problem in trial.problems("DELETE_COMPLETE", None, [])
            if not (call in STORING and " was answered " in problem)
        ]
        for call, trial in trials.items()
    }
    assert {call: wrong for call, wrong in ends.items() if wrong} == {}


def test_polls_that_are_denied_the_ledger_are_answered_by_the_last_resort(
    aws: Aws, calls: dict[str, list[str]]
) -> None:
    """The function cannot answer: what it is to answer stands in the ledger. The last resort has a
    role of its own; the denial ends before its turn, after as many polls as the queue delivers."""
    before = calls[CREATE][: calls[CREATE].index("ec2:DescribeBundleTasks")]
    trial = new_trial(aws, PHASES[CREATE])

    def strike(trial: Trial) -> None:
        set_fault(
            aws,
            *("dynamodb:UpdateItem", "deny", trial.name),
            nth=before.count("dynamodb:UpdateItem"),
            times=3,
        )

    carry_out(aws, [PHASES[CREATE].steps(trial, strike)], patience=100)
    clear_faults(aws)

    assert aws.stack(trial.stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = trial.reasons()
    assert "The function could not carry the request out: its polls kept failing" in reason
    assert [task["State"] for task in aws.tasks(trial.instance)] == ["complete"]


def test_an_answer_that_is_refused_is_given_up_and_the_stack_times_out(aws: Aws) -> None:
    trial = new_trial(aws, PHASES[CREATE])
    set_fault(aws, "response:Put", "deny", trial.name)

    trial.create(trial.body("one", ServiceTimeout=15, OnDelete="Delete"))
    carry_out(aws, [_until_it_rests(trial)], patience=60)
    clear_faults(aws)

    assert aws.stack(trial.stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = trial.reasons()
    assert "did not receive a response from your Custom Resource" in reason
    assert aws.keys(trial.name) == []
    logs = aws.clients.client("logs").filter_log_events(logGroupName=aws.ready["log_group"])
    lines = [event["message"] for event in logs["events"]]
    assert any("refused the response with status 403" in line for line in lines)


def test_a_signal_that_is_refused_is_given_up_and_the_condition_times_out(aws: Aws) -> None:
    trial = new_trial(aws, PHASES[CREATE])
    set_fault(aws, "signal:Put", "deny", trial.name, times=ALWAYS)

    body = trial.waiting_body("one", OnDelete="Delete")
    body["Resources"]["Done"]["Properties"]["Timeout"] = "15"
    trial.create(body)
    carry_out(aws, [_until_it_rests(trial)], patience=60)
    clear_faults(aws)

    assert trial.problems("ROLLBACK_COMPLETE", 1, []) == []
    [reason] = trial.reasons()
    assert "WaitCondition timed out" in reason


def test_a_bus_that_refuses_events_keeps_no_stack_waiting(aws: Aws) -> None:
    trial = new_trial(aws, PHASES[CREATE])
    set_fault(aws, "events:PutEvents", "deny", trial.name, times=ALWAYS)

    carry_out(aws, [PHASES[CREATE].steps(trial, lambda _: None)], patience=60)
    wait_for_empty_queues(aws)
    struck = hits(aws)
    clear_faults(aws)

    now = Sight(aws)
    assert [*struck.values()] == [["events:PutEvents"]]
    assert trial.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    assert trial.stack_id not in {event["Detail"]["StackId"] for event in now.events}


def test_an_answer_that_meets_503s_and_cuts_arrives_within_one_invocation(aws: Aws) -> None:
    _all_end_right(aws, [(CREATE, "response:Put", kind, {"times": 2}) for kind in PASSING])
