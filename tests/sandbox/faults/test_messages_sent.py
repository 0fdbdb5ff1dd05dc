"""The messages that came into queues, as the server lists them."""

import time
import uuid
from typing import Any

import urllib3

from tests.sandbox.faults.conftest import Function, Sandbox, once_allowed
from tests.sandbox.functions.conftest import wait_for


def listed(sandbox: Sandbox, queue: str) -> list[dict[str, Any]]:
    """The messages that came into a queue."""
    answer = urllib3.request("GET", f"{sandbox.endpoint}/sandbox/messages")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json()
    return [message for message in found if message["queue"] == queue]


def messages(sandbox: Sandbox, queue: str) -> list[str]:
    """The bodies of the messages that came into a queue."""
    return [message["body"] for message in listed(sandbox, queue)]


def queue(sandbox: Sandbox, **attributes: str) -> tuple[str, str, str]:
    """Name, URL and ARN of a new queue."""
    name, sqs = uuid.uuid4().hex, sandbox.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return name, url, found["Attributes"]["QueueArn"]


def test_messages_stay_on_record_after_their_deletion(sandbox: Sandbox) -> None:
    sqs, (name, url, _) = sandbox.client("sqs"), queue(sandbox)
    before = time.time() - 1  # SQS counts milliseconds

    sqs.send_message(QueueUrl=url, MessageBody='{"one": "<&>"}')
    entries = [{"Id": body, "MessageBody": body} for body in ("two", "three")]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    sqs.send_message(QueueUrl=url, MessageBody="four", DelaySeconds=900)
    sqs.purge_queue(QueueUrl=url)

    assert messages(sandbox, name) == ['{"one": "<&>"}', "two", "three", "four"]
    assert [message["delay"] for message in listed(sandbox, name)] == [0, 0, 0, 900]
    sent = [message["sent"] for message in listed(sandbox, name)]
    assert before <= sent[0] <= sent[-1] <= time.time()


def test_a_message_that_is_moved_to_a_dead_letter_queue_comes_into_that_too(
    sandbox: Sandbox,
) -> None:
    sqs, (dead, _, arn) = sandbox.client("sqs"), queue(sandbox)
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    name, url, _ = queue(sandbox, RedrivePolicy=redrive, VisibilityTimeout="0")

    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    assert messages(sandbox, dead) == []
    sqs.receive_message(QueueUrl=url)

    assert messages(sandbox, name) == messages(sandbox, dead) == ["poison"]


def test_what_lambda_sends_to_an_on_failure_destination_is_on_record(function: Function) -> None:
    sandbox, (name, _, arn) = function.sandbox, queue(function.sandbox)
    once_allowed(
        lambda: sandbox.client("lambda").put_function_event_invoke_config(
            FunctionName=function.name,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": arn}},
        )
    )

    sandbox.set("ec2:DescribeVpcs", "kill")
    sandbox.client("lambda").invoke(
        FunctionName=function.name, InvocationType="Event", Payload='{"actions": ["DescribeVpcs"]}'
    )

    [body] = wait_for(lambda: messages(sandbox, name))
    assert '"requestPayload": {"actions": ["DescribeVpcs"]}' in body
