"""Recursive loops: functions that invoke themselves through queues, by the SDK, or by destinations.

The functions call a real server, by botocore with its handlers as they are.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.awslambda.utils import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends

from sandbox.functions import event_sources, trace_headers
from sandbox.functions import service as lambda_functions
from sandbox.functions.lineage import HEADER, Lineage
from sandbox.functions.service import Functions
from tests.moto_server import moto_server

from .conftest import Account, package, wait_for

SDK = str(Path(boto3.__file__).parents[1])
LONG = 18
"""Invocations, which are more than one chain of requests may have."""


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with moto_server() as endpoint:
        yield Account(tmp_path, endpoint)


@pytest.fixture(autouse=True)
def functions(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    monkeypatch.setenv("SANDBOX_READABLE", SDK)
    environment = {"AWS_ENDPOINT_URL": str(account.endpoint), "SDK": SDK}
    service = lambda_functions.install(environment, account.log, retry_delays=(0.0, 0.0))
    sources = event_sources.install(service)
    yield service
    sources.close()
    service.close()


def looping(account: Account, handler: str, queue: str = "work", **attributes: str) -> str:
    """A function that polls a queue and sends what it gets to the same queue; the queue's URL."""
    url, arn = account.create_queue(queue, **{"VisibilityTimeout": "30"} | attributes)
    account.deploy(f"loops.{handler}", Environment={"Variables": account.variables(NEXT=url)})
    account.map_queue(arn)
    return url


def send(account: Account, url: str, body: str = "again", chain: Lineage | None = None) -> None:
    attributes = {} if chain is None else trace_headers.system_attributes(chain.header())
    account.client("sqs").send_message(
        QueueUrl=url, MessageBody=body, MessageSystemAttributes=attributes
    )


def used_up(name: str = "Fn") -> Lineage:
    """A chain in which the function was invoked as often as it may be."""
    function = get_backend(DEFAULT_ACCOUNT_ID, "us-east-1").get_function(name)
    chain = Lineage()
    for _ in range(16):
        chain = chain.through(function)
    return chain


def make_visible(queue: str) -> None:
    """Let the visibility timeout of a queue's messages be over."""
    for message in sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].get_queue(queue)._messages:
        message.visible_at = 0


def assert_invoked(account: Account, times: int, name: str = "Fn") -> None:
    """An invocation is counted at its end, which comes after what it sends may be stopped."""
    wait_for(lambda: account.metric("Invocations", name) >= times)
    assert account.metric("Invocations", name) == times


@pytest.mark.parametrize("handler", ["send_on", "send_on_in_batch"])
def test_a_function_that_sends_to_its_own_queue_is_stopped_at_the_17th_invocation(
    account: Account, handler: str
) -> None:
    dead, dead_arn = account.create_queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url = looping(account, handler, RedrivePolicy=redrive)
    send(account, url)

    wait_for(lambda: account.metric("RecursiveInvocationsDropped"))
    account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    make_visible("work")
    [message] = wait_for(lambda: account.messages(dead))

    assert message["Body"] == "again"
    assert len(account.records()) == 16
    assert account.metric("RecursiveInvocationsDropped") == 2  # one for each receive
    assert_invoked(account, 16)


def test_a_function_that_allows_loops_goes_on_and_its_chain_is_counted_on(
    account: Account,
) -> None:
    client = account.client("lambda")
    url = looping(account, "send_on")
    assert client.get_function_recursion_config(FunctionName="Fn")["RecursiveLoop"] == "Terminate"
    answer = client.put_function_recursion_config(FunctionName="Fn", RecursiveLoop="Allow")
    assert answer["RecursiveLoop"] == "Allow"
    assert client.get_function_recursion_config(FunctionName="Fn")["RecursiveLoop"] == "Allow"
    send(account, url)

    wait_for(lambda: len(account.records()) >= LONG)
    assert account.metric("RecursiveInvocationsDropped") == 0
    attributes = account.records()[LONG - 1]["event"]["Records"][0]["attributes"]
    assert list(Lineage.of(attributes["AWSTraceHeader"]).counts.values()) == [LONG - 2]

    client.put_function_recursion_config(FunctionName="Fn", RecursiveLoop="Terminate")
    wait_for(lambda: account.metric("RecursiveInvocationsDropped"))


def test_the_recursion_config_takes_two_values_for_functions_that_there_are(
    account: Account,
) -> None:
    client = account.client("lambda")
    account.deploy("echo")
    with pytest.raises(ClientError, match="ValidationException"):
        client.put_function_recursion_config(FunctionName="Fn", RecursiveLoop="Perhaps")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.put_function_recursion_config(FunctionName="Gone", RecursiveLoop="Allow")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_function_recursion_config(FunctionName="Gone")


def test_a_template_says_whether_a_function_may_loop(account: Account) -> None:
    s3, stacks = account.client("s3"), account.client("cloudformation")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="package.zip", Body=package())
    role = account.role()

    def template(**properties: str) -> str:
        function = {
            "FunctionName": "Fn",
            "Handler": "app.echo",
            "Runtime": "python3.13",
            "Role": role,
            "Code": {"S3Bucket": "code", "S3Key": "package.zip"},
        }
        resource = {"Type": "AWS::Lambda::Function", "Properties": function | properties}
        return json.dumps({"Resources": {"Fn": resource}})

    def setting() -> str:
        answer = account.client("lambda").get_function_recursion_config(FunctionName="Fn")
        return str(answer["RecursiveLoop"])

    stacks.create_stack(StackName="stack", TemplateBody=template(RecursiveLoop="Allow"))
    assert setting() == "Allow"
    stacks.update_stack(StackName="stack", TemplateBody=template())
    assert setting() == "Terminate"
    stacks.update_stack(StackName="stack", TemplateBody=template(RecursiveLoop="Allow"))
    assert setting() == "Allow"


def test_without_the_header_of_botocore_there_is_no_chain(account: Account) -> None:
    send(account, looping(account, "send_on_unlinked"))
    wait_for(lambda: len(account.records()) >= LONG)
    assert account.metric("RecursiveInvocationsDropped") == 0


def test_each_function_of_a_loop_is_counted_for_itself(account: Account) -> None:
    urls = {}
    for name, following in (("A", "B"), ("B", "A")):
        urls[name], arn = account.create_queue(name)
        urls[following], _ = account.create_queue(following)
        account.deploy(
            "loops.send_on",
            name,
            Environment={"Variables": account.variables(NEXT=urls[following])},
        )
        account.map_queue(arn, name)
    send(account, urls["A"])

    wait_for(lambda: account.metric("RecursiveInvocationsDropped", "A"))

    assert_invoked(account, 16, "A")
    assert_invoked(account, 16, "B")
    assert account.metric("RecursiveInvocationsDropped", "B") == 0


def test_a_function_that_invokes_itself_is_stopped_and_the_event_goes_to_the_destination(
    account: Account,
) -> None:
    url, queue_arn = account.create_queue("failures")
    account.deploy("loops.invoke_itself")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn", DestinationConfig={"OnFailure": {"Destination": queue_arn}}
    )
    account.invoke("first", InvocationType="Event")

    [message] = wait_for(lambda: account.messages(url))

    assert len(account.records()) == 16
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert record["requestPayload"] == "once more"
    assert list(Lineage.of(message["Attributes"]["AWSTraceHeader"]).counts.values()) == [15]
    assert account.metric("RecursiveInvocationsDropped") == 1


def test_the_caller_of_a_stopped_invocation_gets_an_error(account: Account) -> None:
    account.deploy("echo")
    chain, client = used_up(), account.client("lambda")

    def with_header(params: dict[str, Any], **_: Any) -> None:
        params["headers"][HEADER] = chain.header()

    client.meta.events.register("before-call.lambda.Invoke", with_header)
    with pytest.raises(ClientError, match="RecursiveInvocationException") as refused:
        account.invoke()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_loop_through_the_on_failure_destination_is_stopped(account: Account) -> None:
    arn = account.deploy("fail")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    account.invoke(InvocationType="Event")

    # The 17th is stopped, and the record of it, which goes to the same function; then no more.
    wait_for(lambda: account.metric("AsyncEventsDropped") == 18)
    assert len(account.records()) == 16
    assert account.metric("RecursiveInvocationsDropped") == 2
    assert account.metric("AsyncEventsReceived") == 18


def test_retries_of_an_event_are_one_request_of_its_chain(account: Account) -> None:
    arn = account.deploy("fail")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn", DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    account.invoke(InvocationType="Event")
    wait_for(lambda: account.metric("RecursiveInvocationsDropped") == 2)
    assert len(account.records()) == 16 * 3


def test_a_batch_of_several_chains_is_stopped_with_the_longest(account: Account) -> None:
    dead, dead_arn = account.create_queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = account.create_queue("work", VisibilityTimeout="1", RedrivePolicy=redrive)
    account.deploy("take_batch", Timeout=1)
    send(account, url, "long", used_up())
    send(account, url, "new")
    account.map_queue(arn)

    wait_for(lambda: account.held(dead) == 2)

    assert account.records() == []
    assert account.metric("RecursiveInvocationsDropped") == 1
