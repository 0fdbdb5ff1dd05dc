"""The kill matrix: the function's process killed before and after each call that it makes.

The calls of each phase are learned from a run in which nothing is killed. Then each of them is the
last call of a process, in a stack of its own. Between two calls a process changes nothing outside
itself, so that a kill after one call is a kill before the next; the first call is killed before it
is carried out, too. A call that only reads leaves what the one before it left: it is the last one
of a process in one phase of each method alone.
"""

import itertools

import pytest

from .faults import clear_faults, hits, set_fault, wait_for_empty_queues
from .support import Aws
from .trials import PHASES, Sight, Steps, Trial, carry_out, new_trial

# What these do, others do, too: it is left out for the time that it would take.
LEFT_OUT = {
    "StoreImage: delete and retain",
    "StoreImage: delete while stored",
    "StoreImage: delete while accepted",
}

EACH = {"BundleInstance: create", "StoreImage: create"}
"""The phases in which a call that only reads is the last one, too."""

READS = {
    *("dynamodb:GetItem", "dynamodb:Query", "secretsmanager:GetSecretValue"),
    *("ec2:DescribeBundleTasks", "ec2:DescribeImages", "ec2:DescribeInstances"),
    *("ec2:DescribeSnapshots", "ec2:DescribeStoreImageTasks"),
    *("s3:GetObject", "s3:HeadObject", "s3:ListObjectsV2"),
}

pytestmark = pytest.mark.faults


@pytest.fixture
def aws(quick_and_clear: Aws) -> Aws:
    return quick_and_clear


@pytest.mark.timeout(480)
@pytest.mark.parametrize("name", [name for name in PHASES if name not in LEFT_OUT])
def test_the_stack_ends_right_whichever_call_is_the_last_of_a_process(
    aws: Aws, calls: dict[str, list[str]], name: str
) -> None:
    phase = PHASES[name]
    faults: dict[str, tuple[Trial, str]] = {}

    def killed(kind: str, nth: int) -> Steps:
        call = calls[name][nth - 1]
        nth_of_its_name = calls[name][:nth].count(call)

        def strike(trial: Trial) -> None:
            fault_id = set_fault(aws, call, kind, trial.name, nth=nth_of_its_name)
            faults[fault_id] = trial, f"{kind} at call {nth}, {call} {nth_of_its_name}"

        return phase.steps(new_trial(aws, phase), strike)

    own = phase.own(calls[name])
    nths = [nth for nth in own if name in EACH or calls[name][nth - 1] not in READS]
    kills = [("kill", own[0]), *(("kill-after", nth) for nth in nths)]
    carry_out(aws, itertools.starmap(killed, kills), patience=400)
    wait_for_empty_queues(aws)
    struck = hits(aws)
    clear_faults(aws)
    now = Sight(aws)

    problems = {
        what: [
            *([] if struck[fault_id] else ["was never killed"]),
            *trial.problems(phase.status, phase.bundles, phase.left, now),
            *trial.untold(now),
        ]
        for fault_id, (trial, what) in faults.items()
    }
    assert {what: found for what, found in problems.items() if found} == {}
