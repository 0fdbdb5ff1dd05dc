"""CloudFormation in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda.models import LambdaBackend

from sandbox.clients import Clients
from sandbox.cloudformation import api as cloudformation
from sandbox.server import Server
from tests.fixtures import PATIENCE
from tests.sandbox.cloudformation.phases import Phases
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import REGION, Clock, Sandbox, zipped


@pytest.fixture(scope="session")
def clients() -> Callable[[str], Any]:
    """Makes each client once: making them is what takes the time."""
    session = boto3.Session(region_name=REGION)
    return cache(lambda service: session.client(service))


@pytest.fixture
def sandbox(clients: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox's CloudFormation, and a function named `bundler`."""
    clock = Clock()
    with mock_aws():
        stacks = cloudformation.install(lambda: "http://127.0.0.1:5000", clock)
        box = Sandbox(clients("cloudformation"), clients, stacks, clock)

        def invoke(
            backend: LambdaBackend, name: str, qualifier: str | None, body: str, *headers: Any
        ) -> None:
            assert headers[0]["X-Amz-Invocation-Type"] == "Event"
            box.invoke(body)

        monkeypatch.setattr(LambdaBackend, "invoke", invoke)
        role = clients("iam").create_role(RoleName="bundler", AssumeRolePolicyDocument="{}")
        clients("lambda").create_function(
            FunctionName="bundler",
            Runtime="python3.13",
            Handler="app.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": zipped()},
        )
        yield box
        stacks.close()
    for thread in box.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def phases(sandbox: Sandbox) -> Phases:
    """A stack whose requests nobody but the test answers."""
    sandbox.answer = lambda _: None
    return Phases(sandbox)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A whole server, where policies count after a second: most stacks with roles wait for that.

    No test beside it may use `sandbox`, which takes over moto's backends.
    """
    with Server(iam_delay=1) as server:
        yield Served(Clients(server.endpoint))
