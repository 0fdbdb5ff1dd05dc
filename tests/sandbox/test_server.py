"""What the sandbox's server, and moto's own, begin with."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.server import Server
from tests.moto_server import moto_server
from tests.sandbox.functions.conftest import package


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


def test_a_server_takes_the_concurrency_of_its_account() -> None:
    with Server(concurrency=0) as server:
        clients = Clients(server.endpoint)
        role = clients.client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")
        functions = clients.client("lambda")
        functions.create_function(
            FunctionName="Fn",
            Handler="app.echo",
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": package()},
        )
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            functions.invoke(FunctionName="Fn")
