"""Stacks of custom resources whose requests the test answers, and what the Describe calls say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import ACCOUNT, REGION, Sandbox, eventually, success

Event = dict[str, Any]
Seen = tuple[str, str | None, str | None]
"""A stack's status, and a resource's status and physical ID as far as there are any."""

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"


def template(**names: str) -> str:
    """A template of custom resources, each with a property Name; one that is called `Sibling` may
    fail while `Bundle` is done."""
    return json.dumps(
        {
            "Resources": {
                logical_id: {
                    "Type": "Custom::InstanceBundle",
                    "Properties": {"ServiceToken": TOKEN, "Name": name},
                }
                for logical_id, name in names.items()
            }
        }
    )


@dataclass(frozen=True)
class Phases:
    """A stack named `shop`, step by step."""

    sandbox: Sandbox

    def create(self, body: str, **more: Any) -> str:
        """Begin to create the stack; its ID."""
        return self.sandbox.create(body, **more)

    def created(self, body: str, **ids: str) -> str:
        """Create the stack, its resources with these physical IDs; its ID."""
        stack_id = self.create(body)
        for logical_id, physical_id in ids.items():
            self.answer(self.request("Create", logical_id), physical_id)
        self.sandbox.until("CREATE_COMPLETE")
        return stack_id

    def update(self, body: str, **more: Any) -> None:
        """Begin to update the stack."""
        self.sandbox.client.update_stack(StackName="shop", TemplateBody=body, **more)

    def request(self, request_type: str, logical_id: str = "Bundle", nth: int = 1) -> Event:
        """The nth request of that type about the resource; waits for it."""

        def found() -> list[Event]:
            return [
                event
                for event in self.sandbox.events
                if (event["RequestType"], event["LogicalResourceId"]) == (request_type, logical_id)
            ]

        eventually(lambda: len(found()) >= nth, self.sandbox.history)
        return found()[nth - 1]

    def answer(self, event: Event, physical_id: str | None = None) -> None:
        """Answer SUCCESS; None: with the physical ID of the request."""
        named = {"PhysicalResourceId": physical_id} if physical_id else {}
        assert self.sandbox.put(event, json.dumps(success(event, **named)).encode()) == 200

    def fail(self, event: Event, physical_id: str | None = None) -> None:
        """Answer FAILED."""
        named = {"PhysicalResourceId": physical_id} if physical_id else {}
        body = success(event, Status="FAILED", Reason="no good", **named)
        assert self.sandbox.put(event, json.dumps(body).encode()) == 200

    def until_resource(self, status: str, logical_id: str = "Bundle", times: int = 1) -> None:
        """Wait for the resource to have come to `status` so many times."""
        eventually(
            lambda: self.sandbox.statuses(logical_id).count(status) >= times, self.sandbox.history
        )

    def seen(self, stack_id: str, logical_id: str = "Bundle") -> Seen:
        """What DescribeStacks and DescribeStackResource say, by the stack's name if it has one
        still, and by its ID, and so do DescribeStackResources and ListStackResources."""
        client = self.sandbox.client
        by_id = self._seen(stack_id, logical_id)
        if by_id[0] != "DELETE_COMPLETE":
            assert self._seen("shop", logical_id) == by_id
        listed = [
            resource
            for resources in (
                client.list_stack_resources(StackName=stack_id)["StackResourceSummaries"],
                client.describe_stack_resources(StackName=stack_id)["StackResources"],
            )
            for resource in resources
            if resource["LogicalResourceId"] == logical_id
        ]
        if by_id[1] is not None:
            found = {(r["ResourceStatus"], r.get("PhysicalResourceId")) for r in listed}
            assert (len(listed), found) == (2, {by_id[1:]})
        return by_id

    def _seen(self, stack: str, logical_id: str) -> Seen:
        status = self.sandbox.stack(stack)["StackStatus"]
        try:
            detail = self.sandbox.client.describe_stack_resource(
                StackName=stack, LogicalResourceId=logical_id
            )["StackResourceDetail"]
        except ClientError as error:
            says = f"Resource {logical_id} does not exist for stack {stack}"
            assert error.response["Error"]["Message"] == says  # noqa: PT017
            return status, None, None
        return status, detail["ResourceStatus"], detail.get("PhysicalResourceId")

    def last_event(self, stack_id: str, logical_id: str = "Bundle") -> tuple[str, str]:
        """The status and physical ID of the resource's newest event."""
        events = self.sandbox.client.describe_stack_events(StackName=stack_id)["StackEvents"]
        newest = next(event for event in events if event["LogicalResourceId"] == logical_id)
        return newest["ResourceStatus"], newest.get("PhysicalResourceId", "")

    def operations(self) -> list[str]:
        """The kinds of the last operations, the newest first."""
        return [entry["OperationType"] for entry in self.sandbox.stack()["LastOperations"]]
