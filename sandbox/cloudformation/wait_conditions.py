"""Wait conditions and their handles: a stack that waits for signals.

What they do is in "Create wait conditions in a CloudFormation template" in the CloudFormation User
Guide, and in AWS::CloudFormation::WaitCondition in the template reference; the wording of failures,
the physical IDs, and that an update fails, were observed on CloudFormation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Any

from sandbox.cloudformation.intrinsics import text
from sandbox.cloudformation.providers import (
    Failed,
    Finished,
    Made,
    Order,
    Outcome,
    Work,
    no_attribute,
)
from sandbox.cloudformation.signals import Handle, Signal, Signals

HANDLE = "AWS::CloudFormation::WaitConditionHandle"
CONDITION = "AWS::CloudFormation::WaitCondition"

TIMEOUT_LIMIT = 43200  # seconds


@dataclass(frozen=True, slots=True)
class _Attributes:
    """The attributes of what was made by an order, which no update changes."""

    order: Order
    values: Mapping[str, str]
    hidden: bool = False

    def attribute(self, name: str) -> str:
        if name not in self.values:
            raise no_attribute(self.order, name)
        return self.values[name]


class Handles:
    """Provider of ``AWS::CloudFormation::WaitConditionHandle``."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def create(self, order: Order) -> Finished:
        handle = self._signals.open(f"{order.stack_id}/{order.logical_id}", order.region)
        return Finished(Made(handle.url, order, _Attributes(order, {"Id": handle.key})))

    def update(self, order: Order, made: Made) -> Finished:
        return _not_updated(order, made)

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Finished:
        self._signals.close(physical_id)
        return _gone(order, physical_id, made)


class WaitConditions:
    """Provider of ``AWS::CloudFormation::WaitCondition``."""

    def __init__(self, signals: Signals, clock: Callable[[], float], changed: Condition) -> None:
        """clock: epoch seconds. changed: its lock is held where signals are read."""
        self._signals = signals
        self._clock = clock
        self._changed = changed

    def create(self, order: Order) -> Work:
        timeout = _whole(order.properties.get("Timeout", ""))
        if timeout is None or timeout > TIMEOUT_LIMIT:
            return Finished(Failed(f"Timeout must be an integer from 0 to {TIMEOUT_LIMIT}"))
        count = _whole(order.properties.get("Count", 1))
        if not count:
            return Finished(Failed("Count must be an integer from 1"))
        handle = self._signals.find(text(order.properties.get("Handle", "")))
        if handle is None:
            return Finished(Failed("Handle must be the URL of a wait condition handle"))
        return _Waiting(order, handle, count, order.since + timeout, self._clock, self._changed)

    def update(self, order: Order, made: Made) -> Finished:
        return _not_updated(order, made)

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Finished:
        return _gone(order, physical_id, made)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A wait condition whose signals are yet to come. due: its timeout, in epoch seconds."""

    order: Order
    handle: Handle
    count: int
    due: float
    clock: Callable[[], float]
    changed: Condition

    def outcome(self) -> Outcome | None:
        with self.changed:
            counted = _counted(self.handle.signals, self.count)
        if isinstance(counted, str):
            return Failed(counted, self.handle.key)
        if len(counted) == self.count:
            data = json.dumps(counted, ensure_ascii=False, separators=(",", ":"))
            return Made(self.handle.key, self.order, _Attributes(self.order, {"Data": data}))
        if self.clock() < self.due:
            return None
        return Failed(
            f"WaitCondition timed out. Received {len(counted)} conditions "
            f"when expecting {self.count}",
            self.handle.key,
        )

    def abandon(self) -> str:
        return self.handle.key


def _counted(signals: Sequence[Signal | None], count: int) -> dict[str, str] | str:
    """The data of up to `count` signals of success by their unique IDs, as they came; or why the
    wait condition fails by one that came among them."""
    counted: dict[str, str] = {}
    for signal in signals:
        if len(counted) == count:
            break
        if signal is None:
            return "Unparsable WaitCondition data"
        if not signal.success:
            return (
                f"WaitCondition received failed message: '{signal.reason}' "
                f"for uniqueId: {signal.unique_id}"
            )
        counted[signal.unique_id] = signal.data
    return counted


def _whole(value: Any) -> int | None:
    """A number from 0, written as a number or as text; None for anything else."""
    written = text(value)
    return int(written) if written.isdecimal() else None


def _not_updated(order: Order, made: Made) -> Finished:
    # A rollback orders what there is already.
    if isinstance(made.attributes, _Attributes):
        created = made.attributes.order
        if order.properties == created.properties:
            return Finished(Made(made.physical_id, order, made.attributes))
    return Finished(Failed(f"Update to resource type {order.type} is not supported"))


def _gone(order: Order, physical_id: str, made: Made | None) -> Finished:
    return Finished(made or Made(physical_id, order, _Attributes(order, {})))
