"""What the sandbox's server, and moto's own, begin with."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.moto_server import moto_server


@contextmanager
def sandbox_server() -> Iterator[str]:
    with Server() as server:
        yield server.endpoint


@pytest.mark.parametrize("serving", [sandbox_server, moto_server])
def test_a_server_begins_empty_whatever_one_before_it_left(
    serving: Callable[[], AbstractContextManager[str]],
) -> None:
    for _ in range(2):
        with serving() as endpoint:
            sqs = Clients(endpoint).client("sqs")
            assert "QueueUrls" not in sqs.list_queues()
            sqs.create_queue(QueueName="left")
