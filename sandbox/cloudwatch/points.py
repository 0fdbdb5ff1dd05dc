"""What alarms evaluate: the points of metrics and expressions, from moto's data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from moto.cloudwatch.models import (
    Alarm,
    Dimension,
    MetricDataQuery,
    MetricDatumBase,
    MetricStat,
    Statistics,
)

from sandbox.cloudwatch.expressions import evaluate


def period_of(alarm: Alarm) -> int:
    """The seconds of each point."""
    stats = stats_of(alarm)
    return int(stats[0].period if stats else alarm.period)


def stats_of(alarm: Alarm) -> list[MetricStat]:
    """The metrics that the alarm's expressions are of; none where it watches a single metric."""
    return [query.metric_stat for query in alarm.metric_data_queries if query.metric_stat]


def watches(query: MetricDataQuery) -> bool:
    """Whether it is this one of several that is compared to the threshold."""
    return query.return_data in (True, None, "true")


def point_of(alarm: Alarm, data: list[MetricDatumBase]) -> float | None:
    """What the alarm watches, by the data of one period; None where there are none.

    Raises NotSupported for an expression that is not understood.
    """
    queries = alarm.metric_data_queries
    if not queries:
        metric = _Metric(
            alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic, alarm.unit
        )
        return metric.value(data)
    points: dict[str, float | None] = {
        query.id: _of(query.metric_stat).value(data) for query in queries if query.metric_stat
    }
    for query in queries:
        if query.metric_stat is None:
            points[query.id] = evaluate(str(query.expression), points)
    [watched] = [query.id for query in queries if watches(query)]
    return points[watched]


def _of(stat: MetricStat) -> _Metric:
    metric = stat.metric
    return _Metric(metric.namespace, metric.metric_name, metric.dimensions, stat.stat, stat.unit)


@dataclass(frozen=True, slots=True)
class _Metric:
    namespace: str
    name: str
    dimensions: list[Dimension]
    statistic: str
    unit: str | None

    def value(self, data: list[MetricDatumBase]) -> float | None:
        found = Statistics([self.statistic], datetime.now(UTC))
        found.metric_data = [datum for datum in data if self._is_of(datum)]
        value = found.get_statistics_for_type(self.statistic) if found.metric_data else None
        return None if value is None else float(value)

    def _is_of(self, datum: MetricDatumBase) -> bool:
        """All of a metric's dimensions are its identity: data with one more are another's."""
        return (
            (datum.namespace, datum.name) == (self.namespace, self.name)
            and _pairs(datum.dimensions) == _pairs(self.dimensions)
            and (self.unit is None or self.unit == datum.unit)
        )


def _pairs(dimensions: list[Dimension]) -> set[tuple[str | None, str | None]]:
    return {(dimension.name, dimension.value) for dimension in dimensions}
