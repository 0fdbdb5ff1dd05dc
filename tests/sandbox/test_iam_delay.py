"""How long policies take to count: a setting of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.parts import POLLING, TRUST, document, role
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import zipped

HOUR = 3600


@dataclass(frozen=True)
class Polling:
    """A function, whose role has no policy yet, and a queue that it is to poll."""

    clients: Clients
    queue_arn: str

    def allow(self) -> None:
        self.clients.client("iam").put_role_policy(
            RoleName="poller", PolicyName="polls", PolicyDocument=json.dumps(document(*POLLING))
        )

    def refuse(self) -> None:
        self.clients.client("iam").delete_role_policy(RoleName="poller", PolicyName="polls")

    def map(self) -> str:
        return self.clients.functions.create_event_source_mapping(
            FunctionName="poller", EventSourceArn=self.queue_arn
        )["UUID"]


@contextmanager
def polling(iam_delay: float) -> Iterator[Polling]:
    with Server(iam_delay=iam_delay) as server:
        clients = Clients(server.endpoint)
        made = clients.client("iam").create_role(
            RoleName="poller", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        clients.functions.create_function(
            FunctionName="poller",
            Runtime="python3.13",
            Handler="app.handler",
            Role=made["Role"]["Arn"],
            Code={"ZipFile": zipped()},
        )
        clients.client("sqs").create_queue(QueueName="polled")
        yield Polling(clients, "arn:aws:sqs:us-east-1:123456789012:polled")


def test_a_policy_counts_when_the_delay_is_over() -> None:
    with polling(0) as poller:
        poller.allow()

        assert poller.map()


def test_a_policy_does_not_count_before_the_delay_is_over() -> None:
    with polling(HOUR) as poller:
        poller.allow()

        with pytest.raises(poller.clients.functions.exceptions.InvalidParameterValueException):
            poller.map()


def test_a_policy_that_is_deleted_counts_no_more_at_once() -> None:
    with polling(0) as poller:
        poller.allow()
        uuid = poller.map()
        poller.refuse()

        with pytest.raises(poller.clients.functions.exceptions.InvalidParameterValueException):
            poller.clients.functions.update_event_source_mapping(UUID=uuid, BatchSize=2)


def test_a_stack_does_not_wait_for_a_role_that_nothing_in_it_needs() -> None:
    with Server(iam_delay=HOUR) as server:
        served = Served(Clients(server.endpoint))

        stack = served.create({"Role": role(document(*POLLING))})

        served.until(stack, "CREATE_COMPLETE")
