"""Lambda's metrics of functions in CloudWatch: the namespace AWS/Lambda, by FunctionName.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

from typing import Literal

from moto.awslambda.models import LambdaFunction
from moto.cloudwatch.models import cloudwatch_backends

NAMESPACE = "AWS/Lambda"

KEPT = 10_000
"""How many values of all metrics of a Region are known, so that memory is bounded: the newest."""

Metric = Literal[
    "AsyncEventAge",
    "AsyncEventsDropped",
    "AsyncEventsReceived",
    "DeadLetterErrors",
    "DestinationDeliveryFailures",
    "Errors",
    "Invocations",
    "RecursiveInvocationsDropped",
    "Throttles",
]


def count(function: LambdaFunction, metric: Metric, value: float = 1) -> None:
    """Put one value of a function's metric, of now. Ages are in milliseconds, others are counts."""
    unit = "Milliseconds" if metric == "AsyncEventAge" else "Count"
    cloudwatch = cloudwatch_backends[function.account_id][function.region]
    cloudwatch.put_metric_data(
        NAMESPACE,
        [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "FunctionName", "Value": function.function_name}],
                "Value": value,
                "Unit": unit,
            }
        ],
    )
    del cloudwatch.metric_data[:-KEPT]
