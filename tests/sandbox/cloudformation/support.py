"""What the tests of CloudFormation talk to, with functions that are Python callables in threads."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
from moto import mock_aws
from moto.awslambda.models import LambdaBackend

from sandbox.cloudformation import api as cloudformation
from tests.fixtures import PATIENCE

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

REGION = "us-east-1"
ACCOUNT = "123456789012"

Answer = dict[str, Any] | None


@cache
def client(service: Any) -> Any:
    """A client, which is created once: that takes time."""
    return boto3.client(service, region_name=REGION)


class Clock:
    """Real time, with jumps, until it is stopped."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.stopped: float | None = None

    def __call__(self) -> float:
        return (time.time() if self.stopped is None else self.stopped) + self.ahead


@dataclass
class Sandbox:
    """What tests talk to.

    client: of CloudFormation. aws: gives other clients. events: that functions received. answer:
    what they do with one; None is no answer.
    """

    client: CloudFormationClient
    aws: Callable[[str], Any]
    stacks: cloudformation.Stacks
    clock: Clock
    events: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Answer] = lambda event: success(event)
    threads: list[threading.Thread] = field(default_factory=list)

    def invoke(self, body: str) -> None:
        event = json.loads(body)
        self.events.append(event)
        thread = threading.Thread(target=self._work, args=(event,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _work(self, event: dict[str, Any]) -> None:
        answer = self.answer(event)
        if answer is not None:
            self.put(event, json.dumps(answer).encode())

    def put(self, event: dict[str, Any], body: bytes, **headers: str) -> int:
        """PUT `body` to the event's ResponseURL."""
        url = urlsplit(event["ResponseURL"])
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _ = self.stacks.custom_resources.receive(url.path, url.query, named, body)
        return status

    def create(self, body: str, name: str = "shop", **more: Any) -> str:
        """Create a stack; returns its ID."""
        more.setdefault("Capabilities", ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        return self.client.create_stack(StackName=name, TemplateBody=body, **more)["StackId"]

    def stack(self, name: str = "shop") -> StackTypeDef:
        return self.client.describe_stacks(StackName=name)["Stacks"][0]

    def until(self, status: str, name: str = "shop") -> StackTypeDef:
        """Wait for the stack to come to `status`."""
        eventually(lambda: self.stack(name)["StackStatus"] == status, lambda: self.history(name))
        return self.stack(name)

    def finish(self, body: str, status: str, name: str = "shop", **more: Any) -> StackTypeDef:
        """Create a stack and wait for it to come to `status`."""
        return self.until(status, self.create(body, name, **more))

    def delete(self, name: str = "shop", status: str = "DELETE_COMPLETE") -> str:
        """Delete the stack and wait; returns its ID."""
        stack_id = self.stack(name)["StackId"]
        self.client.delete_stack(StackName=name)
        self.until(status, stack_id)
        return stack_id

    def history(self, name: str = "shop") -> list[tuple[str, str, str]]:
        """The events as (logical ID, status, reason), oldest first."""
        pages = self.client.get_paginator("describe_stack_events")
        events = pages.paginate(StackName=name).build_full_result()["StackEvents"]
        return [
            (e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", ""))
            for e in reversed(events)
        ]

    def statuses(self, logical_id: str, name: str = "shop") -> list[str]:
        """The statuses that a resource went through."""
        return [status for each, status, _ in self.history(name) if each == logical_id]

    def reason(self, logical_id: str, status: str, name: str = "shop") -> str:
        """Why the resource came to `status`."""
        return next(
            why
            for each, became, why in self.history(name)
            if (each, became) == (logical_id, status)
        )

    def outputs(self, name: str = "shop") -> dict[str, str]:
        return {o["OutputKey"]: o["OutputValue"] for o in self.stack(name).get("Outputs", [])}

    def event(self, request_type: str, logical_id: str = "Bundle") -> dict[str, Any]:
        """The event of that type that the resource's function received; waits for it."""

        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in self.events
                if (event["RequestType"], event["LogicalResourceId"]) == (request_type, logical_id)
            ]

        eventually(lambda: bool(found()), lambda: self.events)
        return found()[-1]


@contextmanager
def installed(
    aws: Callable[[str], Any], refusal: Callable[[str, str], str | None] = lambda *_: None
) -> Iterator[Sandbox]:
    """The sandbox's CloudFormation in this process, and a function named `bundler`.

    aws: gives clients. refusal: why a stack's role may not invoke a function, by their ARNs.
    """
    clock = Clock()
    with mock_aws():
        stacks = cloudformation.install(lambda: "http://127.0.0.1:5000", clock, refusal=refusal)
        box = Sandbox(aws("cloudformation"), aws, stacks, clock)

        def invoke(
            backend: LambdaBackend, name: str, qualifier: str | None, body: str, *headers: Any
        ) -> None:
            assert headers[0]["X-Amz-Invocation-Type"] == "Event"
            box.invoke(body)

        role = aws("iam").create_role(RoleName="bundler", AssumeRolePolicyDocument="{}")
        aws("lambda").create_function(
            FunctionName="bundler",
            Runtime="python3.13",
            Handler="app.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": zipped()},
        )
        with patch.object(LambdaBackend, "invoke", invoke):
            yield box
            stacks.close()
    for thread in box.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def success(event: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer of SUCCESS, which keeps the physical ID where there is one."""
    return {
        "Status": "SUCCESS",
        "PhysicalResourceId": event.get("PhysicalResourceId", "bun-1"),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        **more,
    }


def failure(event: dict[str, Any], reason: str, **more: Any) -> dict[str, Any]:
    """An answer of FAILED."""
    return success(event, Status="FAILED", Reason=reason, **more)


def eventually(holds: Callable[[], bool], shown: Callable[[], object]) -> None:
    """Wait until the condition holds; fails with what is `shown` after `PATIENCE`."""
    deadline, pause = time.monotonic() + PATIENCE, 0.01
    while not holds():
        assert time.monotonic() < deadline, shown()
        time.sleep(pause)
        pause = min(0.1, 1.5 * pause)


def zipped(code: str = "def handler(event, context): ...") -> bytes:
    """A function's zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", code)
    return buffer.getvalue()
