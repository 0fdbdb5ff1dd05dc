"""Change sets, and what is wrong with requests of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.templates import Template
from sandbox.cloudformation.views import Settings, parameters_shown


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set. changes: as DescribeChangeSet gives them. problem: why it can't be executed."""

    change_set_id: str
    name: str
    kind: str
    description: str | None
    stack: Stack
    template: Template
    settings: Settings
    changes: list[dict[str, Any]]
    problem: str | None
    created: datetime
    executed: bool = False

    def summary(self) -> dict[str, Any]:
        """As ListChangeSets gives it."""
        execution = "EXECUTE_COMPLETE" if self.executed else "AVAILABLE"
        return {
            "ChangeSetName": self.name,
            "ChangeSetId": self.change_set_id,
            "StackId": self.stack.stack_id,
            "StackName": self.stack.name,
            "Description": self.description,
            "CreationTime": self.created,
            "Status": "FAILED" if self.problem else "CREATE_COMPLETE",
            "StatusReason": self.problem,
            "ExecutionStatus": "UNAVAILABLE" if self.problem else execution,
        }

    def described(self, *, with_values: bool) -> dict[str, Any]:
        """As DescribeChangeSet gives it; with_values: with those of the properties."""
        left_out = () if with_values else ("BeforeContext", "AfterContext")
        changes = [
            {name: value for name, value in change.items() if name not in left_out}
            for change in self.changes
        ]
        return {
            **self.summary(),
            "Parameters": parameters_shown(self.template),
            "NotificationARNs": self.settings.topics,
            "RollbackConfiguration": {},
            "Capabilities": self.settings.capabilities,
            "Tags": [{"Key": key, "Value": value} for key, value in self.settings.tags.items()],
            "Changes": [{"Type": "Resource", "ResourceChange": change} for change in changes],
        }


class ChangeSetNotFound(ValidationError):
    """There is no such change set."""

    code = "ChangeSetNotFound"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)


class InvalidChangeSetStatus(ValidationError):
    """The change set can't be executed."""

    code = "InvalidChangeSetStatus"

    def __init__(self, message: str) -> None:
        super().__init__(message=message)
