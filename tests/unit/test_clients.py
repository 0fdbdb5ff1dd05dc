"""What the function's own clients send, and what they count."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import MockRawResponse

from instance_bundle import __version__, app, aws, telemetry
from instance_bundle.request import RequestKey
from tests.fixtures import Context

from .conftest import Answers
from .test_lifecycle import RUNNING, Ec2
from .test_resource import STACK, deliver, ec2, event, polls

__all__ = ["ec2"]

KEY = RequestKey(STACK, "Bundle", "r1")

TASKS = "DescribeBundleTasksResponse"
NO_TASKS = (200, f"<{TASKS}><bundleInstanceTasksSet/></{TASKS}>")
LIMIT = "<Error><Code>RequestLimitExceeded</Code></Error>"
THROTTLED = (503, f"<Response><Errors>{LIMIT}</Errors></Response>")
MISSING = (404, "<Error><Code>NoSuchKey</Code><Message>No.</Message></Error>")


def agent_of(request: AWSPreparedRequest) -> str:
    """The user agent, as sent."""
    agent = request.headers["User-Agent"]
    return agent.decode() if isinstance(agent, bytes) else str(agent)


def named(agent: str) -> str:
    """The request that a user agent names; empty if none."""
    return agent.partition(" md/instance-bundle#")[2]


@dataclass
class Aws:
    """What AWS answers to the next calls, a status and a body each, and the user agents it got."""

    answers: list[tuple[int, str]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.agents.append(agent_of(request))
        status, body = self.answers.pop(0)
        return AWSResponse(request.url, status, {}, MockRawResponse(body))  # type: ignore[arg-type]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The function's own clients, whose calls are answered just before they are sent."""
    answering = Aws()
    send: Any = answering.send
    events = [client.meta.events for client in (aws.ec2(), aws.ec2_once(), aws.s3())]
    for each in events:
        each.register_first("before-send", send)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    yield answering
    for each in events:
        each.unregister("before-send", send)


def test_a_call_for_one_request_has_its_id_in_the_user_agent(
    answering: Aws,
) -> None:
    answering.answers = [NO_TASKS] * 4

    aws.ec2().describe_bundle_tasks()
    with telemetry.about(KEY):
        aws.ec2().describe_bundle_tasks()
    with telemetry.about(replace(KEY, request_id="a\r\nHost: b(é)/c#d")):
        aws.ec2().describe_bundle_tasks()
    aws.ec2().describe_bundle_tasks()

    assert [named(agent) for agent in answering.agents] == ["", "r1", "a--Host--b----c-d", ""]
    assert all(agent.startswith("Boto3/") for agent in answering.agents)


def test_each_call_has_the_version_in_the_user_agent(answering: Aws) -> None:
    answering.answers = [NO_TASKS, NO_TASKS, MISSING, NO_TASKS]

    aws.ec2().describe_bundle_tasks()
    aws.ec2_once().describe_bundle_tasks()
    with pytest.raises(aws.s3().exceptions.NoSuchKey):
        aws.s3().get_object(Bucket="images", Key="web")
    with telemetry.about(KEY):
        aws.ec2().describe_bundle_tasks()

    product = f"cfn-instance-bundle/{__version__}"
    assert [agent.split().count(product) for agent in answering.agents] == [1, 1, 1, 1]


def test_each_throttled_attempt_counts_for_its_service(
    answering: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr("instance_bundle.aws.clients.count", counted.append)
    answering.answers = [THROTTLED, THROTTLED, NO_TASKS, MISSING]

    aws.ec2().describe_bundle_tasks()
    with pytest.raises(aws.s3().exceptions.NoSuchKey):
        aws.s3().get_object(Bucket="images", Key="web")

    assert counted == ["ThrottledEc2", "ThrottledEc2"]


def test_the_calls_of_a_batch_name_their_request_and_those_for_all_name_none(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    storage = {"Storage": {"S3": {"Bucket": "images", "Prefix": "db"}}}
    elsewhere = {"ResourceProperties": event(answers)["ResourceProperties"] | storage}
    app.handler(event(answers), context)
    app.handler(event(answers, RequestId="r2", LogicalResourceId="Other", **elsewhere), context)
    ec2.tasks["bun-2"] = replace(RUNNING, id="bun-2")
    batch = polls()
    sent: set[tuple[str, str]] = set()

    def note(request: AWSPreparedRequest, event_name: str, **_: Any) -> None:
        sent.add((event_name.rpartition(".")[2], named(agent_of(request))))

    clients = (aws.dynamodb(), aws.sqs())
    for client in clients:
        client.meta.events.register_first("before-send", note)
    try:
        deliver(batch, context)
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", note)

    own = {(call, request) for call in ("Query", "UpdateItem") for request in ("r1", "r2")}
    assert sent - own == {("ReceiveMessage", ""), ("SendMessageBatch", "")}
    assert own <= sent
