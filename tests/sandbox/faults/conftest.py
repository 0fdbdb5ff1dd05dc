"""A whole server for the tests of a module, and functions that call it."""

import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS, REGION
from sandbox.server import Server
from tests.fixtures import PATIENCE

ROLE = "caller"
CALLER = Path(__file__).with_name("caller.py")


@dataclass
class Sandbox:
    """The server, and how the tests get at it; its clients try once."""

    endpoint: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.Session(
                aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            ).client(
                service,  # type: ignore[call-overload]  # any service
                endpoint_url=self.endpoint,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service]

    def request(self, method: str, path: str = "", body: bytes = b"") -> urllib3.BaseHTTPResponse:
        """Call the server's interface for faults."""
        return urllib3.request(method, f"{self.endpoint}/sandbox/faults{path}", body=body)

    def responses(self) -> list[dict[str, Any]]:
        """The answers of custom resources that the server received."""
        answer = urllib3.request("GET", f"{self.endpoint}/sandbox/responses")
        found: list[dict[str, Any]] = answer.json()
        return found

    def set(self, call: str, fault: str, **more: Any) -> dict[str, Any]:
        body = json.dumps({"call": call, "fault": fault, **more}).encode()
        answer = self.request("POST", body=body)
        assert answer.status == 201, answer.data
        described: dict[str, Any] = answer.json()
        return described

    def shown(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.request("GET").json()
        return found


@dataclass
class Function:
    """A function of `caller.py`."""

    sandbox: Sandbox
    name: str
    arn: str
    record: Path

    def invoke(self, *actions: str, **event: Any) -> dict[str, Any]:
        """Have it make calls of EC2; the answer's payload comes parsed."""
        answer: dict[str, Any] = self.sandbox.client("lambda").invoke(
            FunctionName=self.name, Payload=json.dumps({"actions": actions, **event})
        )
        return {**answer, "Payload": json.loads(answer["Payload"].read())}

    def records(self) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def events(self) -> list[dict[str, Any]]:
        return [record for record in self.records() if "event" in record]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """With a role that functions may have, whose policy counts."""
    with Server() as server:
        sandbox = Sandbox(server.endpoint)
        iam = sandbox.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_role_policy(
            RoleName=ROLE,
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )
        probe = deployed(sandbox, "handle", tmp_path_factory.mktemp("probe") / "record.jsonl")
        deadline = time.monotonic() + PATIENCE
        while probe.invoke("DescribeRegions")["Payload"] != {"answers": [200]}:
            assert time.monotonic() < deadline, "the policy does not count"
            time.sleep(0.1)
        sandbox.client("lambda").delete_function(FunctionName=probe.name)
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    """The server, without faults before and after."""
    assert server.request("DELETE").status == 204
    yield server
    server.request("DELETE")


@pytest.fixture
def function(sandbox: Sandbox, tmp_path: Path) -> Function:
    return deployed(sandbox, "handle", tmp_path / "record.jsonl")


def deployed(sandbox: Sandbox, handler: str, record: Path) -> Function:
    """A new function of `caller.py`."""
    name = f"{handler}-{uuid.uuid4().hex[:8]}"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(CALLER, CALLER.name)
    role = sandbox.client("iam").get_role(RoleName=ROLE)
    function = sandbox.client("lambda").create_function(
        FunctionName=name,
        Handler=f"caller.{handler}",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": package.getvalue()},
        Environment={"Variables": {"RECORD": str(record)}},
        Timeout=20,
    )
    return Function(sandbox, name, function["FunctionArn"], record)


def held() -> list[threading.Thread]:
    """The server's threads that answer a request."""
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def once_allowed(call: Callable[[], Any]) -> Any:
    """Make a call that needs a permission of a function's role, once its new policy counts."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except ClientError as refusal:
            passing = "does not have permissions to call" in str(refusal)
            if not passing or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
