"""A server, and clients of it whose calls count as those of a function with a role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS, REGION, Clients
from sandbox.functions.service import Functions
from sandbox.server import Server
from tests.iam import misfit
from tests.observing import observing
from tests.sandbox.cloudformation.parts import TRUST, document

NAME = "worker"
SESSION = f"arn:aws:sts::123456789012:assumed-role/{NAME}-role/{NAME}"


@dataclass(frozen=True)
class Caller:
    """The process of a function, as the server sees it."""

    role: str
    function_name: str = NAME
    event: str | None = None

    def kill(self) -> None:
        """It is a test."""


@dataclass
class Account:
    """An account with one role.

    Attributes:
        owner: the clients of somebody who may do everything, and sees the present state of EC2.
    """

    owner: Clients
    role: str
    clients: dict[str, Any] = field(default_factory=dict)

    def allow(self, *actions: str, resource: Any = "*", **more: Any) -> None:
        """Allow this and nothing else, from now on."""
        self.put(*document(*actions, resource=resource, **more)["Statement"])

    def put(self, *statements: dict[str, Any]) -> None:
        policy = {"Version": "2012-10-17", "Statement": statements}
        self.owner.client("iam").put_role_policy(
            RoleName=f"{NAME}-role", PolicyName="one", PolicyDocument=json.dumps(policy)
        )

    def client(self, service: Any) -> Any:
        """A client with the role's credentials; it tries once."""
        if service not in self.clients:
            self.clients[service] = boto3.Session(
                aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            ).client(
                service,
                endpoint_url=self.owner.endpoint,
                config=Config(retries={"total_max_attempts": 1}, user_agent_extra=f"app/{NAME}"),
            )
        return self.clients[service]

    def refusal(self, service: str, call: str, **parameters: Any) -> ClientError:
        """The error of a call."""
        with pytest.raises(ClientError) as refused:
            getattr(self.client(service), call)(**parameters)
        return refused.value

    def missing(self, service: str, call: str, **parameters: Any) -> str:
        """The action that a call lacks, by the words of its error."""
        words = self.refusal(service, call, **parameters).response["Error"]["Message"]
        return words.partition("not authorized to perform: ")[2].split(" ")[0]

    def asked(self) -> list[dict[str, Any]]:
        found = urllib3.request("GET", f"{self.owner.endpoint}/sandbox/authorizations").json()
        return [each for each in found if each["function"] == NAME]


@pytest.fixture
def account() -> Iterator[Account]:
    """Policies count at once."""
    callers: list[Caller] = []

    def calling(_: Functions, user_agent: str, port: int) -> Caller | None:
        return callers[0] if f"app/{NAME}" in user_agent else None

    with patch.object(Functions, "calling", calling), Server(iam_delay=0) as server:
        owner = Clients(server.endpoint)
        observing(owner.ec2)
        role = owner.client("iam").create_role(
            RoleName=f"{NAME}-role", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        callers.append(Caller(role))
        made = Account(owner, role)
        yield made
        asked = [(each["action"], each["resource"], each["context"]) for each in made.asked()]
        misfits = {misfit(*each) for each in asked}
        assert misfits <= {None}


def code(error: ClientError) -> tuple[int, str]:
    """The status and the code of an error."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
