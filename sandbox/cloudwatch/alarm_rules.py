"""What PutMetricAlarm refuses, and how an alarm begins
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import Alarm, CloudWatchBackend

from sandbox.cloudwatch.clock import MINUTE
from sandbox.cloudwatch.expressions import NotSupported
from sandbox.cloudwatch.points import period_of, point_of, stats_of, watches
from sandbox.cloudwatch.states import COMPARISONS, INSUFFICIENT_DATA

_STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
_HOUR, _DAY = 3_600, 86_400  # seconds


def checked() -> Callable[..., Alarm]:
    """moto's PutMetricAlarm, which refuses what CloudWatch refuses, or what is unknown here."""
    put_metric_alarm = CloudWatchBackend.put_metric_alarm

    @functools.wraps(put_metric_alarm)
    def put(backend: CloudWatchBackend, name: str, *given: Any, **named: Any) -> Alarm:
        before = backend.alarms.get(name)
        alarm = put_metric_alarm(backend, name, *given, **named)
        try:
            if alarm.rule is None:
                _check(alarm)
        except ValueError as problem:
            del backend.alarms[name]
            if before is not None:
                backend.alarms[name] = before
            raise InvalidParameterValue(str(problem)) from problem
        # "When you update an existing alarm, its state is left unchanged" (PutMetricAlarm).
        alarm.state_value = before.state_value if before else INSUFFICIENT_DATA
        return alarm

    return put


def _check(alarm: Alarm) -> None:
    """Refuse what PutMetricAlarm refuses, and what is not understood here."""
    if alarm.comparison_operator not in COMPARISONS:
        raise ValueError(f"ComparisonOperator: {alarm.comparison_operator} is not evaluated here")
    if alarm.treat_missing_data not in (None, "breaching", "notBreaching", "ignore", "missing"):
        raise ValueError(f"TreatMissingData: {alarm.treat_missing_data} is not valid")
    if alarm.datapoints_to_alarm and alarm.datapoints_to_alarm > alarm.evaluation_periods:
        raise ValueError("DatapointsToAlarm may not be larger than EvaluationPeriods")
    if alarm.threshold is None:
        raise ValueError("Threshold is missing")
    _check_metrics(alarm)
    period = period_of(alarm)
    if period < MINUTE or period % MINUTE:
        raise ValueError(f"Period {period} is no multiple of 60; shorter ones are missing here")
    longest = _DAY if period < _HOUR else 7 * _DAY
    if period * alarm.evaluation_periods > longest:
        raise ValueError(f"Metrics cannot be checked across more than {longest} seconds")


def _check_metrics(alarm: Alarm) -> None:
    queries, stats = alarm.metric_data_queries, stats_of(alarm)
    if not queries and None in (alarm.metric_name, alarm.namespace, alarm.period):
        raise ValueError("MetricName, Namespace and Period, or Metrics, are required")
    for statistic in [stat.stat for stat in stats] if queries else [alarm.statistic]:
        if statistic not in _STATISTICS:
            raise ValueError(f"The statistic {statistic} is not one of {', '.join(_STATISTICS)}")
    if not queries:
        return
    if len({int(stat.period) for stat in stats}) != 1:
        raise ValueError("Metrics: all have to be of the same period")
    if sum(watches(query) for query in queries) != 1:
        raise ValueError("Metrics: exactly one has to have ReturnData true")
    try:
        point_of(alarm, [])
    except NotSupported as problem:
        raise ValueError(f"Metrics: {problem}") from problem
