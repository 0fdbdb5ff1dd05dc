"""A kill by an exception leaves the same behind as SIGKILL, which the simulated world relies on.

The function's handler runs in a process of its own against the sandbox, which lives on. After its
nth call it dies: by an exception that nothing in the function catches, as in the simulated world,
or by SIGKILL. Then what is left in AWS is compared.
"""

import difflib
import json
import os
import re
import signal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from urllib3.connectionpool import HTTPConnectionPool

from instance_bundle import app, aws, last_resort
from instance_bundle.settings import settings
from sandbox.world import LEDGER_TABLE, POLL_QUEUE, REQUEST_TABLE
from tests.fixtures import Context
from tests.processes import forked

from .support import Aws, json_of, wait_for

ENDED, KILLED = 0, 70

_VARYING = re.compile(
    r"trial-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(bun|ami|i|snap)-[0-9a-f]{8,17}"
    r"|\b[0-9a-f]{16}\b|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+Z?|\d{8}T\d{6}Z|\b\d{10,13}(\.\d+)?\b"
)
"""Names, IDs and times, which differ from run to run."""


class Killed(BaseException):
    """The process is gone."""


def by_exception() -> None:
    raise Killed


def by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


Die = Callable[[], None]
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A bundle of which nobody but this test knows, and the events about it."""

    aws: Aws
    instance: str
    name: str = field(default_factory=lambda: f"trial-{uuid.uuid4().hex}")

    def create(self) -> Event:
        return {
            "RequestType": "Create",
            "ServiceToken": self.aws.ready["service_token"],
            "ResponseURL": f"{self.aws.clients.endpoint}/sandbox/responses/{self.name}",
            "StackId": self._stack_id,
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": "Bundle",
            "ResourceType": "Custom::InstanceBundle",
            "ResourceProperties": {
                "ServiceToken": self.aws.ready["service_token"],
                "InstanceId": self.instance,
                "OnDelete": "Delete",
                "Storage": {"S3": {"Bucket": self.aws.ready["bucket"], "Prefix": self.name}},
                "UploadCredentials": self.aws.ready["secret"],
            },
        }

    @property
    def _stack_id(self) -> str:
        made_up = uuid.uuid5(uuid.NAMESPACE_URL, self.name)
        return f"arn:aws:cloudformation:us-east-1:123456789012:stack/{self.name}/{made_up}"

    def poll(self) -> Event:
        """The batch of the poll that was sent last."""
        body = self._messages()[-1]
        record = {
            "messageId": str(uuid.uuid4()),
            "receiptHandle": "none",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
        }
        return {"Records": [record]}

    def wait_for_its_bundle(self) -> None:
        def is_complete() -> bool | None:
            return self.aws.tasks(self.instance)[0]["State"] == "complete" or None

        wait_for(is_complete, "the bundle to be complete")

    def left(self) -> str:
        """What there is of it in AWS, as text that is the same for each such resource."""
        dynamodb = self.aws.clients.client("dynamodb")
        items = [
            item
            for table in (LEDGER_TABLE, REQUEST_TABLE)
            for item in dynamodb.scan(TableName=table)["Items"]
        ]
        received = json_of(f"{self.aws.clients.endpoint}/sandbox/responses")
        tasks = self.aws.tasks(self.instance)
        left = {
            "ledger": [item for item in items if self.name in item["resource"]["S"]],
            "messages": self._messages(),
            "tasks": [task["Storage"]["S3"]["Prefix"] for task in tasks],
            "objects": self.aws.keys(self.name),
            "responses": [each["body"] for each in received if self.name in json.dumps(each)],
        }
        return _VARYING.sub("*", json.dumps(left, sort_keys=True, indent=1))

    def _messages(self) -> list[str]:
        sent = json_of(f"{self.aws.clients.endpoint}/sandbox/messages")
        return [each["body"] for each in sent if self.name in each["body"]]


def invoke(cloud: Aws, event: Event, nth: int, die: Die) -> int:
    """Handle an event in a process that dies after its nth call; how it ended."""
    variables = {
        "AWS_ENDPOINT_URL": cloud.clients.endpoint,
        "SANDBOX_RESPONSE_ORIGIN": cloud.clients.endpoint,
        "LEDGER_TABLE": LEDGER_TABLE,
        "REQUEST_TABLE": REQUEST_TABLE,
        "POLL_QUEUE_URL": f"{cloud.clients.endpoint}/123456789012/{POLL_QUEUE}",
        "UPLOAD_SECRET_ARNS": "*",
        "EVENT_BUS": "default",
    }
    carry_out = HTTPConnectionPool._make_request
    made = 0

    def make_request(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        response = carry_out(*args, **kwargs)
        made += 1
        if made == nth:
            die()
        return response

    def handle() -> int:
        with (
            patch.dict(os.environ, variables),
            patch.object(HTTPConnectionPool, "_make_request", make_request),
        ):
            for made_once in (
                *(settings, app.ledger, app.methods, app.lifecycle, last_resort.ledger),
                *(aws.ec2, aws.ec2_once, aws.s3, aws.dynamodb, aws.secretsmanager),
                *(aws.events, aws.sqs, aws.cloudformation),
            ):
                made_once.cache_clear()
            try:
                app.handler(event, Context())
            except Killed:
                return KILLED
        return ENDED

    return forked(handle)


def created(cloud: Aws, **steering: str) -> tuple[Resource, Event]:
    """A Create, of a bundle that is not finished meanwhile."""
    resource = Resource(cloud, cloud.instance(**(steering or {"outcome": "hang"})))
    return resource, resource.create()


def completed(cloud: Aws) -> tuple[Resource, Event]:
    """The poll that learns of the end."""
    resource, event = created(cloud, seconds="0")
    assert invoke(cloud, event, 0, by_exception) == ENDED
    resource.wait_for_its_bundle()
    return resource, resource.poll()


@pytest.mark.faults
@pytest.mark.parametrize("prepared", [created, completed])
def test_an_exception_leaves_what_sigkill_leaves(
    aws: Aws, prepared: Callable[[Aws], tuple[Resource, Event]]
) -> None:
    different: dict[int, list[str]] = {}
    compared = 0
    for nth in range(1, 100):
        left = []
        for die, end in ((by_exception, KILLED), (by_signal, -signal.SIGKILL)):
            resource, event = prepared(aws)
            ended = invoke(aws, event, nth, die)
            if ended != ENDED:
                assert ended == end
                left.append(resource.left().splitlines())
        if not left:
            break
        by_one, by_other = left
        compared += 1
        if by_one != by_other:
            different[nth] = [*difflib.unified_diff(by_one, by_other, n=1, lineterm="")]
    assert compared >= 5
    assert different == {}
