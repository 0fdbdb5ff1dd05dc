"""A stack as it was at one moment, and how the API describes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from moto.cloudformation.models import Event

from sandbox.cloudformation.providers import Made, Order
from sandbox.cloudformation.templates import Declaration, Template

MASK = "****"

_OPERATIONS_SHOWN = 2
_EVENTS_SHOWN = 100
"""In a page (https://github.com/ansible/ansible/pull/41840)."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The state of a stack's resource.

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
    """What a request says of a stack, apart from its template."""

    tags: dict[str, str] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)
    role_arn: str | None = None
    timeout_in_minutes: int | None = None
    protected: bool = False
    on_failure: str = "ROLLBACK"

    @property
    def preserves(self) -> bool:
        """Whether nothing is rolled back when an operation fails."""
        return self.on_failure == "DO_NOTHING"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on a stack. kind: as LastOperations names it
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_OperationEntry.html)."""

    kind: str
    operation_id: str = field(default_factory=lambda: str(uuid4()))


def parameters_shown(template: Template) -> list[dict[str, str]]:
    """The parameters' keys and values, those that are not to be echoed masked."""
    return [
        {"ParameterKey": key, "ParameterValue": MASK if key in template.hidden else value}
        for key, value in template.parameters.items()
    ]


@dataclass(frozen=True, slots=True)
class View:
    """A stack at one moment. operations and events: oldest first."""

    stack_id: str
    name: str
    settings: Settings
    template: Template | None
    change_set_id: str | None
    status: str
    status_reason: str | None
    creation_time: datetime
    updated_time: datetime | None
    deletion_time: datetime | None
    outputs: Sequence[Output]
    resources: Mapping[str, Resource]
    operations: Sequence[Operation]
    events: Sequence[Event]
    event_count: int
    parent_id: str | None
    root_id: str | None

    @property
    def deleted(self) -> bool:
        """Whether the stack is gone, and found by its ID only."""
        return self.status == "DELETE_COMPLETE"

    def described(self) -> dict[str, Any]:
        """As DescribeStacks gives it."""
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
            "DisableRollback": settings.preserves,
            "NotificationARNs": settings.topics,
            "TimeoutInMinutes": settings.timeout_in_minutes,
            "Capabilities": settings.capabilities,
            "Outputs": [output.described() for output in self.outputs],
            "RoleARN": settings.role_arn,
            "Tags": [{"Key": key, "Value": value} for key, value in settings.tags.items()],
            "EnableTerminationProtection": settings.protected,
            "ParentId": self.parent_id,
            "RootId": self.root_id,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            "LastOperations": [
                {"OperationType": operation.kind, "OperationId": operation.operation_id}
                for operation in self.operations[: -_OPERATIONS_SHOWN - 1 : -1]
            ],
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
                "ParentId",
                "RootId",
                "DriftInformation",
                "LastOperations",
            )
        }
        return {**summary, "TemplateDescription": described["Description"]}

    def described_resources(self) -> list[dict[str, Any]]:
        """Each resource, as DescribeStackResources and, under the other names of the same values,
        DescribeStackResource and ListStackResources give it."""
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

    def newest_events(self, left: int | None = None) -> tuple[list[Event], int]:
        """A page of events, newest first, and how many older ones are left.

        Args:
            left: as the page before this one returned it.
        """
        end = self.event_count if left is None else min(left, self.event_count)
        begin = max(0, end - _EVENTS_SHOWN)
        return list(self.events[begin:end])[::-1], begin


class History:
    """A stack's views, for as long as a read may still show them."""

    def __init__(self, kept: float) -> None:
        """kept: for how many seconds each moment is known."""
        self._kept = kept
        self._views: deque[tuple[float, View]] = deque()

    def add(self, moment: float, view: View) -> None:
        """What is true from this moment on, in epoch seconds."""
        self._views.append((moment, view))
        while len(self._views) > 1 and self._views[1][0] <= moment - self._kept:
            self._views.popleft()

    def at(self, moment: float) -> View | None:
        """What was true at that moment; None before the first view."""
        found = None
        for since, view in self._views:
            if since <= moment:
                found = view
        return found
