"""A sandbox's Lambda on moto in this process, and functions deployed to it from `handlers/`."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from sandbox.functions import service as lambda_functions
from sandbox.functions.service import Functions
from tests.fixtures import PATIENCE

HANDLERS = Path(__file__).parent / "handlers"
SESSION = boto3.Session(region_name="us-east-1")
NO_RETRIES = Config(retries={"total_max_attempts": 1})


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition, which has to come within `PATIENCE`."""
    deadline, pause = time.monotonic() + PATIENCE, 0.01
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
        pause = min(0.1, 1.5 * pause)
    return value


def is_running(pid: int) -> bool:
    """Whether a process is there, and not a zombie that nobody collects."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def package() -> bytes:
    """The handlers as a function's zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in HANDLERS.glob("*.py"):
            archive.write(file, file.name)
    return content.getvalue()


@dataclass
class Account:
    """An AWS account to test with.

    lines: what functions printed, as (function name, line).
    """

    directory: Path
    endpoint: str | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = SESSION.client(
                service,  # type: ignore[call-overload]  # any service
                endpoint_url=self.endpoint,
                config=NO_RETRIES,
            )
        return self.clients[service]

    def log(self, function_name: str, line: str) -> None:
        self.lines.append((function_name, line))

    @property
    def release(self) -> Path:
        """Handlers that hold go on once this file is there."""
        return self.directory / "release"

    def role(self) -> str:
        iam = self.client("iam")
        names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        if "function" not in names:
            iam.create_role(RoleName="function", AssumeRolePolicyDocument="{}")
        arn: str = iam.get_role(RoleName="function")["Role"]["Arn"]
        return arn

    def deploy(self, handler: str, name: str = "Fn", **settings: Any) -> str:
        """Create a function and answer its ARN."""
        function = self.client("lambda").create_function(
            FunctionName=name,
            Handler=f"app.{handler}" if "." not in handler else handler,
            Runtime="python3.13",
            Role=self.role(),
            **{
                "Code": {"ZipFile": package()},
                "Timeout": 20,
                "Environment": {"Variables": self.variables()},
                **settings,
            },
        )
        arn: str = function["FunctionArn"]
        return arn

    def variables(self, **more: str) -> dict[str, str]:
        return {
            "RECORD": str(self.directory / "record.jsonl"),
            "RELEASE": str(self.release),
            **more,
        }

    def invoke(self, event: Any = None, name: str = "Fn", **settings: Any) -> dict[str, Any]:
        """Call the Invoke API; the payload of the answer comes parsed."""
        answer: dict[str, Any] = self.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(event), **settings
        )
        payload = answer["Payload"].read()
        return {**answer, "Payload": json.loads(payload) if payload else None}

    def records(self) -> list[dict[str, Any]]:
        """What the recording handlers have seen."""
        file = self.directory / "record.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def create_queue(self, name: str, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, answer["Attributes"]["QueueArn"]

    def messages(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            self.client("sqs")
            .receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
            )
            .get("Messages", [])
        )
        return found

    def held(self, url: str, *counts: str) -> int:
        """Messages that a queue holds: all, or those of some counts."""
        names = counts or ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
        return sum(int(answer["Attributes"][name]) for name in names)

    def map_queue(self, queue_arn: str, name: str = "Fn", **settings: Any) -> str:
        """Make a queue an event source of a function; the mapping's UUID."""
        mapping = self.client("lambda").create_event_source_mapping(
            EventSourceArn=queue_arn, FunctionName=name, **settings
        )
        return str(mapping["UUID"])

    def metric(self, metric: str, name: str = "Fn") -> float:
        """The sum of a metric of a function, as CloudWatch has it now."""
        now = datetime.now(UTC)
        points = self.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with mock_aws():
        yield Account(tmp_path)


@pytest.fixture
def functions(account: Account) -> Iterator[Functions]:
    """Functions with real time, and with retries that come at once."""
    service = lambda_functions.install({}, account.log, retry_delays=(0.0, 0.0))
    yield service
    service.close()


@pytest.fixture
def deploy(account: Account, functions: Functions) -> Callable[..., str]:
    return account.deploy
