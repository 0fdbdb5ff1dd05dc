"""CloudFormation's side: a stack with one bundle in it, driven by a scenario's script.

A script is a generator: it sends requests, yields what it waits for, and goes on by what came of
it. What CloudFormation's API says meanwhile is told by the phase that the stack is in: the rows of
"What CloudFormation's calls say while a custom resource is invoked" are told one by one by `tell`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from instance_bundle.aws.stacks import Resource
from instance_bundle.aws.stacks import Stack as StackSaid
from instance_bundle.lifecycle.meaning import Answers
from instance_bundle.request import Request
from instance_bundle.state import Answer, Done

ACCOUNT, REGION = "123456789012", "us-east-1"
LOGICAL_ID = "Bundle"
TIMEOUT = 600
"""ServiceTimeout, in seconds."""
ANSWERED = 1.0
"""Seconds from an answer to the request that follows it."""

_BUCKET = f"https://cloudformation-custom-resource-response-useast1.s3.{REGION}.amazonaws.com"
_HANDLES = f"https://cloudformation-waitcondition-{REGION}.s3.{REGION}.amazonaws.com"

Properties = Mapping[str, Any]


class Awaited(Protocol):
    """What a script waits for."""

    @property
    def came(self) -> float | None:
        """When it came, epoch seconds; None while it has not."""

    @property
    def ends(self) -> float:
        """When it is waited for no longer, epoch seconds."""


Script = Generator[Awaited, None, None]


@dataclass(slots=True, eq=False)
class Exchange:
    """A request, and what was answered to it.

    Attributes:
        what: Create, Update, Delete, or Rollback: an Update that goes back.
        answers: each answer that arrived, as CloudFormation reads it, and when.
        taken: the answer that counts; None while there is none.
        is_open: CloudFormation waits for an answer.
        may_end: CloudFormation may give it up, since a sibling fails or the stack is deleted.
        gives_up: when it does; None where it does not.
    """

    request: Request
    what: str
    sent: float
    invented: str
    may_end: bool
    answers: list[tuple[float, Answer]] = field(default_factory=list)
    taken: Answer | None = None
    came: float | None = None
    is_open: bool = True
    gives_up: float | None = None

    @property
    def request_id(self) -> str:
        return self.request.key.request_id

    @property
    def ends(self) -> float:
        return self.sent + TIMEOUT

    @property
    def succeeded(self) -> bool:
        return isinstance(self.taken, Done)

    @property
    def physical_id(self) -> str:
        """The resource's ID after the request."""
        return self.taken.physical_id if self.taken is not None else self.invented

    def answer(self, answer: Answer, now: float) -> None:
        """Take an answer."""
        self.answers.append((now, answer))
        if self.is_open and self.taken is None:
            self.taken, self.came = answer, now


@dataclass(slots=True)
class Signal:
    """What a wait condition waits for, or a time that passes."""

    ends: float
    heard: list[str] = field(default_factory=list)
    came: float | None = None


class Sender(Protocol):
    """What a stack needs of the world."""

    now: float

    def deliver(self, exchange: Exchange) -> None:
        """Have the function be invoked."""


class Stack:
    """A stack.

    Attributes:
        physical_id: the bundle's, as CloudFormation has it.
        protected: IDs of bundles that CloudFormation holds, and has not asked to delete.
        retained: IDs of bundles that CloudFormation was told to retain.
        left: IDs of bundles that CloudFormation forgets: their Delete after an update failed, or
            the rollback to them.
        on_delete: of each bundle, by its ID, as of the last success.
        is_gone: the bundle was deleted, and so answered.
        is_stuck: the creation failed, and could not be rolled back: only a deletion is possible.
        problems: what was wrong on the way.
    """

    def __init__(self, world: Sender, name: str, *, numbers: str = "") -> None:
        self.world = world
        self.name = name
        self.wake_name = f"stack {name}"
        self.stack_id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/1"
        self.physical_id = ""
        self.properties: Properties = {}
        self.protected: set[str] = set()
        self.retained: set[str] = set()
        self.left: set[str] = set()
        self.on_delete: dict[str, str] = {}
        self.undone: set[str] = set()
        self.is_gone = False
        self.is_stuck = False
        self.exchanges: list[Exchange] = []
        self.signals: dict[str, Signal] = {}
        self.problems: list[str] = []
        self.told: list[tuple[float, Answers]] = [(0.0, Answers(StackSaid(""), Resource("")))]
        self._script: Script | None = None
        self._waits_for: Awaited | None = None

    # For the world

    def begin(self, script: Script) -> None:
        """Carry out a script."""
        self._script = script
        self._go_on()

    @property
    def rests(self) -> bool:
        """Whether the script has ended."""
        return self._script is None

    @property
    def may_end(self) -> bool:
        """Whether CloudFormation may give up what it waits for."""
        waits = self._waits_for
        return (
            isinstance(waits, Exchange) and waits.may_end and waits.is_open and waits.came is None
        )

    def wakes(self) -> float | None:
        """When the script goes on; None where nothing makes it."""
        waits = self._waits_for
        if waits is None:
            return None
        if waits.came is not None:
            return waits.came + ANSWERED
        if isinstance(waits, Exchange) and waits.gives_up is not None:
            return waits.gives_up
        return waits.ends

    def wake(self) -> None:
        """Go on."""
        if isinstance(self._waits_for, Exchange):
            self._waits_for.is_open = False
        self._go_on()

    def said(self, moment: float) -> Answers:
        """What CloudFormation said of the stack and its bundle at a moment."""
        return next(answers for told, answers in reversed(self.told) if told <= moment)

    def has_had(self, physical_id: str, until: Answers) -> bool:
        """Whether the bundle had an ID when CloudFormation said this, or before."""
        at = next(at for at, (_, answers) in enumerate(self.told) if answers is until)
        return any(said.resource.physical_id == physical_id for _, said in self.told[: at + 1])

    def said_before(self) -> Answers:
        """What it said before the state that it is in."""
        return self.told[-2][1] if len(self.told) > 1 else self.told[-1][1]

    def _go_on(self) -> None:
        assert self._script is not None
        try:
            self._waits_for = next(self._script)
        except StopIteration:
            self._script = self._waits_for = None

    # For scripts

    def tell(self, status: str, resource: str, operation: str = "") -> None:
        """Say what the stack and its bundle have come to."""
        before = self.told[-1][1].stack
        stack = StackSaid(status, operation or before.operation, rollback_disabled=False)
        answers = Answers(stack, Resource(resource, self.physical_id if resource else ""))
        self.told.append((self.world.now, answers))

    def create(
        self,
        properties: Properties,
        *,
        gives_up: float | None = None,
        undone: bool = False,
        by: str = "ROLLBACK",
        adds: bool = False,
    ) -> Script:
        """Create the bundle.

        Args:
            properties: of the bundle.
            gives_up: a sibling fails after so many seconds, while the request is under way.
            undone: a sibling fails once the bundle is there.
            by: `ROLLBACK`, or `DELETE` where the user deletes the stack instead.
            adds: an update adds the bundle to the stack.
        """
        self.is_gone = False
        self.physical_id = ""
        status = "UPDATE_IN_PROGRESS" if adds else "CREATE_IN_PROGRESS"
        self.tell(status, "CREATE_IN_PROGRESS", "UPDATE_STACK" if adds else "CREATE_STACK")
        exchange = self._send("Create", properties, may_end=True, gives_up=gives_up)
        yield exchange
        self.physical_id, self.properties = exchange.physical_id, properties
        if exchange.succeeded:
            self._holds(self.physical_id, properties)
            self.tell(status, "CREATE_COMPLETE")
        if exchange.succeeded and not undone:
            self.tell("UPDATE_COMPLETE" if adds else "CREATE_COMPLETE", "CREATE_COMPLETE")
            return
        self.undone.add(self.physical_id)
        back = "UPDATE_ROLLBACK_COMPLETE_CLEANUP" if adds else by
        yield from self._delete(f"{back}_IN_PROGRESS")
        self.is_stuck = not self.is_gone

    def update(
        self,
        properties: Properties,
        *,
        gives_up: float | None = None,
        undone: bool = False,
        cleans_up: bool = True,
    ) -> Script:
        """Update the bundle; roll back where that fails.

        Args:
            properties: of the bundle.
            gives_up: a sibling fails after so many seconds, while the request is under way.
            undone: a sibling fails once the bundle is updated.
            cleans_up: what is replaced is deleted; otherwise it is retained.
        """
        if not self.physical_id or self.is_gone or self.is_stuck:
            return
        old_id, old = self.physical_id, self.properties
        self.tell("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_STACK")
        exchange = self._send("Update", properties, old, may_end=True, gives_up=gives_up)
        yield exchange
        self.physical_id = exchange.physical_id
        if not exchange.succeeded and exchange.taken is not None and self.physical_id != old_id:
            self.problems.append(f"{exchange.request.request_id} failed, and changed the ID")
        if exchange.succeeded:
            self._holds(self.physical_id, properties)
            self.tell("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
        if not exchange.succeeded or undone:
            yield from self._roll_back(old_id, old, properties)
            return
        self.properties = properties
        if self.physical_id != old_id and cleans_up:
            self.tell("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
            yield from self._clean_up(old_id, old)
        elif self.physical_id != old_id:
            self._retains(old_id)
        self.tell("UPDATE_COMPLETE", "UPDATE_COMPLETE")

    def delete(self) -> Script:
        """Delete the stack; again, where that fails."""
        for _ in range(3):
            if not self.physical_id or self.is_gone:
                return
            yield from self._delete("DELETE_IN_PROGRESS")
            if not self.is_gone:
                yield Signal(self.world.now + 60)

    def forget(self) -> Script:
        """Take the bundle out of the template, and retain it: no request is sent."""
        if self.is_stuck:
            return
        if self.physical_id and not self.is_gone:
            self._retains(self.physical_id)
            self.physical_id = ""
            self.tell("UPDATE_COMPLETE", "DELETE_SKIPPED", "UPDATE_STACK")
        yield Signal(self.world.now + 5)

    def signalled(self) -> Script:
        """Wait until the handle of the last request hears of the end of its work."""
        last = [
            each for each in self.exchanges if each.request.handle is not None and each.succeeded
        ]
        if last:
            signal = self.signals.setdefault(last[-1].request.request_id, Signal(0))
            signal.ends = self.world.now + 43200
            yield signal
            if not signal.heard:
                self.problems.append(f"{last[-1].request.request_id}: its handle heard nothing")

    def _roll_back(self, old_id: str, old: Properties, properties: Properties) -> Script:
        failed_id = self.physical_id
        if failed_id != old_id:
            self.protected.discard(failed_id)
        self.tell("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        back = self._send("Update", old, properties, what="Rollback")
        yield back
        self.physical_id = back.physical_id
        if not back.succeeded:
            self.tell("UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED")
            self.left.add(old_id)
            return
        if self.physical_id != old_id:
            self.problems.append(f"The rollback went to {self.physical_id}, not to {old_id}")
        self._holds(self.physical_id, old)
        self.tell("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE")
        if failed_id != self.physical_id:
            self.undone.add(failed_id)
            yield from self._clean_up(failed_id, properties)
        self.tell("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE")

    def _clean_up(self, physical_id: str, properties: Properties) -> Script:
        exchange = self._send("Delete", properties, physical_id=physical_id)
        yield exchange
        if not exchange.succeeded:
            self.left.add(physical_id)

    def _delete(self, status: str) -> Script:
        operation = "DELETE_STACK" if status == "DELETE_IN_PROGRESS" else ""
        self.tell(status, "DELETE_IN_PROGRESS", operation)
        exchange = self._send("Delete", self.properties, physical_id=self.physical_id)
        yield exchange
        self.is_gone = exchange.succeeded
        ended = "COMPLETE" if exchange.succeeded else "FAILED"
        self.tell(f"{status.removesuffix('_IN_PROGRESS')}_{ended}", f"DELETE_{ended}")

    def _holds(self, physical_id: str, properties: Properties) -> None:
        self.protected.add(physical_id)
        self.on_delete[physical_id] = properties.get("OnDelete", "Retain")

    def _retains(self, physical_id: str) -> None:
        self.protected.discard(physical_id)
        self.retained.add(physical_id)

    def _send(
        self,
        request_type: str,
        properties: Properties,
        old: Properties | None = None,
        *,
        physical_id: str | None = None,
        may_end: bool = False,
        gives_up: float | None = None,
        what: str = "",
    ) -> Exchange:
        # URLs tell seconds: requests within one have no order.
        if self.exchanges:
            self.world.now = max(self.world.now, self.exchanges[-1].sent + 1.0)
        now = self.world.now
        request_id = f"{self.name}-{len(self.exchanges) + 1}-{request_type}"
        signed = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        given = self.physical_id if physical_id is None else physical_id
        event = {
            "RequestType": request_type,
            "ResponseURL": f"{_BUCKET}/{request_id}?X-Amz-Date={signed}",
            "StackId": self.stack_id,
            "RequestId": request_id,
            "LogicalResourceId": LOGICAL_ID,
            "PhysicalResourceId": given,
            "ResourceProperties": properties,
            "OldResourceProperties": old or {},
        }
        exchange = Exchange(
            request=Request.parse(event),
            what=what or request_type,
            sent=now,
            invented=f"{self.name}-{LOGICAL_ID}-MADEUP" if request_type == "Create" else given,
            may_end=may_end,
        )
        if gives_up is not None:
            exchange.gives_up = now + gives_up
        if request_type == "Delete":
            self.protected.discard(given)
        self.exchanges.append(exchange)
        self.world.deliver(exchange)
        return exchange


def handle(name: str) -> str:
    """The URL of a wait condition handle."""
    return f"{_HANDLES}/{name}"
