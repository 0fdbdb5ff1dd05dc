"""What a rule of ministack's EventBridge delivers to a queue."""

import json
import uuid
from typing import Any

from sandbox.clients import Clients


class Bus:
    """The application's events on the default bus, from now on.

    Args:
        emulated: ministack's clients.
    """

    def __init__(self, emulated: Clients) -> None:
        self._sqs, events = emulated.client("sqs"), emulated.client("events")
        name = f"watched-{uuid.uuid4().hex[:8]}"
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["QueueArn"]
        )["Attributes"]
        pattern = {"source": ["cfn-instance-bundle"]}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": attributes["QueueArn"]}
        events.put_targets(Rule=name, Targets=[target])
        self._received: list[dict[str, Any]] = []

    def events(self, stack_id: str) -> list[dict[str, Any]]:
        """The details of the events about a stack that have come so far."""
        received = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, VisibilityTimeout=600
        )
        self._received += [
            json.loads(message["Body"])["detail"] for message in received.get("Messages", [])
        ]
        return [event for event in self._received if event["StackId"] == stack_id]
