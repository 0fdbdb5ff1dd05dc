"""CloudFormation in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.phases import Phases
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import Sandbox, client, installed


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The sandbox's CloudFormation, and a function named `bundler`."""
    with installed(client) as box:
        yield box


@pytest.fixture
def phases(sandbox: Sandbox) -> Phases:
    """A stack whose requests nobody but the test answers."""
    sandbox.answer = lambda _: None
    return Phases(sandbox)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A whole server, where policies count after a second: most stacks with roles wait for that.

    No other test in its process may use `sandbox`, which takes over moto's backends.
    """
    with Server(iam_delay=1) as server:
        yield Served(Clients(server.endpoint))
