"""Schedule expressions, and the rules that run by them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.events.schedules import parsed
from sandbox.server import Server
from tests.sandbox.functions.conftest import package, wait_for
from tests.stacks.support import SandboxProcess

from .support import SENDS, EventBridge, name

MINUTE = 0.3
"""Seconds that a minute of EventBridge's takes here."""

RUNS = [
    # Rates count from when the rule was put.
    ("rate(1 minute)", "2026-03-02T10:00", "2026-03-02T10:01", "2026-03-02T10:01"),
    ("rate(5 minutes)", "2026-03-02T10:02", "2026-03-02T10:06", None),
    ("rate(5 minutes)", "2026-03-02T10:02", "2026-03-02T10:08", "2026-03-02T10:07"),
    ("rate(2 hours)", "2026-03-02T10:02", "2026-03-02T12:02", "2026-03-02T12:02"),
    ("rate(1 day)", "2026-03-02T10:02", "2026-03-03T10:01", None),
    # The examples of AWS's page.
    ("cron(0 10 * * ? *)", "2026-03-02T09:00", "2026-03-02T10:30", "2026-03-02T10:00"),
    ("cron(15 12 * * ? *)", "2026-03-02T12:15", "2026-03-03T12:14", None),
    ("cron(0 18 ? * MON-FRI *)", "2026-03-06T17:00", "2026-03-06T18:00", "2026-03-06T18:00"),
    ("cron(0 18 ? * MON-FRI *)", "2026-03-07T17:00", "2026-03-08T19:00", None),
    ("cron(0 8 1 * ? *)", "2026-02-28T00:00", "2026-03-01T09:00", "2026-03-01T08:00"),
    ("cron(0/15 * * * ? *)", "2026-03-02T10:01", "2026-03-02T10:29", "2026-03-02T10:15"),
    ("cron(0/5 8-17 ? * MON-FRI *)", "2026-03-02T17:50", "2026-03-02T18:50", "2026-03-02T17:55"),
    ("cron(15 10 ? * 6L 2026)", "2026-03-01T00:00", "2026-03-31T00:00", "2026-03-27T10:15"),
    ("cron(15 10 ? * 6L 2025)", "2026-03-01T00:00", "2026-03-31T00:00", None),
    # The other wildcards.
    ("cron(0 0 L * ? *)", "2026-02-01T00:00", "2026-02-28T12:00", "2026-02-28T00:00"),
    ("cron(0 0 1W 8 ? *)", "2026-07-31T12:00", "2026-08-30T00:00", "2026-08-03T00:00"),
    ("cron(0 0 31W 5 ? *)", "2026-05-01T12:00", "2026-06-30T00:00", "2026-05-29T00:00"),
    ("cron(0 0 31W 2 ? *)", "2026-02-01T12:00", "2026-03-30T00:00", None),
    ("cron(0 0 ? * 3#2 *)", "2026-03-01T00:00", "2026-03-30T00:00", "2026-03-10T00:00"),
    ("cron(0 0 ? * L *)", "2026-03-01T00:00", "2026-03-08T00:00", "2026-03-07T00:00"),
    ("cron(0 0 1 JAN,MAR ? *)", "2026-01-02T00:00", "2026-04-02T00:00", "2026-03-01T00:00"),
]
INVALID = [
    *("rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 seconds)", "rate(x)"),
    *("cron(* * * * * *)", "cron(0 20 * * ? )", "cron(60 * * * ? *)", "cron(5-1 * * * ? *)"),
    *("cron(0 0 ? * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 1 FOO ? *)", "cron(*/60 * * * ? *)"),
]


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def bridge() -> Iterator[EventBridge]:
    with Server(iam_delay=0, schedule_minute=MINUTE) as server:
        yield EventBridge(cache(Clients(server.endpoint).client))


@pytest.mark.parametrize(("expression", "after", "until", "expected"), RUNS)
def test_a_schedule_says_when_a_rule_runs(
    expression: str, after: str, until: str, expected: str | None
) -> None:
    found = parsed(expression).latest(seconds(after), seconds(after), seconds(until))

    assert found == (seconds(expected) if expected else None)


@pytest.mark.parametrize("expression", INVALID)
def test_what_is_no_schedule_is_refused(bridge: EventBridge, expression: str) -> None:
    with pytest.raises(ClientError, match="Parameter ScheduleExpression is not valid"):
        bridge.client("events").put_rule(Name=name(), ScheduleExpression=expression)


def put(bridge: EventBridge, expression: str, arn: str, **target: str) -> tuple[str, str]:
    """A new rule with a schedule and a target; its name and ARN."""
    rule, events = name(), bridge.client("events")
    rule_arn = events.put_rule(Name=rule, ScheduleExpression=expression)["RuleArn"]
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": arn, **target}])
    return rule, rule_arn


def count(bridge: EventBridge, queue_url: str) -> int:
    found = bridge.client("sqs").get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.parametrize("expression", ["rate(1 minute)", "cron(* * * * ? *)"])
def test_a_rule_runs_again_and_again_until_it_is_disabled(
    bridge: EventBridge, expression: str
) -> None:
    queue = bridge.queue(SENDS)
    rule, arn = put(bridge, expression, queue.arn)

    wait_for(lambda: count(bridge, queue.url) >= 3)
    bridge.client("events").disable_rule(Name=rule)
    found = bridge.client("sqs").receive_message(QueueUrl=queue.url, MaxNumberOfMessages=3)
    events = [json.loads(message["Body"]) for message in found["Messages"]]
    others = put(bridge, "rate(1 minute)", (watched := bridge.queue(SENDS)).arn)
    before = bridge.metric("TriggeredRules", rule)
    wait_for(lambda: count(bridge, watched.url) >= 3)
    bridge.client("events").disable_rule(Name=others[0])

    assert bridge.metric("TriggeredRules", rule) <= before + 1
    event = events[0]
    assert len({each["id"] for each in events}) == len(events)
    assert event.pop("id")
    assert abs(seconds(event.pop("time").removesuffix("Z")) - datetime.now(UTC).timestamp()) < 600
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [arn],
        "detail": {},
    }


def test_a_rate_of_many_minutes_does_not_run_each_minute(bridge: EventBridge) -> None:
    rare, often = bridge.queue(SENDS), bridge.queue(SENDS)
    put(bridge, "rate(3 days)", rare.arn)
    put(bridge, "rate(1 minute)", often.arn)

    wait_for(lambda: count(bridge, often.url) >= 3)

    assert count(bridge, rare.url) == 0


def test_a_function_that_permits_it_is_invoked_with_the_targets_input(
    bridge: EventBridge, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = tmp_path_factory.mktemp("functions") / "record.jsonl"
    functions, function = bridge.client("lambda"), name()
    role = bridge.client("iam").create_role(RoleName=name(), AssumeRolePolicyDocument="{}")
    target = functions.create_function(
        FunctionName=function,
        Handler="app.record",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": package()},
        Environment={"Variables": {"RECORD": str(record)}},
    )["FunctionArn"]
    forbidden, _ = put(bridge, "rate(1 minute)", target, Input='{"from": "forbidden"}')
    wait_for(lambda: bridge.metric("FailedInvocations", forbidden) >= 1)
    rule, arn = put(bridge, "rate(1 minute)", target, Input='{"from": "permitted"}')
    functions.add_permission(
        FunctionName=function,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=arn,
    )

    wait_for(lambda: record.exists() and len(record.read_text().splitlines()) >= 2)
    events = bridge.client("events")
    events.remove_targets(Rule=rule, Ids=["1"])
    functions.remove_permission(FunctionName=function, StatementId="rule")
    events.delete_rule(Name=rule)

    seen = [json.loads(line)["event"] for line in record.read_text().splitlines()]
    assert {each["from"] for each in seen} == {"permitted"}


def test_serve_takes_how_long_a_minute_is(tmp_path: Path) -> None:
    options = ["--empty", "--schedule-minute", str(MINUTE)]
    process = SandboxProcess.start(tmp_path, options=options)
    try:
        bridge = EventBridge(cache(Clients(process.ready["endpoint"]).client))
        queue = bridge.queue(SENDS)
        put(bridge, "rate(1 minute)", queue.arn)

        wait_for(lambda: count(bridge, queue.url) >= 2)
    finally:
        assert process.end() == 0
