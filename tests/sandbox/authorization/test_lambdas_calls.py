"""Lambda polls, logs and reports failures by a function's role, as far as this allows it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from sandbox.clients import Clients
from sandbox.server import Server
from tests.fixtures import PATIENCE
from tests.sandbox.cloudformation.parts import POLLING, TRUST, document
from tests.sandbox.cloudformation.support import zipped

LOGGING = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
CODE = """
def handler(event, context):
    print("was here")
    if event.get("fail"):
        raise ValueError
"""


@dataclass(frozen=True)
class Account:
    """A function, a queue, and the function's role, whose policy counts at once."""

    clients: Clients
    queue: str

    def allow(self, *actions: str) -> None:
        """Allow these and no more."""
        self.clients.client("iam").put_role_policy(
            RoleName="worker", PolicyName="one", PolicyDocument=json.dumps(document(*actions))
        )

    def invoke(self, **event: Any) -> None:
        self.clients.functions.invoke(
            FunctionName="worker", InvocationType="Event", Payload=json.dumps(event)
        )

    def asked(self) -> dict[str, bool]:
        """What was asked of IAM last, and the answer, by the action."""
        found = urllib3.request("GET", f"{self.clients.endpoint}/sandbox/authorizations").json()
        return {each["action"]: each["allowed"] for each in found}

    def attribute(self, name: str) -> int:
        found = self.clients.client("sqs").get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=[name]
        )
        return int(found["Attributes"][name])

    def lines(self) -> list[str]:
        logs = self.clients.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return [
            event["message"]
            for group in groups
            for event in logs.filter_log_events(logGroupName=group)["events"]
        ]


@pytest.fixture
def account() -> Iterator[Account]:
    with Server(iam_delay=0) as server:
        clients = Clients(server.endpoint)
        role = clients.client("iam").create_role(
            RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        clients.functions.create_function(
            FunctionName="worker",
            Runtime="python3.13",
            Handler="app.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": zipped(CODE)},
        )
        queue = clients.client("sqs").create_queue(QueueName="polled")["QueueUrl"]
        yield Account(clients, queue)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def map_queue(account: Account) -> None:
    account.allow(*POLLING, *LOGGING)
    account.clients.functions.create_event_source_mapping(
        FunctionName="worker", EventSourceArn="arn:aws:sqs:us-east-1:123456789012:polled"
    )


def test_a_queue_is_not_polled_without_the_roles_permission(account: Account) -> None:
    map_queue(account)
    account.allow(*LOGGING)
    wait_for(lambda: account.asked().get("sqs:GetQueueAttributes") is False)

    account.clients.client("sqs").send_message(QueueUrl=account.queue, MessageBody="a")

    assert account.attribute("ApproximateNumberOfMessages") == 1
    account.allow(*POLLING, *LOGGING)
    wait_for(lambda: account.attribute("ApproximateNumberOfMessages") == 0)


def test_a_message_is_not_deleted_without_the_roles_permission(account: Account) -> None:
    map_queue(account)
    account.allow("sqs:GetQueueAttributes", "sqs:ReceiveMessage", *LOGGING)

    account.clients.client("sqs").send_message(QueueUrl=account.queue, MessageBody="a")

    wait_for(lambda: account.asked().get("sqs:DeleteMessage") is False)
    assert account.attribute("ApproximateNumberOfMessagesNotVisible") == 1


def test_a_line_is_logged_by_the_role(account: Account) -> None:
    account.allow("logs:CreateLogGroup", "logs:CreateLogStream")
    account.invoke()
    wait_for(lambda: account.asked().get("logs:PutLogEvents") is False)
    assert account.lines() == []

    account.allow(*LOGGING)
    account.invoke()

    wait_for(lambda: "was here" in account.lines())


def test_a_failure_is_reported_by_the_role(account: Account) -> None:
    account.allow("sqs:SendMessage")
    account.clients.functions.put_function_event_invoke_config(
        FunctionName="worker",
        MaximumRetryAttempts=0,
        DestinationConfig={
            "OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:polled"}
        },
    )
    account.allow("sqs:ReceiveMessage")
    account.invoke(fail=True)
    wait_for(lambda: account.asked().get("sqs:SendMessage") is False)
    assert account.attribute("ApproximateNumberOfMessages") == 0

    account.allow("sqs:SendMessage")
    account.invoke(fail=True)

    wait_for(lambda: account.attribute("ApproximateNumberOfMessages") == 1)
