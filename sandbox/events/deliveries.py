"""Deliveries of events to the targets of rules, outside of the call that put the event.

An event that a target's policy forbids, or whose target is missing, is not retried, but goes to
the dead-letter queue
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from moto.events.models import Rule

from sandbox.events import metrics
from sandbox.events.inputs import InvalidJson, compact, input_of
from sandbox.events.targets import NotDelivered, invoke, send_to_queue
from sandbox.faults.faults import BUS_DELIVERY, Faults

Event = Mapping[str, Any]

logger = logging.getLogger("sandbox")


class Deliveries:
    """Delivers events, each in a thread of its own.

    Args:
        faults: those that lose, double and delay deliveries.
        others: moto's way to send an event to targets that are neither queues nor functions.
    """

    def __init__(self, faults: Faults, others: Callable[[Rule, Any], None]) -> None:
        self._faults = faults
        self._others = others
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def send(self, rule: Rule, event: Event) -> None:
        """Start the delivery to each target of a rule that is enabled and whose pattern matches.

        Args:
            event: with the member `ingestion-time` that moto adds; times are epoch seconds.
        """
        text = shown(event)
        if rule.state == "DISABLED" or not rule.event_pattern.matches_event(text):  # type: ignore[arg-type]
            return
        self.run(rule, event)

    def run(self, rule: Rule, event: Event) -> None:
        """Start the delivery to each target of a rule, whatever its pattern."""
        metrics.count(rule, "TriggeredRules")
        for target in list(rule.targets):
            self._spawn(partial(self._see_through, rule, target, event))

    def close(self) -> None:
        """Wait for the deliveries at work, and begin no other."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _spawn(self, task: Callable[[], None]) -> None:
        def run() -> None:
            try:
                task()
            except Exception:
                logger.exception("An event could not be delivered")
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="sandbox event delivery", daemon=True)
        with self._lock:
            if self._closed:
                return
            self._threads.add(thread)
            thread.start()

    def _see_through(self, rule: Rule, target: Mapping[str, Any], event: Event) -> None:
        fault = self._faults.strike(BUS_DELIVERY, compact(shown(event)), by_function=False)
        match fault and fault.fault:
            case "cut":
                return
            case "delay" if fault is not None:
                if not self._faults.hold(fault, lambda: False):
                    return
            case "twice":
                self._deliver(rule, target, event)
        self._deliver(rule, target, event)

    def _deliver(self, rule: Rule, target: Mapping[str, Any], event: Event) -> None:
        metrics.count(rule, "Invocations")
        try:
            self._hand_over(rule, target, event)
        except NotDelivered as failure:
            logger.info("%s: %s: %s", rule.arn, failure.code, failure.message)
            metrics.count(rule, "FailedInvocations")
            self._send_dead_letter(rule, target, event, failure)

    def _hand_over(self, rule: Rule, target: Mapping[str, Any], event: Event) -> None:
        arn = target["Arn"]
        service = arn.split(":")[2]
        if service not in ("sqs", "lambda"):
            self._others(_with_only(rule, target), dict(event))
            return
        try:
            text = input_of(
                target,
                shown(event),
                rule_arn=rule.arn,
                received=moment(event["ingestion-time"]),
            )
        except InvalidJson as problem:
            raise NotDelivered("INVALID_JSON", str(problem)) from None
        if service == "sqs":
            group = target.get("SqsParameters", {}).get("MessageGroupId")
            send_to_queue(arn, text, rule.arn, group_id=group)
        else:
            invoke(arn, text, rule.arn)

    def _send_dead_letter(
        self, rule: Rule, target: Mapping[str, Any], event: Event, failure: NotDelivered
    ) -> None:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue is None:
            return
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": str(target["Arn"]),
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
        }
        try:
            send_to_queue(queue, compact(shown(event)), rule.arn, attributes=attributes)
        except NotDelivered as refusal:
            logger.info("%s: %s: %s", rule.arn, refusal.code, refusal.message)
            metrics.count(rule, "InvocationsFailedToBeSentToDlq")
        else:
            metrics.count(rule, "InvocationsSentToDlq")


def shown(event: Event) -> dict[str, Any]:
    """An event as rules match it and targets get it."""
    visible = {name: value for name, value in event.items() if name != "ingestion-time"}
    return {**visible, "time": moment(event["time"])}


def moment(given: float | str) -> str:
    """A time as events have it. given: epoch seconds, or text."""
    if isinstance(given, str):
        return given
    return f"{datetime.fromtimestamp(given, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _with_only(rule: Rule, target: Mapping[str, Any]) -> Rule:
    alone = copy.copy(rule)
    alone.targets = [dict(target)]
    return alone
