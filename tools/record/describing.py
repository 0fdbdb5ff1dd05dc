"""The Describe calls that are recorded, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

Json = Any


class Describing:
    """Reads stacks.

    Args:
        cloudformation: a client.
    """

    def __init__(self, cloudformation: Any) -> None:
        self._client = cloudformation

    def all_of(self, stack_id: str, logical_id: str) -> dict[str, Json]:
        """What the four calls say about a stack and one of its resources."""
        return {
            "DescribeStacks": self._said("describe_stacks", StackName=stack_id),
            "DescribeStackResource": self._said(
                "describe_stack_resource", StackName=stack_id, LogicalResourceId=logical_id
            ),
            "DescribeStackResources": self._said("describe_stack_resources", StackName=stack_id),
            "DescribeStackEvents": self._said("describe_stack_events", StackName=stack_id),
        }

    def at_rest(self, stack_id: str) -> dict[str, Json]:
        """What two of the calls say about a stack at rest, without its events."""
        return {
            "DescribeStacks": self._said("describe_stacks", StackName=stack_id),
            "DescribeStackResources": self._said("describe_stack_resources", StackName=stack_id),
        }

    def events(self, stack_id: str) -> list[dict[str, Json]]:
        """All events of a stack, oldest first."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        events = [event for page in pages for event in page["StackEvents"]]
        return [as_json(event) for event in reversed(events)]

    def own_statuses(self, stack_id: str) -> list[str]:
        """The statuses that the stack itself has had, by its events, oldest first."""
        return [
            event["ResourceStatus"]
            for event in self.events(stack_id)
            if event.get("PhysicalResourceId") == stack_id
        ]

    def _said(self, call: str, **request: str) -> Json:
        try:
            answer = getattr(self._client, call)(**request)
        except ClientError as error:
            return {"Error": error_of(error)}
        del answer["ResponseMetadata"]
        return as_json(answer)


def error_of(error: ClientError) -> dict[str, str]:
    """An error's code and message."""
    said = error.response["Error"]
    return {"Code": said["Code"], "Message": said["Message"]}


def as_json(value: Any) -> Json:
    """A client's answer with its times as text, ISO 8601."""
    match value:
        case dict():
            return {name: as_json(member) for name, member in value.items()}
        case list() | tuple():
            return [as_json(member) for member in value]
        case datetime():
            return value.isoformat()
    return value
