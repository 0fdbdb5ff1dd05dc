"""CloudWatch's alarms, which moto keeps, evaluated at the end of each minute.

"For any period of one minute or longer, an alarm is evaluated every minute and the evaluation is
based on the window of time defined by the Period and Evaluation Periods"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Protocol, cast
from unittest.mock import patch
from weakref import WeakKeyDictionary

from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDatumBase, cloudwatch_backends

from sandbox.cloudwatch import alarm_actions, alarm_rules, dashboards
from sandbox.cloudwatch.clock import MINUTE
from sandbox.cloudwatch.points import period_of, point_of
from sandbox.cloudwatch.queue_metrics import QueueMetrics
from sandbox.cloudwatch.states import COMPARISONS, MORE_PERIODS, Rule, state_of

Dated = tuple[float, MetricDatumBase]
"""When a datum is from, by CloudWatch's time, and the datum."""


class Clock(Protocol):
    """CloudWatch's time."""

    def __call__(self) -> float:
        """What time it is, in epoch seconds."""

    def at(self, moment: float) -> float:
        """What time it is at a moment of real time."""

    def real(self, moment: float) -> float:
        """The moment of real time at which it is this time."""


class Alarms:
    """Evaluates the alarms of moto's CloudWatch, of all accounts and regions.

    Args:
        clock: the time of data and alarms.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues = QueueMetrics(clock)
        self._ended = self._minute()
        self._data: WeakKeyDictionary[CloudWatchBackend, tuple[int, float, list[Dated]]] = (
            WeakKeyDictionary()
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have a change of an alarm's state take its actions, a new alarm begin as CloudWatch's do,
        dashboards be checked, and queues be watched."""
        with (
            self._queues.watching(),
            patch.object(CloudWatchBackend, "put_metric_alarm", alarm_rules.checked()),
            patch.object(CloudWatchBackend, "put_dashboard", dashboards.checked()),
            patch.object(Alarm, "update_state", alarm_actions.acting()),
        ):
            yield

    def advance(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Publish what AWS publishes, and evaluate all alarms, for each minute that has ended since
        the last time.

        Args:
            is_over: nobody needs the minutes that are left.
        """
        while self._ended < self._minute() and not is_over():
            self._ended += 1
            end = self._ended * MINUTE
            self._queues.publish(self._clock.real(end - MINUTE / 2))
            for _, _, backend in list(cloudwatch_backends.iter_backends()):
                self._evaluate(cast(CloudWatchBackend, backend), end)

    def seconds_to_next(self) -> float:
        """Real seconds until the minute ends."""
        end = (self._minute() + 1) * MINUTE
        return max(0.0, self._clock.real(end) - self._clock.real(self._clock()))

    def _minute(self) -> int:
        return int(self._clock() // MINUTE)

    def _evaluate(self, backend: CloudWatchBackend, end: float) -> None:
        alarms = [each for each in backend.alarms.values() if each.rule is None]  # not composite
        begins = (begin for alarm in alarms for begin, _ in _windows(alarm, end))
        data = self._recent(backend, min(begins, default=end))
        for alarm in alarms:
            points = [
                point_of(alarm, [datum for when, datum in data if begin <= when < begin + length])
                for begin, length in _windows(alarm, end)
            ]
            state = _state(alarm, points)
            if state != alarm.state_value and alarm.name in backend.alarms:
                shown = [point for point in points if point is not None]
                reason = f"Threshold Crossed: {alarm.threshold} by the datapoints {shown}, {state}"
                backend.set_alarm_state(alarm.name, reason, "{}", state)

    def _recent(self, backend: CloudWatchBackend, begin: float) -> Sequence[Dated]:
        """The data since a moment. moto keeps all data, and adds new ones at the end: what was read
        is not read again, so that a minute takes no longer the more there are."""
        read, since, kept = self._data.get(backend, (0, begin, []))
        everything = list(backend.metric_data)
        if len(everything) < read or begin < since:
            read, kept = 0, []
        new = ((self._clock.at(_epoch(datum)), datum) for datum in everything[read:])
        recent = [dated for dated in (*kept, *new) if dated[0] >= begin]
        self._data[backend] = (len(everything), begin, recent)
        return recent


def _windows(alarm: Alarm, end: float) -> list[tuple[float, float]]:
    """Begin and length of each period of the evaluation range, the oldest first."""
    length = float(period_of(alarm))
    count = int(alarm.evaluation_periods) + MORE_PERIODS
    return [(end - length * back, length) for back in range(count, 0, -1)]


def _state(alarm: Alarm, points: list[float | None]) -> str:
    breaches = COMPARISONS[alarm.comparison_operator]
    threshold = float(alarm.threshold)
    rule = Rule(
        periods=int(alarm.evaluation_periods),
        points=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        missing=alarm.treat_missing_data or "missing",
    )
    breached = [None if point is None else breaches(point, threshold) for point in points]
    return state_of(rule, breached, alarm.state_value)


def _epoch(datum: MetricDatumBase) -> float:
    """moto keeps moments in UTC, and without saying so."""
    moment = datum.timestamp
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
