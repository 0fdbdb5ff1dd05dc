"""Queues, functions and rules of the tests of EventBridge."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.sandbox.functions.conftest import wait_for

NOTHING: dict[str, Any] = {}
SENDS = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": "*",
}
"""A statement that lets EventBridge send messages."""


def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Queue:
    """A queue, by URL and ARN."""

    url: str
    arn: str


@dataclass(frozen=True)
class EventBridge:
    """An account with EventBridge. client: makes the client of a service."""

    client: Callable[[str], Any]

    def queue(self, *statements: dict[str, Any], **attributes: str) -> Queue:
        """A new queue whose policy has these statements; none where there are none."""
        sqs = self.client("sqs")
        if statements:
            attributes["Policy"] = json.dumps({"Statement": list(statements)})
        url = sqs.create_queue(QueueName=name(), Attributes=attributes)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return Queue(url, found["Attributes"]["QueueArn"])

    def rule(
        self, pattern: dict[str, Any], *targets: dict[str, Any], bus: str = "default", **more: Any
    ) -> str:
        """A new rule with targets; its ARN."""
        events, rule = self.client("events"), more.pop("Name", None) or name()
        arn: str = events.put_rule(
            Name=rule, EventBusName=bus, EventPattern=json.dumps(pattern), **more
        )["RuleArn"]
        numbered = [{"Id": str(number), **target} for number, target in enumerate(targets)]
        events.put_targets(Rule=rule, EventBusName=bus, Targets=numbered)
        return arn

    def watched(self, pattern: dict[str, Any]) -> Queue:
        """A queue that gets what a pattern matches on the default bus."""
        queue = self.queue(SENDS)
        self.rule(pattern, {"Arn": queue.arn})
        return queue

    def put(self, source: str, detail: dict[str, Any] = NOTHING, **more: Any) -> None:
        """Put an event onto the default bus, or another."""
        entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail), **more}
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def received(self, queue: Queue, count: int = 1) -> list[dict[str, Any]]:
        """The next so many messages of a queue, which are deleted."""
        sqs, found = self.client("sqs"), list[dict[str, Any]]()

        def receive() -> bool:
            given = sqs.receive_message(
                QueueUrl=queue.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for message in given.get("Messages", []):
                sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
            return len(found) >= count

        wait_for(receive)
        assert len(found) == count, found
        return found

    def events(self, queue: Queue, count: int = 1) -> list[dict[str, Any]]:
        """The next so many events that came to a queue."""
        return [json.loads(message["Body"]) for message in self.received(queue, count)]

    def metric(self, metric: str, rule: str, **dimensions: str) -> float:
        """The sum of a rule's metric."""
        named = {**dimensions, "RuleName": rule}
        data = self.client("cloudwatch").get_metric_data(
            StartTime=0,
            EndTime=4_000_000_000,
            MetricDataQueries=[
                {
                    "Id": "sum",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/Events",
                            "MetricName": metric,
                            "Dimensions": [
                                {"Name": key, "Value": value} for key, value in named.items()
                            ],
                        },
                        "Period": 86400 * 366 * 100,
                        "Stat": "Sum",
                    },
                }
            ],
        )
        values = data["MetricDataResults"][0]["Values"]
        return float(values[0]) if values else 0.0
