"""Rules with a schedule, which run on a clock that can be faster than the others.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule, events_backends

from sandbox.cloudwatch.clock import CloudWatchClock
from sandbox.events.schedules import parsed

_SECONDS = 1.0
_PART_OF_MINUTE = 10


class ScheduledRules:
    """The rules that have a schedule, and when each was last considered.

    Args:
        clock: how long a minute takes.
    """

    def __init__(self, clock: CloudWatchClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[Rule, float] = {}
        self._considered: dict[Rule, float] = {}
        self._run: Callable[[Rule, dict[str, Any]], None] = lambda *_: None

    @contextmanager
    def kept(self, run: Callable[[Rule, dict[str, Any]], None]) -> Iterator[None]:
        """Have moto refuse schedules that are none, and the others run in `advance`.

        Args:
            run: delivers an event to each target of a rule.
        """
        self._run = run
        with patch.object(EventsBackend, "put_rule", self._keeping(EventsBackend.put_rule)):
            yield

    def advance(self) -> None:
        """Run each rule whose time has come. A run that is late by a period is left out."""
        now = self._clock()
        for rule, moment in self._due(now):
            self._run(rule, _event(rule, self._clock.real(moment)))

    def seconds_to_next(self) -> float:
        """How long to wait until the next `advance`."""
        return min(_SECONDS, self._clock.minute / _PART_OF_MINUTE)

    def _keeping(self, put_rule: Callable[..., Rule]) -> Callable[..., Rule]:
        @functools.wraps(put_rule)
        def put(*args: Any, **given: Any) -> Rule:
            expression = given.get("scheduled_expression")
            if expression:
                try:
                    parsed(expression)
                except ValueError:
                    message = "Parameter ScheduleExpression is not valid."
                    raise ValidationException(message) from None
            rule = put_rule(*args, **given)
            if expression:
                with self._lock:
                    self._since[rule] = self._considered[rule] = self._clock()
            return rule

        return put

    def _due(self, now: float) -> list[tuple[Rule, float]]:
        with self._lock:
            due = []
            for rule, since in list(self._since.items()):
                if not _is_there(rule):
                    del self._since[rule], self._considered[rule]
                    continue
                schedule = parsed(rule.scheduled_expression or "")
                moment = schedule.latest(since, self._considered[rule], now)
                self._considered[rule] = now
                if moment is not None and rule.state != "DISABLED":
                    due.append((rule, moment))
            return due


def _is_there(rule: Rule) -> bool:
    """Not deleted, nor put again."""
    bus = events_backends[rule.account_id][rule.region_name].event_buses["default"]
    return bus.rules.get(rule.name) is rule


def _event(rule: Rule, moment: float) -> dict[str, Any]:
    """As in the examples of the Rust runtime for Lambda
    (https://github.com/aws/aws-lambda-rust-runtime/commit/5dcad203ab8677a54e039276fa4531c2e624e1cb)."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule.account_id,
        "time": moment,
        "region": rule.region_name,
        "resources": [rule.arn],
        "detail": {},
        "ingestion-time": moment,
    }
