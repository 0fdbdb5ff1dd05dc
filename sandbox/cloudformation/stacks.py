"""A stack: its resources, its events, and how the API describes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Condition
from typing import Any

from moto.cloudformation.models import Event
from moto.cloudformation.parsing import Export

from sandbox.cloudformation.intrinsics import invalid
from sandbox.cloudformation.resources import Made, Order
from sandbox.cloudformation.templates import Declaration, Template

log = logging.getLogger("sandbox")

MASK = "****"

STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, slots=True)
class Resource:
    """A stack's resource as it stands.

    order: what its provider was last asked for. shown: the same properties, with what is not to be
    echoed masked. made: None where it does not exist, or its creation failed. physical_id: by which
    it is to be deleted; None where nothing is to be deleted.
    """

    declaration: Declaration
    status: str
    timestamp: datetime
    order: Order | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    made: Made | None = None
    physical_id: str | None = None
    reason: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is, or may be, something to delete."""
        return self.status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")


@dataclass(frozen=True, slots=True)
class Output:
    """One of a stack's outputs."""

    key: str
    value: str
    shown: str
    description: str | None
    export_name: str | None

    def described(self) -> dict[str, Any]:
        """As DescribeStacks gives it."""
        return {
            "OutputKey": self.key,
            "OutputValue": self.shown,
            "Description": self.description,
            "ExportName": self.export_name,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """What a request says of a stack beside its template."""

    tags: dict[str, str] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)
    role_arn: str | None = None
    timeout_in_minutes: int | None = None
    protected: bool = False
    on_failure: str = "ROLLBACK"


def parameters_shown(template: Template) -> list[dict[str, str]]:
    """The parameters' keys and values, those that are not to be echoed masked."""
    return [
        {"ParameterKey": key, "ParameterValue": MASK if key in template.hidden else value}
        for key, value in template.parameters.items()
    ]


class Stack:
    """A stack and its history.

    Its operation's thread writes, and API calls read, each under the lock of `changed`, which is
    notified when an operation begins. `exports` are all exports of the region, by name; `importer`
    names a stack that uses an export.
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
        self.operation = object()
        """Stands for the operation that may change the stack's status: the one begun last."""
        self.abandoned = False
        """Whether nobody wants the stack any more: its operation ends where it stands."""
        self._clock = clock
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

    def now(self) -> datetime:
        """The time, later by a millisecond at least than what was returned before."""
        with self.changed:
            present = datetime.fromtimestamp(self._clock(), UTC)
            self._last = max(present, self._last + timedelta(milliseconds=1))
            return self._last

    def begin(self, status: str, reason: str | None = "User Initiated") -> object:
        """Begin an operation, which supersedes a running one. Returns what stands for it."""
        with self.changed:
            self.operation = operation = object()
            self.changed.notify_all()
        self.become(status, reason, operation=operation)
        return operation

    def become(self, status: str, reason: str | None = None, *, operation: object) -> None:
        """Change the stack's own status, unless another operation has begun since."""
        with self.changed:
            if operation is not self.operation:
                return
            self.status, self.status_reason = status, reason
            event = self._event(
                self.name, self.stack_id, STACK_TYPE, status, reason, properties=None
            )
        self._announce(event)

    def note(self, resource: Resource, *, kept: bool = True) -> None:
        """Record what became of a resource: as an event, and, with `kept`, as how it now stands."""
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
        self._announce(event)

    def keep(self, resource: Resource) -> None:
        """Record how a resource now stands, with no event."""
        with self.changed:
            self.resources[resource.declaration.logical_id] = resource

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
        self.events.append(event)
        return event

    def _announce(self, event: Event) -> None:
        try:
            event.sendToSns(self.account_id, self.region_name, self.settings.topics)
        except Exception:  # a topic that is gone stops no stack
            log.warning("stack %s: an event was not told to its topics", self.name, exc_info=True)

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

    def described(self) -> dict[str, Any]:
        """As DescribeStacks gives it."""
        with self.changed:
            settings, template = self.settings, self.template
            return {
                "StackId": self.stack_id,
                "StackName": self.name,
                "ChangeSetId": self.change_set_id,
                "Description": template.description if template else None,
                "Parameters": parameters_shown(template) if template else [],
                "CreationTime": self.creation_time,
                "LastUpdatedTime": self.updated_time,
                "DeletionTime": self.deletion_time,
                "RollbackConfiguration": {},
                "StackStatus": self.status,
                "StackStatusReason": self.status_reason,
                "DisableRollback": settings.on_failure == "DO_NOTHING",
                "NotificationARNs": settings.topics,
                "TimeoutInMinutes": settings.timeout_in_minutes,
                "Capabilities": settings.capabilities,
                "Outputs": [output.described() for output in self.outputs],
                "RoleARN": settings.role_arn,
                "Tags": [{"Key": key, "Value": value} for key, value in settings.tags.items()],
                "EnableTerminationProtection": settings.protected,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }

    def summary(self) -> dict[str, Any]:
        """As ListStacks gives it."""
        described = self.described()
        summary = {
            name: described[name]
            for name in (
                "StackId",
                "StackName",
                "CreationTime",
                "LastUpdatedTime",
                "DeletionTime",
                "StackStatus",
                "StackStatusReason",
                "DriftInformation",
            )
        }
        return {**summary, "TemplateDescription": described["Description"]}

    def described_resources(self) -> list[dict[str, Any]]:
        """Each resource, as DescribeStackResources and, under the other names of the same values,
        DescribeStackResource and ListStackResources give it."""
        with self.changed:
            resources = sorted(self.resources.values(), key=lambda r: r.declaration.logical_id)
            return [
                {
                    "StackId": self.stack_id,
                    "StackName": self.name,
                    "LogicalResourceId": resource.declaration.logical_id,
                    "PhysicalResourceId": resource.physical_id,
                    "ResourceType": resource.declaration.type,
                    "Timestamp": resource.timestamp,
                    "LastUpdatedTimestamp": resource.timestamp,
                    "ResourceStatus": resource.status,
                    "ResourceStatusReason": resource.reason,
                    "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
                }
                for resource in resources
            ]

    def newest_events(self) -> list[Event]:
        """The events, newest first."""
        with self.changed:
            return self.events[::-1]
