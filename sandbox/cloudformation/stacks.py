"""A stack: its resources, its events, and what it is rolled back to."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Condition
from typing import Literal

from moto.cloudformation.models import Event
from moto.cloudformation.parsing import Export

from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.templates import Template
from sandbox.cloudformation.views import History, Operation, Output, Resource, Settings, View

log = logging.getLogger("sandbox")

STACK_TYPE = "AWS::CloudFormation::Stack"

Verdict = Literal["kept", "undone"]


@dataclass(frozen=True, slots=True)
class Stable:
    """What a stack was when it was last stable: what it is rolled back to.

    physical_ids: of its resources, by their logical IDs.
    """

    template: Template
    imports: frozenset[str]
    physical_ids: Mapping[str, str | None]


class Stack:
    """A stack and its history.

    Its operation's thread writes, and API calls read, each under the lock of `changed`, which is
    notified when an operation begins. `exports` are all exports of the region, by name; `importer`
    names a stack that uses an export. `past`: for how many seconds `view_at` knows what was.
    """

    def __init__(
        self,
        *,
        stack_id: str,
        name: str,
        account: str,
        region: str,
        settings: Settings,
        clock: Callable[[], float],
        changed: Condition,
        exports: dict[str, Export],
        importer: Callable[[str], str | None],
        past: float = 0,
        parent: Stack | None = None,
    ) -> None:
        self.stack_id = stack_id
        self.name = name
        self.account_id = account
        self.region_name = region
        self.settings = settings
        self.exports = exports
        self._importer = importer
        self.policy = ""
        self.template: Template | None = None
        self.resources: dict[str, Resource] = {}
        self.events: list[Event] = []
        self.outputs: list[Output] = []
        self.imports: set[str] = set()
        self.status = "REVIEW_IN_PROGRESS"
        self.status_reason: str | None = None
        self.change_set_id: str | None = None
        self.operation = Operation("")
        """The operation that may change the stack's status: the one begun last."""
        self.operations: list[Operation] = []
        """What the stack went through, oldest first; an operation's rollback is one of its own."""
        self.stable: Stable | None = None
        """What the stack is rolled back to; None where its creation never was complete."""
        self.created: set[str] = set()
        """The resources that are new since then."""
        self.former: list[Resource] = []
        """What resources were, since then, before they were created again, oldest first."""
        self.unrestored: frozenset[str] = frozenset()
        """The resources whose rollback failed."""
        self.to_skip: frozenset[str] | None = None
        """Which of them a continued rollback of the root is to leave; None where none is due."""
        self.parent_id: str | None = parent.stack_id if parent else None
        self.root_id: str | None = (parent.root_id or parent.stack_id) if parent else None
        self.verdict: Verdict | None = "kept"
        """What the parent's operation decides about the last update; None while that is open."""
        self.abandoned = False
        """Whether nobody wants the stack any more: its operation stops."""
        self._clock = clock
        self._history = History(past)
        self.changed = changed
        self._last = datetime.min.replace(tzinfo=UTC)
        self.creation_time = self.now()
        self.updated_time: datetime | None = None
        self.deletion_time: datetime | None = None

    @property
    def tags(self) -> dict[str, str]:
        """The stack's tags."""
        return self.settings.tags

    @property
    def deleted(self) -> bool:
        """Whether the stack is gone, and found by its ID only."""
        return self.status == "DELETE_COMPLETE"

    def time(self) -> float:
        """The time, in epoch seconds."""
        return self._clock()

    def now(self) -> datetime:
        """The time, later by a millisecond at least than what was returned before."""
        with self.changed:
            present = datetime.fromtimestamp(self._clock(), UTC)
            self._last = max(present, self._last + timedelta(milliseconds=1))
            return self._last

    def begin(self, status: str, kind: str, reason: str | None = "User Initiated") -> Operation:
        """Begin an operation, which supersedes a running one. Returns it."""
        with self.changed:
            self.operation = operation = Operation(kind)
            self.changed.notify_all()
        self.become(status, reason, operation=operation, begun=operation)
        return operation

    def add(self, operation: Operation) -> None:
        """Note an operation that leaves the stack's status as it is."""
        with self.changed:
            self.operations.append(operation)
            self._remember()

    def become(
        self,
        status: str,
        reason: str | None = None,
        *,
        operation: Operation,
        begun: Operation | None = None,
    ) -> None:
        """Change the stack's own status, unless another operation has begun since.

        begun: what begins with it: `operation`, or its rollback.
        """
        with self.changed:
            if operation is not self.operation:
                return
            if begun:
                self.operations.append(begun)
            self.status, self.status_reason = status, reason
            event = self._event(
                self.name, self.stack_id, STACK_TYPE, status, reason, properties=None
            )
            self._remember()
        self._announce(event)

    def use_role(self, role_arn: str | None) -> None:
        """Act by this role from now on; None: by the same as before."""
        with self.changed:
            self.settings = replace(self.settings, role_arn=role_arn or self.settings.role_arn)

    def protect(self, *, on: bool) -> None:
        """Set whether the stack can be deleted."""
        with self.changed:
            self.settings = replace(self.settings, protected=on)
            self._remember()

    def mark_stable(self) -> None:
        """From now on the stack is rolled back to what it is now."""
        if self.template is None:
            raise LookupError(f"stack {self.name} has no template")
        with self.changed:
            physical_ids = {name: resource.physical_id for name, resource in self.resources.items()}
            self.stable = Stable(self.template, frozenset(self.imports), physical_ids)
            self.created, self.former, self.unrestored = set(), [], frozenset()

    def decide(self, verdict: Verdict) -> bool:
        """Decide about the last update, if that is open, or say that its end is final; returns
        whether it was open."""
        with self.changed:
            is_open = self.verdict is None
            if is_open or verdict == "kept":
                self.verdict = verdict
                self.changed.notify_all()
            return is_open

    def note(self, resource: Resource, *, kept: bool = True) -> None:
        """Record a resource's new state: as an event, and, with `kept`, as its current state."""
        declaration = resource.declaration
        with self.changed:
            if kept:
                self.resources[declaration.logical_id] = resource
            event = self._event(
                declaration.logical_id,
                resource.physical_id or "",
                declaration.type,
                resource.status,
                resource.reason,
                properties=json.dumps(resource.shown) if resource.shown else None,
            )
            self._remember()
        self._announce(event)

    def forget(self, logical_id: str) -> None:
        """Let a resource be none of the stack's any more, with no event."""
        with self.changed:
            del self.resources[logical_id]
            self._remember()

    def keep(self, resource: Resource) -> None:
        """Record a resource's current state, with no event."""
        with self.changed:
            self.resources[resource.declaration.logical_id] = resource
            self._remember()

    def move(
        self, resource: Resource, status: str, reason: str | None = None, *, kept: bool = True
    ) -> Resource:
        """Record that the resource came to `status`."""
        moved = replace(resource, status=status, reason=reason, timestamp=self.now())
        self.note(moved, kept=kept)
        return moved

    def _event(
        self,
        logical_id: str,
        physical_id: str,
        resource_type: str,
        status: str,
        reason: str | None,
        *,
        properties: str | None,
    ) -> Event:
        event = Event(
            stack_id=self.stack_id,
            stack_name=self.name,
            logical_resource_id=logical_id,
            physical_resource_id=physical_id,
            resource_type=resource_type,
            resource_status=status,
            resource_status_reason=reason,
            resource_properties=properties,
        )
        event.timestamp = self.now()
        event.operation_id = self.operations[-1].operation_id  # type: ignore[attr-defined]
        self.events.append(event)
        return event

    def _announce(self, event: Event) -> None:
        try:
            event.sendToSns(self.account_id, self.region_name, self.settings.topics)
        except Exception:  # a topic that is gone stops no stack
            log.warning("stack %s: an event was not published", self.name, exc_info=True)

    def publish(self, outputs: list[Output]) -> None:
        """Make these the stack's outputs and exports.

        Raises ValidationError for an export that another stack has, and for one that another stack
        uses and that would change.
        """
        wanted = {
            output.export_name: Export(self.stack_id, output.export_name, output.value)
            for output in outputs
            if output.export_name
        }
        with self.changed:
            for name in wanted:
                other = self.exports.get(name)
                if other and other.exporting_stack_id != self.stack_id:
                    stack = other.exporting_stack_id.split("/")[1]
                    raise invalid(f"Export with name {name} is already exported by stack {stack}")
            for name, value in self.own_exports().items():
                if name not in wanted:
                    self.check_unused(name, "deleted")
                elif wanted[name].value != value:
                    self.check_unused(name, "updated")
            self.retract()
            self.exports.update(wanted)
            self.outputs = outputs

    def check_unused(self, export: str, what: str) -> None:
        """Raises ValidationError where a stack uses the export, which then can't be `what`."""
        user = self._importer(export)
        if user:
            raise invalid(f"Export {export} cannot be {what} as it is in use by {user}")

    def own_exports(self) -> dict[str, str]:
        """The stack's exports: values by name."""
        with self.changed:
            return {
                name: export.value
                for name, export in self.exports.items()
                if export.exporting_stack_id == self.stack_id
            }

    def retract(self) -> None:
        """Take back the stack's exports."""
        with self.changed:
            for name in self.own_exports():
                del self.exports[name]

    def view(self) -> View:
        """The stack now."""
        with self.changed:
            return View(
                stack_id=self.stack_id,
                name=self.name,
                settings=self.settings,
                template=self.template,
                change_set_id=self.change_set_id,
                status=self.status,
                status_reason=self.status_reason,
                creation_time=self.creation_time,
                updated_time=self.updated_time,
                deletion_time=self.deletion_time,
                outputs=self.outputs,
                resources=dict(self.resources),
                operations=tuple(self.operations),
                events=self.events,
                event_count=len(self.events),
                parent_id=self.parent_id,
                root_id=self.root_id,
            )

    def view_at(self, moment: float) -> View | None:
        """The stack at that moment, in epoch seconds; None where it was not there yet."""
        with self.changed:
            return self._history.at(moment)

    def _remember(self) -> None:
        self._history.add(self._clock(), self.view())
