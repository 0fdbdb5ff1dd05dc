"""Whole stacks whose polls share invocations."""

import json
from collections.abc import Iterator

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY
from tests.chaos.matrix import OF_A_BATCH

from .faults import clear_faults, hits, set_batch_size, set_fault, wait_for_empty_queues
from .support import Aws
from .trials import Sight, Steps, Trial, carry_out

pytestmark = pytest.mark.faults

KINDS = {
    "throttle": 3,
    "fail": 3,
    "cut": 3,
    "cut-after": 3,
    "deny": 1,
    "kill": 1,
    "kill-after": 1,
}
"""How often each strikes: as often as the SDK repeats the call."""

POISONED = "ec2:DescribeBundleTasks"
"""The call that kills the function for one message of a batch."""

POLLS = "aws:sqs"
"""What is in each batch, and in no request."""

MOST_STACKS = 240
"""How many are created at most, until each fault has struck: how often a call is made depends on
the machine."""


@pytest.fixture
def batches(quick_and_clear: Aws) -> Iterator[Aws]:
    """A sandbox in which polls share invocations, and what is killed comes again soon."""
    set_batch_size(quick_and_clear, 10)
    yield quick_and_clear
    set_batch_size(quick_and_clear, 1)


def test_a_poll_that_kills_its_batch_costs_its_neighbours_nothing_and_is_answered_in_the_end(
    batches: Aws,
) -> None:
    aws = batches
    neighbours = [Trial(aws, instance=aws.instance(seconds="12", bundled="yes")) for _ in range(3)]
    poison = Trial(aws, instance=aws.instance(outcome="hang", bundled="yes"))

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield trial.rests()

    def create_poison() -> Steps:
        poison.create(poison.body("one"))
        yield poison.is_between_polls()
        # Only a poll of this task kills: neighbours that are taken alone are safe from it.
        [task] = poison.bundles()
        fault = set_fault(aws, POISONED, "kill", poison.name, holding=task, times=100_000)
        yield lambda _: bool(aws.responses(poison.stack_id))
        clear_faults(aws, fault)
        yield poison.rests()

    carry_out(aws, [create_poison(), *map(create, neighbours)])

    assert [trial.problems("CREATE_COMPLETE", 1, ["one"]) for trial in neighbours] == [[], [], []]
    assert poison.problems("ROLLBACK_COMPLETE", 1, []) == []
    [reason] = poison.reasons()
    assert "its polls kept failing" in reason
    assert dead_letters_counted(aws) >= 1


@pytest.mark.nightly
@pytest.mark.parametrize("call", OF_A_BATCH)
def test_stacks_end_right_whichever_call_for_all_of_their_batch_fails(
    batches: Aws, call: str
) -> None:
    aws = batches
    # So few that there are always others to gather.
    set_batch_size(aws, 3)
    faults: dict[str, str] = {}
    nth = 1
    for kind, times in KINDS.items():
        faults[set_fault(aws, call, kind, POLLS, nth=nth, times=times)] = kind
        nth += times

    def struck() -> dict[str, int]:
        return {faults[fault_id]: len(calls) for fault_id, calls in hits(aws).items()}

    def create(trial: Trial) -> Steps:
        trial.create(trial.body("one"))
        yield trial.rests()

    trials: list[Trial] = []
    while struck() != KINDS and len(trials) < MOST_STACKS:
        more = [Trial(aws, instance=aws.instance(seconds="20", bundled="yes")) for _ in range(24)]
        carry_out(aws, map(create, more), at_once=len(more))
        wait_for_empty_queues(aws)
        trials += more
    now = Sight(aws)

    assert struck() == KINDS
    found = [trial.problems("CREATE_COMPLETE", 1, ["one"], now) for trial in trials]
    assert found == [[]] * len(trials)


def dead_letters_counted(aws: Aws) -> int:
    """The metric that the alarm of the template watches, as the failure handler logs it."""
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    alarm = template["Resources"]["DeadLettersAnsweredAlarm"]["Properties"]
    [dimension] = alarm["Dimensions"]
    logs = aws.clients.client("logs")
    [group] = [
        group["logGroupName"]
        for group in logs.describe_log_groups()["logGroups"]
        if group["logGroupName"] != aws.ready["log_group"]
    ]
    lines = [
        json.loads(event["message"])
        for event in logs.filter_log_events(logGroupName=group)["events"]
        if event["message"].startswith("{")
    ]
    return sum(
        sum(line[alarm["MetricName"]])
        for line in lines
        if alarm["MetricName"] in line
        and line[dimension["Name"]] == dimension["Value"]
        and line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == alarm["Namespace"]
    )
