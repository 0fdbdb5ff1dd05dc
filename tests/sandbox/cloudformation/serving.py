"""A whole server, and how tests of signals and events use it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from sandbox.clients import Clients
from tests.sandbox.cloudformation.support import eventually

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

Resources = dict[str, Any]


@dataclass(frozen=True)
class Served:
    """The server and its clients."""

    clients: Clients

    @property
    def endpoint(self) -> str:
        return self.clients.endpoint

    def create(self, resources: Resources, **outputs: Any) -> str:
        """Create a stack of any name; returns its ID."""
        return self.clients.cloudformation.create_stack(
            StackName=f"stack-{uuid.uuid4().hex[:12]}",
            TemplateBody=body(resources, **outputs),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )["StackId"]

    def update(self, stack_id: str, resources: Resources, **outputs: Any) -> None:
        self.clients.cloudformation.update_stack(
            StackName=stack_id,
            TemplateBody=body(resources, **outputs),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

    def delete(self, stack_id: str) -> None:
        """Delete the stack, and wait."""
        self.clients.cloudformation.delete_stack(StackName=stack_id)
        self.until(stack_id, "DELETE_COMPLETE")

    def stack(self, stack_id: str) -> StackTypeDef:
        return self.clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]

    def until(self, stack_id: str, status: str) -> dict[str, str]:
        """Wait for the stack to come to `status`; returns its outputs."""
        eventually(
            lambda: self.stack(stack_id)["StackStatus"] == status, lambda: self.events(stack_id)
        )
        outputs = self.stack(stack_id).get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def until_resource(self, stack_id: str, logical_id: str, status: str) -> str:
        """Wait for the resource to come to `status`; returns why it did."""

        def reasons() -> list[str]:
            return [why for name, came, why in self.events(stack_id) if (name, came) == wanted]

        wanted = (logical_id, status)
        eventually(lambda: bool(reasons()), lambda: self.events(stack_id))
        return reasons()[0]

    def events(self, stack_id: str) -> list[tuple[str, str, str]]:
        """The stack's events as (logical ID, status, reason), oldest first."""
        pages = self.clients.cloudformation.get_paginator("describe_stack_events")
        found = pages.paginate(StackName=stack_id).build_full_result()
        return [
            (e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", ""))
            for e in reversed(found["StackEvents"])
        ]

    def statuses(self, stack_id: str, logical_id: str) -> list[str]:
        """The statuses that a resource went through."""
        return [status for name, status, _ in self.events(stack_id) if name == logical_id]

    def physical_id(self, stack_id: str, logical_id: str) -> str:
        """The physical ID of a resource, once it has one: of a handle, its URL."""
        self.until_resource(stack_id, logical_id, "CREATE_COMPLETE")
        found = self.clients.cloudformation.describe_stack_resource(
            StackName=stack_id, LogicalResourceId=logical_id
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def listed(self, what: str) -> Any:
        """What `GET /sandbox/<what>` lists."""
        answer = urllib3.request("GET", f"{self.endpoint}/sandbox/{what}")
        assert answer.status == 200, answer.data
        return answer.json()

    def signals(self, stack_id: str) -> list[dict[str, Any]]:
        """The signals to the stack's handles."""
        return [signal for signal in self.listed("signals") if signal["stackId"] == stack_id]

    def set_fault(self, call: str, fault: str, **more: Any) -> None:
        set_fault = json.dumps({"call": call, "fault": fault, **more})
        answer = urllib3.request("POST", f"{self.endpoint}/sandbox/faults", body=set_fault)
        assert answer.status == 201, answer.data

    def clear_faults(self) -> None:
        answer = urllib3.request("DELETE", f"{self.endpoint}/sandbox/faults")
        assert answer.status == 204, answer.data


def body(resources: Resources, **outputs: Any) -> str:
    """A template."""
    wanted = {name: {"Value": value} for name, value in outputs.items()}
    return json.dumps({"Resources": resources, "Outputs": wanted})


def handle() -> dict[str, Any]:
    """A wait condition handle."""
    return {"Type": "AWS::CloudFormation::WaitConditionHandle"}


def condition(handle: str = "Handle", **more: Any) -> dict[str, Any]:
    """A wait condition of that handle, with a minute's timeout."""
    depends_on = more.pop("DependsOn", [])
    return {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": depends_on,
        "Properties": {"Handle": {"Ref": handle}, "Timeout": "60", **more},
    }


def signal(unique_id: str = "one", status: str = "SUCCESS", **more: str) -> dict[str, str]:
    """A signal's body."""
    data = {"Status": status, "UniqueId": unique_id, "Data": f"data of {unique_id}"}
    return {**data, "Reason": f"reason of {unique_id}", **more}


def put(url: str, content: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    """PUT a body, as JSON unless it is bytes, with no Content-Type but a given one."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.request("PUT", url, body=raw, headers=named, retries=False)
