"""The dashboard shows the metrics that are there, on a grid without gaps and overlaps."""

import itertools
import json
import re
from collections import Counter
from typing import Any

from .test_telemetry import emitted_metrics
from .test_template import CONDITIONS, LEDGER, RESOURCES, of_type, resolved

OF_AWS = {
    # EventBridge User Guide, Monitoring Amazon EventBridge: RuleName alone is of the default bus.
    "AWS/Events": {"RuleName": {"FailedInvocations"}},
    # AWS Lambda Developer Guide, Types of metrics for Lambda functions.
    "AWS/Lambda": {"FunctionName": {"ConcurrentExecutions", "Duration", "Errors", "Throttles"}},
    # Amazon DynamoDB Developer Guide, DynamoDB metrics and dimensions.
    "AWS/DynamoDB": {"TableName": {"ReadThrottleEvents", "WriteThrottleEvents"}},
    # Amazon SQS Developer Guide, Available CloudWatch metrics for Amazon SQS.
    "AWS/SQS": {
        "QueueName": {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
        }
    },
}
VALUES = {
    "RuleName": {"${ImageEventRule}", "${ObjectEventRule}"},
    "FunctionName": {"${InstanceBundleFunction}", "${LastResortFunction}"},
    "TableName": {"${Ledger}", "${RequestTable}"},
    "QueueName": {
        f"${{{each}.QueueName}}" for each in ("PollQueue", "EventQueue", "DeadLetterQueue")
    },
}


def body() -> dict[str, Any]:
    text, _ = substituted()
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def substituted() -> tuple[str, dict[str, Any]]:
    """The body's text, and the values that it gets in addition to the stack's resources."""
    text, given = RESOURCES["MetricsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return text, given


def widgets(type_: str) -> list[dict[str, Any]]:
    return [each["properties"] for each in body()["widgets"] if each["type"] == type_]


def metrics() -> list[list[str]]:
    """All metrics as strings, in full: a dot stands for what is above it (Amazon CloudWatch API
    Reference, Dashboard Body Structure and Syntax)."""
    found: list[list[str]] = []
    for widget in widgets("metric"):
        above: list[str] = []
        for metric in widget["metrics"]:
            parts = [part for part in metric if isinstance(part, str)]
            above = [above[at] if part == "." else part for at, part in enumerate(parts)]
            found.append(above)
    return found


def test_it_shows_each_metric_that_is_emitted_and_no_other() -> None:
    shown = [metric for metric in metrics() if metric[0] == "InstanceBundle"]

    assert {metric[1] for metric in shown} == emitted_metrics()
    assert {(*metric[2:],) for metric in shown} == {("service", "instance-bundle")}


def test_its_other_metrics_are_awss_of_the_stacks_resources() -> None:
    shown = [metric for metric in metrics() if metric[0] != "InstanceBundle"]

    seen = {dimension: set[str]() for dimension in VALUES}
    for namespace, name, dimension, value in shown:
        assert name in OF_AWS[namespace][dimension]
        seen[dimension].add(value)
    assert seen == VALUES


def test_it_shows_each_alarm() -> None:
    [alarms] = widgets("alarm")

    assert sorted(alarms["alarms"]) == sorted(
        f"${{{name}.Arn}}" for name in of_type("AWS::CloudWatch::Alarm")
    )


def test_what_it_substitutes_is_there_and_needs_no_condition() -> None:
    named = {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", json.dumps(body()))}

    _, given = substituted()
    assert given == {"Ledger": LEDGER}
    resources = {name for name in named if not name.startswith("AWS::")} - {*given}
    assert named - resources == {"AWS::Region", "AWS::StackName", "Ledger"}
    assert [name for name in resources if "Condition" in RESOURCES[name]] == []


def test_the_widgets_fill_the_24_columns_and_do_not_overlap() -> None:
    cells = Counter(
        cell
        for widget in body()["widgets"]
        for cell in itertools.product(
            range(widget["x"], widget["x"] + widget["width"]),
            range(widget["y"], widget["y"] + widget["height"]),
        )
    )

    height = max(y for _, y in cells) + 1
    assert cells == Counter(itertools.product(range(24), range(height)))


def test_what_is_counted_once_a_minute_is_summed_over_a_minute() -> None:
    assert body()["periodOverride"] == "inherit"
    assert {widget["period"] for widget in widgets("metric")} == {60}


def test_it_is_there_only_where_it_is_asked_for() -> None:
    assert RESOURCES["MetricsDashboard"]["Condition"] == "HasDashboard"
    assert "HasDashboard" in CONDITIONS


def test_its_name_is_the_stacks_in_the_region() -> None:
    name = resolved(RESOURCES["MetricsDashboard"]["Properties"]["DashboardName"], ())

    assert name == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}
