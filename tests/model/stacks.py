"""CloudFormation's side: a stack with one bundle, controlled by a scenario's script.

A script is a generator: it sends a request, yields what it waits for, and continues with the
result. Each change of the stack's and the bundle's status is recorded, since the function reads
them while it handles a request.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any, Protocol

from instance_bundle.request import Request
from tests.model.exchanges import Awaited, Exchange, Pause, Signal
from tests.model.stack_reads import StackReads

ACCOUNT, REGION = "123456789012", "us-east-1"
LOGICAL_ID = "Bundle"
NEXT_REQUEST = 1.0
"""Seconds from an answer to the next request."""

_BUCKET = f"https://cloudformation-custom-resource-response-useast1.s3.{REGION}.amazonaws.com"
_HANDLES = f"https://cloudformation-waitcondition-{REGION}.s3.{REGION}.amazonaws.com"

Properties = Mapping[str, Any]

Script = Generator[Awaited, None, None]


class Sender(Protocol):
    """What a stack needs from the world. now: epoch seconds."""

    now: float

    def deliver(self, exchange: Exchange) -> None:
        """Invoke the function asynchronously."""


class Stack:
    """A stack. `physical_id` and `properties` are the resource's, as CloudFormation has them.

    Attributes:
        reads: what CloudFormation's API says.
        managed: IDs of the bundles that CloudFormation manages and has sent no Delete for.
        retained: IDs of the bundles that CloudFormation retained.
        abandoned: IDs of the bundles that CloudFormation no longer manages since the Delete after
            an update, or the rollback to them, failed.
        on_delete: OnDelete of each bundle in its last success, by ID.
        rolled_back: IDs of the bundles whose Create or Update was rolled back.
        is_gone: the bundle was deleted.
        is_stuck: the creation failed, and so did its rollback: only a deletion is possible.
        problems: violations that the script found.
    """

    def __init__(self, world: Sender, name: str) -> None:
        self.world = world
        self.name = name
        self.wake_name = f"stack {name}"
        self.stack_id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/1"
        self.physical_id = ""
        self.properties: Properties = {}
        self.reads = StackReads()
        self.managed: set[str] = set()
        self.retained: set[str] = set()
        self.abandoned: set[str] = set()
        self.on_delete: dict[str, str] = {}
        self.rolled_back: set[str] = set()
        self.is_gone = False
        self.is_stuck = False
        self.exchanges: list[Exchange] = []
        self.signals: dict[str, Signal] = {}
        self.problems: list[str] = []
        self._script: Script | None = None
        self._waits_for: Awaited | None = None

    # For the world

    def start(self, script: Script) -> None:
        """Run a script until it waits."""
        self._script = script
        self._continue()

    @property
    def is_idle(self) -> bool:
        """Whether the script has ended."""
        return self._script is None

    @property
    def is_interruptible(self) -> bool:
        """Whether CloudFormation may stop waiting for the current request."""
        waits = self._waits_for
        return (
            isinstance(waits, Exchange)
            and waits.is_interruptible
            and waits.is_open
            and waits.arrived_at is None
        )

    def wakes_at(self) -> float | None:
        """When the script continues, epoch seconds; None if it waits for nothing."""
        waits = self._waits_for
        if waits is None:
            return None
        if waits.arrived_at is not None:
            return waits.arrived_at + NEXT_REQUEST
        if isinstance(waits, Exchange) and waits.interrupted_at is not None:
            return waits.interrupted_at
        return waits.ends_at

    def wake(self) -> None:
        """Stop waiting, and continue the script."""
        if isinstance(self._waits_for, Exchange):
            self._waits_for.is_open = False
        self._continue()

    def _continue(self) -> None:
        assert self._script is not None
        try:
            self._waits_for = next(self._script)
        except StopIteration:
            self._script = self._waits_for = None

    # For scripts

    def create(
        self,
        properties: Properties,
        *,
        interrupted: float | None = None,
        rolls_back: bool = False,
        by: str = "ROLLBACK",
        adds: bool = False,
    ) -> Script:
        """Create the bundle.

        Args:
            properties: the bundle's.
            interrupted: seconds after which a sibling fails while the request is in progress; None
                if none does.
            rolls_back: a sibling fails after the bundle was created.
            by: `ROLLBACK`, or `DELETE` if the user deletes the stack instead.
            adds: an update adds the bundle to the stack.
        """
        self.is_gone = False
        self.physical_id = ""
        status = "UPDATE_IN_PROGRESS" if adds else "CREATE_IN_PROGRESS"
        self._enter(status, "CREATE_IN_PROGRESS", "UPDATE_STACK" if adds else "CREATE_STACK")
        exchange = self._send("Create", properties, interruptible=True, interrupted=interrupted)
        yield exchange
        self.physical_id, self.properties = exchange.physical_id, properties
        if exchange.succeeded:
            self._hold(self.physical_id, properties)
            self._enter(status, "CREATE_COMPLETE")
        if exchange.succeeded and not rolls_back:
            self._enter("UPDATE_COMPLETE" if adds else "CREATE_COMPLETE", "CREATE_COMPLETE")
            return
        self.rolled_back.add(self.physical_id)
        back = "UPDATE_ROLLBACK_COMPLETE_CLEANUP" if adds else by
        yield from self._delete(f"{back}_IN_PROGRESS")
        self.is_stuck = not self.is_gone

    def update(
        self,
        properties: Properties,
        *,
        interrupted: float | None = None,
        rolls_back: bool = False,
        cleans_up: bool = True,
    ) -> Script:
        """Update the bundle; if that fails, roll back.

        Args:
            properties: the bundle's.
            interrupted: seconds after which a sibling fails while the request is in progress; None
                if none does.
            rolls_back: a sibling fails after the bundle was updated.
            cleans_up: a replaced bundle is deleted; otherwise it is retained.
        """
        if not self.physical_id or self.is_gone or self.is_stuck:
            return
        old_id, old = self.physical_id, self.properties
        self._enter("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_STACK")
        exchange = self._send(
            "Update", properties, old, interruptible=True, interrupted=interrupted
        )
        yield exchange
        self.physical_id = exchange.physical_id
        if not exchange.succeeded and exchange.result is not None and self.physical_id != old_id:
            self.problems.append(f"{exchange.request_id} failed, and changed the ID")
        if exchange.succeeded:
            self._hold(self.physical_id, properties)
            self._enter("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
        if not exchange.succeeded or rolls_back:
            yield from self._roll_back(old_id, old, properties)
            return
        self.properties = properties
        if self.physical_id != old_id and cleans_up:
            self._enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
            yield from self._clean_up(old_id, old)
        elif self.physical_id != old_id:
            self._retain(old_id)
        self._enter("UPDATE_COMPLETE", "UPDATE_COMPLETE")

    def delete(self) -> Script:
        """Delete the stack; retry twice if that fails."""
        for _ in range(3):
            if not self.physical_id or self.is_gone:
                return
            yield from self._delete("DELETE_IN_PROGRESS")
            if not self.is_gone:
                yield Pause(self.world.now + 60)

    def take_out(self) -> Script:
        """Remove the bundle from the template, and retain it: no request is sent."""
        if self.is_stuck:
            return
        if self.physical_id and not self.is_gone:
            self._retain(self.physical_id)
            self.physical_id = ""
            self._enter("UPDATE_COMPLETE", "DELETE_SKIPPED", "UPDATE_STACK")
        yield Pause(self.world.now + 5)

    def wait_for_signal(self) -> Script:
        """Wait until the handle of the last accepted request is signalled."""
        last = [
            each for each in self.exchanges if each.request.handle is not None and each.succeeded
        ]
        if last:
            signal = self.signals.setdefault(last[-1].request_id, Signal(0))
            signal.ends_at = self.world.now + 43200
            yield signal
            if not signal.statuses:
                self.problems.append(f"{last[-1].request_id}: its handle received no signal")

    def _enter(self, status: str, resource: str, operation: str = "") -> None:
        """Change the stack's and the bundle's status; see `StackReads.enter`."""
        self.reads.enter(self.world.now, status, resource, self.physical_id, operation)

    def _roll_back(self, old_id: str, old: Properties, properties: Properties) -> Script:
        failed_id = self.physical_id
        if failed_id != old_id:
            self.managed.discard(failed_id)
        self._enter("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        back = self._send("Update", old, properties, kind="Rollback")
        yield back
        self.physical_id = back.physical_id
        if not back.succeeded:
            self._enter("UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED")
            self.abandoned.add(old_id)
            return
        if self.physical_id != old_id:
            self.problems.append(f"Rolled back from {old_id} to {self.physical_id}")
        self._hold(self.physical_id, old)
        self._enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
        if failed_id != self.physical_id:
            self.rolled_back.add(failed_id)
            yield from self._clean_up(failed_id, properties)
        self._enter("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE")

    def _clean_up(self, physical_id: str, properties: Properties) -> Script:
        exchange = self._send("Delete", properties, physical_id=physical_id)
        yield exchange
        if not exchange.succeeded:
            self.abandoned.add(physical_id)

    def _delete(self, status: str) -> Script:
        operation = "DELETE_STACK" if status == "DELETE_IN_PROGRESS" else ""
        self._enter(status, "DELETE_IN_PROGRESS", operation)
        exchange = self._send("Delete", self.properties, physical_id=self.physical_id)
        yield exchange
        self.is_gone = exchange.succeeded
        result = "COMPLETE" if exchange.succeeded else "FAILED"
        self._enter(f"{status.removesuffix('_IN_PROGRESS')}_{result}", f"DELETE_{result}")

    def _hold(self, physical_id: str, properties: Properties) -> None:
        self.managed.add(physical_id)
        self.on_delete[physical_id] = properties.get("OnDelete", "Retain")

    def _retain(self, physical_id: str) -> None:
        self.managed.discard(physical_id)
        self.retained.add(physical_id)

    def _send(
        self,
        request_type: str,
        properties: Properties,
        old: Properties | None = None,
        *,
        physical_id: str | None = None,
        interruptible: bool = False,
        interrupted: float | None = None,
        kind: str = "",
    ) -> Exchange:
        # The dates in ResponseURLs have full seconds, so two requests within one have no order.
        if self.exchanges:
            self.world.now = max(self.world.now, self.exchanges[-1].sent_at + 1.0)
        now = self.world.now
        request_id = f"{self.name}-{len(self.exchanges) + 1}-{request_type}"
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        current_id = self.physical_id if physical_id is None else physical_id
        event = {
            "RequestType": request_type,
            "ResponseURL": f"{_BUCKET}/{request_id}?X-Amz-Date={date}",
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": LOGICAL_ID,
            "PhysicalResourceId": current_id,
            "ResourceProperties": properties,
            "OldResourceProperties": old or {},
        }
        is_create = request_type == "Create"
        exchange = Exchange(
            request=Request.parse(event),
            kind=kind or request_type,
            sent_at=now,
            default_id=f"{self.name}-{LOGICAL_ID}-MADEUP" if is_create else current_id,
            is_interruptible=interruptible,
        )
        if interrupted is not None:
            exchange.interrupted_at = now + interrupted
        if request_type == "Delete":
            self.managed.discard(current_id)
        self.exchanges.append(exchange)
        self.world.deliver(exchange)
        return exchange


def handle(name: str) -> str:
    """The URL of a wait condition handle."""
    return f"{_HANDLES}/{name}"
