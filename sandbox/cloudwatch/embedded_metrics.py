"""Metrics that log events hold: CloudWatch's embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import LogsBackend


@contextmanager
def extracted() -> Iterator[None]:
    """Put the metrics of each log event that comes into moto's CloudWatch Logs into its CloudWatch,
    of the same account and region."""
    put_log_events = LogsBackend.put_log_events

    @functools.wraps(put_log_events)
    def put_and_extract(
        backend: LogsBackend, log_group_name: str, log_stream_name: str, log_events: list[Any]
    ) -> Any:
        answer = put_log_events(backend, log_group_name, log_stream_name, log_events)
        cloudwatch = cloudwatch_backends[backend.account_id][backend.region_name]
        for event in log_events:
            for namespace, data in metrics_of(event["message"]):
                cloudwatch.put_metric_data(namespace, data)
        return answer

    with patch.object(LogsBackend, "put_log_events", put_and_extract):
        yield


def metrics_of(message: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """The namespaces and data, as PutMetricData takes them, that a log event's message holds; none
    where it is not of the format, or refers to members that it doesn't have."""
    if '"_aws"' not in message:  # of most lines
        return []
    try:
        document = json.loads(message)
        return [
            (directive["Namespace"], list(_data(directive, document)))
            for directive in document["_aws"]["CloudWatchMetrics"]
        ]
    except (ValueError, KeyError, TypeError):
        return []


def _data(directive: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    moment = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
    for names in directive["Dimensions"]:
        dimensions = [{"Name": name, "Value": document[name]} for name in names]
        for metric in directive["Metrics"]:
            values = document[metric["Name"]]
            yield {
                "MetricName": metric["Name"],
                "Dimensions": dimensions,
                "Timestamp": moment.replace(tzinfo=None),
                "Unit": metric.get("Unit", "None"),
                "Values": values if isinstance(values, list) else [values],
            }
