"""Whole stacks whose function meets faults, with real processes: one stack for each kind of fault.

Which call meets a fault, and in which phase of a stack's life, is what the simulated world tries:
tests/chaos/test_matrix.py.
"""

import json

import pytest

from .faults import clear_faults, hits, set_fault, wait_for_empty_queues
from .support import Aws
from .trials import PHASES, Sight, Steps, Trial, carry_out, new_trial

BUNDLE, STORE = "BundleInstance: create", "StoreImage: create"

ALWAYS = 100_000

ONE_OF_EACH: list[tuple[str, str, str, dict[str, float]]] = [
    (BUNDLE, "ec2:BundleInstance", "kill", {}),
    (BUNDLE, "ec2:BundleInstance", "kill-after", {}),
    (STORE, "ec2:CreateStoreImageTask", "kill-after", {}),
    (BUNDLE, "response:Put", "kill-after", {}),
    (BUNDLE, "ec2:DescribeBundleTasks", "throttle", {"times": 4}),
    (BUNDLE, "dynamodb:UpdateItem", "fail", {"times": 4}),
    (STORE, "s3:HeadObject", "cut", {"times": 4}),
    (STORE, "ec2:CreateImage", "cut-after", {"times": 1}),
    (BUNDLE, "response:Put", "cut", {"times": 6}),
    (BUNDLE, "response:Put", "fail", {"times": 2}),
    # It outlasts the time that the function has for an answer.
    (BUNDLE, "sqs:SendMessage", "delay", {"seconds": 9}),
    (BUNDLE, "event:Delivery", "twice", {"times": ALWAYS}),
    (STORE, "message:Delivery", "twice", {"times": ALWAYS}),
]
"""Phase, call, kind of fault, and what else it takes."""

REFUSED = ("ec2:BundleInstance", "response:Put", "signal:Put", "events:PutEvents")
"""The calls that stay refused, each for another stack."""

pytestmark = pytest.mark.faults


@pytest.fixture
def aws(quick_and_clear: Aws) -> Aws:
    return quick_and_clear


def test_a_stack_ends_right_with_one_fault_of_each_kind(aws: Aws) -> None:
    struck: dict[str, tuple[Trial, str, str]] = {}

    def steps(name: str, call: str, kind: str, more: dict[str, float]) -> Steps:
        def strike(trial: Trial) -> None:
            fault_id = set_fault(aws, call, kind, trial.name, **more)
            struck[fault_id] = trial, name, f"{name}, {kind} of {call}"

        return PHASES[name].steps(new_trial(aws, PHASES[name]), strike)

    carry_out(aws, (steps(*fault) for fault in ONE_OF_EACH))
    wait_for_empty_queues(aws)
    found = hits(aws)
    clear_faults(aws)
    now = Sight(aws)

    problems = {
        what: [
            *([] if found[fault_id] else ["never struck"]),
            *trial.problems(PHASES[name].status, PHASES[name].bundles, PHASES[name].left, now),
            *trial.not_notified(now),
        ]
        for fault_id, (trial, name, what) in struck.items()
    }
    assert len(struck) == len(ONE_OF_EACH)
    assert {what: wrong for what, wrong in problems.items() if wrong} == {}


def test_what_is_refused_keeps_no_stack_waiting(aws: Aws) -> None:
    """A call, the answer, a signal, an event: each of another stack, all at once."""
    call, answer, signal, event = trials = [new_trial(aws, PHASES[BUNDLE]) for _ in REFUSED]
    *_, refused = (
        set_fault(aws, name, "deny", trial.name, times=1 if trial is answer else ALWAYS)
        for name, trial in zip(REFUSED, trials, strict=True)
    )
    waiting = signal.waiting_body("one", OnDelete="Delete")
    waiting["Resources"]["Done"]["Properties"]["Timeout"] = "15"

    def create(trial: Trial, body: dict[str, object]) -> Steps:
        trial.create(body)
        yield trial.rests()

    carry_out(
        aws,
        [
            create(call, call.body("one", OnDelete="Delete")),
            create(answer, answer.body("one", ServiceTimeout=40, OnDelete="Delete")),
            create(signal, waiting),
            create(event, event.body("one", OnDelete="Delete")),
        ],
    )
    wait_for_empty_queues(aws)
    struck = hits(aws)
    clear_faults(aws)
    now = Sight(aws)

    assert call.problems("ROLLBACK_COMPLETE", 0, [], now) == []
    [reason] = call.reasons()
    assert "ec2:BundleInstance was refused. " in reason
    assert aws.stack(answer.stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = answer.reasons()
    assert "did not receive a response from your Custom Resource" in reason
    assert aws.keys(answer.name) == []
    logs = aws.clients.client("logs").filter_log_events(logGroupName=aws.ready["log_group"])
    lines = [line["message"] for line in logs["events"]]
    assert any("refused the response with status 403" in line for line in lines)
    assert signal.problems("ROLLBACK_COMPLETE", 1, [], now) == []
    [reason] = signal.reasons()
    assert "WaitCondition timed out" in reason
    # The event of the end once; before it `started`, if a poll came while the task ran.
    unpublished = [json.loads(line) for line in lines if "could not be published" in line]
    of_it = [line for line in unpublished if line["stack_id"] == event.stack_id]
    assert struck[refused] == ["events:PutEvents"] * len(of_it)
    assert ["state" in line for line in of_it].count(False) == 1
    assert event.problems("CREATE_COMPLETE", 1, ["one"], now) == []
    assert event.stack_id not in {each["Detail"]["StackId"] for each in now.events}
