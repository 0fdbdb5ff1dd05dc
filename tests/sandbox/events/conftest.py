"""EventBridge on a clock that the test moves, in this process, and in a whole server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.clients import REGION, Clients
from sandbox.ec2 import api as ec2
from sandbox.events import api as events
from sandbox.faults.faults import Faults
from sandbox.server import Server
from tests.fixtures import Clock
from tests.sandbox.cloudformation.serving import Served

from .support import EventBridge

SESSION = boto3.Session(region_name=REGION)


@cache
def client(service: str) -> Any:
    """A client that moto answers while it is on."""
    return SESSION.client(service)  # type: ignore[call-overload]  # any service


@pytest.fixture
def moved(clock: Clock) -> Iterator[EventBridge]:
    """With EC2's images and bundle tasks on `clock`."""
    with mock_aws(), ec2.install(clock), events.install(Faults(), clock):
        yield EventBridge(client)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A whole server; no other test in its process may use `moved`."""
    with Server(iam_delay=0) as server:
        yield Served(Clients(server.endpoint))


@pytest.fixture
def bridge(served: Served) -> Iterator[EventBridge]:
    """The server's account. Faults are cleared at the end."""
    yield EventBridge(cache(served.clients.client))
    served.clear_faults()
