"""The state that an alarm comes to by its data points.

The rules, and the tables that the tests hold, are in the CloudWatch User Guide, Configuring how
CloudWatch alarms treat missing data
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OK = "OK"
ALARM = "ALARM"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

MORE_PERIODS = 2
"""Periods before the evaluation periods whose points are taken where others are missing; CloudWatch
does not say how many there are, and takes five points for three periods in its examples."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an alarm evaluates.

    Attributes:
        periods: the evaluation periods, N.
        points: the data points to alarm, M of N.
        missing: what a missing point is: `breaching`, `notBreaching`, `ignore` or `missing`.
    """

    periods: int
    points: int
    missing: str


def state_of(rule: Rule, breaches: Sequence[bool | None], now: str) -> str:
    """The state of an alarm.

    breaches: whether each point breaches the threshold, None where it is missing; the oldest first,
        `rule.periods` and MORE_PERIODS of them.
    now: the state that it is in.
    """
    known = [breach for breach in breaches if breach is not None]
    if len(known) >= rule.periods:
        return _state(sum(known[-rule.periods :]) >= rule.points)
    if rule.missing == "breaching":
        return _state(sum(known) + rule.periods - len(known) >= rule.points)
    if rule.missing == "notBreaching" or sum(known) >= rule.points:
        return _state(sum(known) >= rule.points)
    if not known:
        return now if rule.missing == "ignore" else INSUFFICIENT_DATA
    if not all(known):
        return OK
    # "Alarms are designed to always go into ALARM state when the oldest available breaching
    # datapoint ... is at least as old as the value of Datapoints to Alarm, and all other more
    # recent data points are breaching or missing."
    age = len(breaches) - breaches.index(True)
    return ALARM if rule.missing == "missing" and age >= rule.points else now


def _state(is_alarm: bool) -> str:
    return ALARM if is_alarm else OK
