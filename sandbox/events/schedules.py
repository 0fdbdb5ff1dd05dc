"""Schedule expressions of rules: `rate(5 minutes)`, and `cron(0 20 * * ? *)` in UTC.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

_MINUTE = 60
_UNITS = {"minute": _MINUTE, "hour": 60 * _MINUTE, "day": 24 * 60 * _MINUTE}
_RATE = re.compile(r"rate\((?P<value>\d+) +(?P<unit>minute|hour|day)(?P<many>s?)\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]*)\)")
_FIRST_HALF = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN")
_SECOND_HALF = ("JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate((*_FIRST_HALF, *_SECOND_HALF), 1)}
_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_DAYS = {name: number for number, name in enumerate(_WEEK, 1)}
_SATURDAY = _DAYS["SAT"]


class Schedule(Protocol):
    """When a rule runs."""

    def latest(self, since: float, after: float, until: float) -> float | None:
        """The latest moment after one and until another at which the rule runs, in epoch seconds;
        None if there is none.

        Args:
            since: when the rule was put.
        """


def parsed(expression: str) -> Schedule:
    """The schedule of an expression.

    Raises:
        ValueError: it is none.
    """
    if rate := _RATE.fullmatch(expression):
        value = int(rate["value"])
        if value < 1 or bool(rate["many"]) != (value > 1):
            raise ValueError(f"{expression}: a value of 1 has a singular unit, others a plural one")
        return _Rate(value * _UNITS[rate["unit"]])
    if cron := _CRON.fullmatch(expression):
        return _cron(cron["fields"].split())
    raise ValueError(f"{expression} is neither rate(...) nor cron(...)")


@dataclass(frozen=True, slots=True)
class _Rate:
    """A rate "starts when you create the scheduled event rule"; period: seconds."""

    period: float

    def latest(self, since: float, after: float, until: float) -> float | None:
        count = (until - since) // self.period
        moment = since + count * self.period
        return moment if count >= 1 and moment > after else None


_Field = Callable[[int], bool]
_DayField = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class _Cron:
    minute: _Field
    hour: _Field
    day: _DayField
    month: _Field
    weekday: _DayField
    year: _Field

    def latest(self, since: float, after: float, until: float) -> float | None:  # noqa: ARG002
        for minute in range(int(until // _MINUTE), int(after // _MINUTE), -1):
            if self._includes(datetime.fromtimestamp(minute * _MINUTE, UTC)):
                return float(minute * _MINUTE)
        return None

    def _includes(self, moment: datetime) -> bool:
        day = moment.date()
        return (
            self.minute(moment.minute)
            and self.hour(moment.hour)
            and self.month(moment.month)
            and self.year(moment.year)
            and self.day(day)
            and self.weekday(day)
        )


def _cron(fields: list[str]) -> _Cron:
    if len(fields) != 6:
        raise ValueError("cron(...) has six fields")
    minutes, hours, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ValueError("one of Day-of-month and Day-of-week is ?, and the other is not")
    return _Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _day_of_month(day),
        _numbers(month, 1, 12, _MONTHS),
        _day_of_week(weekday),
        _numbers(year, 1970, 2199),
    )


def _numbers(field: str, first: int, last: int, names: dict[str, int] | None = None) -> _Field:
    """`*`, `5`, `1-5`, `0/10`, and several of them with commas."""
    values = {
        value for part in field.split(",") for value in _range(part, first, last, names or {})
    }
    return values.__contains__


def _range(part: str, first: int, last: int, names: dict[str, int]) -> range:
    span, slash, step = part.partition("/")
    start, dash, end = span.partition("-")
    if span == "*":
        low, high = first, last
    else:
        low = _number(start, first, last, names)
        high = _number(end, first, last, names) if dash else last if slash else low
    if high < low:
        raise ValueError(f"{part} ends before it starts")
    return range(low, high + 1, _number(step, 1, last, {}) if slash else 1)


def _number(text: str, first: int, last: int, names: dict[str, int]) -> int:
    if text.upper() in names:
        return names[text.upper()]
    if not text.isdecimal() or not first <= int(text) <= last:
        raise ValueError(f"{text!r} is not a number from {first} to {last}")
    return int(text)


def _day_of_month(field: str) -> _DayField:
    """Also `?`, any; `L`, the last day; `3W`, the weekday nearest to the third day."""
    if field == "?":
        return lambda _: True
    if field == "L":
        return lambda day: day.day == _last_day(day)
    if field.endswith("W"):
        wanted = _number(field[:-1], 1, 31, {})
        return lambda day: day.day == _nearest_weekday(day, wanted)
    days = _numbers(field, 1, 31)
    return lambda day: days(day.day)


def _day_of_week(field: str) -> _DayField:
    """Also `?`, any; `L`, Saturday; `6L`, the last Friday of the month; `3#2`, the second
    Tuesday."""
    if field == "?":
        return lambda _: True
    if field == "L":
        return lambda day: _weekday(day) == _SATURDAY
    if field.endswith("L"):
        last = _number(field[:-1], 1, 7, _DAYS)
        return lambda day: _weekday(day) == last and day.day > _last_day(day) - 7
    name, hash_, number = field.partition("#")
    if hash_:
        wanted, place = _number(name, 1, 7, _DAYS), _number(number, 1, 5, {})
        return lambda day: _weekday(day) == wanted and (day.day + 6) // 7 == place
    days = _numbers(field, 1, 7, _DAYS)
    return lambda day: days(_weekday(day))


def _weekday(day: date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int:
    """In the same month; 0 if the month has no such day."""
    if wanted > _last_day(day):
        return 0
    match day.replace(day=wanted).isoweekday():
        case 6:
            return wanted - 1 if wanted > 1 else wanted + 2
        case 7:
            return wanted + 1 if wanted < _last_day(day) else wanted - 2
    return wanted
