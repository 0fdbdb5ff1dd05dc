"""What SQS checks of a queue, over its API and in stacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.upstream import queue_rules
from tests.fixtures import Clock
from tests.sandbox.cloudformation.parts import queue
from tests.sandbox.cloudformation.serving import Served

DEAD = "arn:aws:sqs:us-east-1:123456789012:dead"


@pytest.fixture
def sqs(clock: Clock) -> Iterator[Any]:
    """A client of SQS, with the queues `dead` and `dead.fifo`."""
    with mock_aws(), queue_rules.enforced(clock):
        client = boto3.client("sqs")
        client.create_queue(QueueName="dead")
        client.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
        yield client


def redrive(target: str = DEAD, receives: int = 3) -> dict[str, str]:
    policy = {"deadLetterTargetArn": target, "maxReceiveCount": receives}
    return {"RedrivePolicy": json.dumps(policy)}


@pytest.mark.parametrize("receives", [0, 1_001])
def test_a_message_is_received_1_to_1000_times(sqs: Any, receives: int) -> None:
    url = sqs.create_queue(QueueName="polls", Attributes=redrive(receives=1_000))["QueueUrl"]
    words = f"maxReceiveCount: {receives}, valid values are from 1 to 1000 both inclusive."

    with pytest.raises(ClientError, match=words):
        sqs.create_queue(QueueName="others", Attributes=redrive(receives=receives))
    with pytest.raises(ClientError, match=words):
        sqs.set_queue_attributes(QueueUrl=url, Attributes=redrive(receives=receives))


@pytest.mark.parametrize(
    "target",
    [
        DEAD.replace("us-east-1", "eu-west-1"),
        DEAD.replace("123456789012", "210987654321"),
        f"{DEAD}.fifo",
        f"{DEAD}-and-gone",
    ],
)
def test_a_dead_letter_queue_is_of_the_same_kind_account_and_region(sqs: Any, target: str) -> None:
    with pytest.raises(ClientError, match="Reason: Dead letter target does not exist"):
        sqs.create_queue(QueueName="polls", Attributes=redrive(target))


def test_a_queue_keeps_its_policy_when_other_attributes_are_set(sqs: Any) -> None:
    policy = json.dumps({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}]})
    url = sqs.create_queue(QueueName="polls", Attributes={"Policy": policy})["QueueUrl"]

    def attributes() -> dict[str, str]:
        found: dict[str, str]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return found

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    assert (attributes()["Policy"], attributes()["VisibilityTimeout"]) == (policy, "7")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in attributes()


def test_the_name_of_a_deleted_queue_rests_for_a_minute(sqs: Any, clock: Clock) -> None:
    url = sqs.create_queue(QueueName="polls")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)

    clock.advance(59)
    with pytest.raises(ClientError, match=r"QueueDeletedRecently\).*: You must wait 60 seconds"):
        sqs.create_queue(QueueName="polls")
    sqs.create_queue(QueueName="others")
    clock.advance(1)
    sqs.create_queue(QueueName="polls")


def test_a_stack_with_a_queue_that_is_refused_is_rolled_back(served: Served) -> None:
    target = {"Fn::GetAtt": ["Dead", "Arn"]}
    policy = {"deadLetterTargetArn": target, "maxReceiveCount": 0}

    stack = served.create({"Dead": queue(), "Queue": queue(RedrivePolicy=policy)})

    served.until(stack, "ROLLBACK_COMPLETE")
    refusal = served.until_resource(stack, "Queue", "CREATE_FAILED")
    assert "valid values are from 1 to 1000" in refusal


def test_a_stack_that_uses_the_name_of_a_deleted_queue_is_rolled_back(served: Served) -> None:
    resources = {"Queue": queue(QueueName="comes-again")}
    stack = served.create(resources)
    served.until(stack, "CREATE_COMPLETE")
    served.delete(stack)

    stack = served.create(resources)

    served.until(stack, "ROLLBACK_COMPLETE")
    refusal = served.until_resource(stack, "Queue", "CREATE_FAILED")
    assert "You must wait 60 seconds" in refusal
