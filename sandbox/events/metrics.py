"""EventBridge's metrics of rules in CloudWatch: the namespace AWS/Events.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
"""

from __future__ import annotations

from typing import Literal

from moto.cloudwatch.models import cloudwatch_backends
from moto.events.models import Rule

NAMESPACE = "AWS/Events"

Metric = Literal[
    "FailedInvocations",
    "Invocations",
    "InvocationsFailedToBeSentToDlq",
    "InvocationsSentToDlq",
    "TriggeredRules",
]


def count(rule: Rule, metric: Metric) -> None:
    """Count one, by RuleName; on a custom bus by EventBusName and RuleName."""
    dimensions = [{"Name": "RuleName", "Value": rule.name}]
    if rule.event_bus_name != "default":
        dimensions.insert(0, {"Name": "EventBusName", "Value": rule.event_bus_name})
    cloudwatch_backends[rule.account_id][rule.region_name].put_metric_data(
        NAMESPACE,
        [{"MetricName": metric, "Dimensions": dimensions, "Value": 1, "Unit": "Count"}],
    )
