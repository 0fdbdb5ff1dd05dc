"""Events of EC2's and S3's in a world: the template's rules, each event's way, and the queue.

EventBridge delivers each event at least once, in any order, and S3 and EC2 send theirs on a best
effort basis: an event comes late, twice, or never (Amazon EventBridge User Guide, Event delivery;
Amazon S3 User Guide, Using EventBridge; EC2 User Guide, Monitor AMI events).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.events.models import events_backends

from sandbox import deployment
from sandbox.events import ami_events, bucket_notifications, object_events, patterns, service_events
from sandbox.events.deliveries import shown
from tests.roles import ACCOUNT, REGION

QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
"""Of the event queue."""

RULES = ("ImageEventRule", "ObjectEventRule")

FATES: Mapping[str, tuple[float, ...]] = {
    "at once": (0.0,),
    "soon": (0.4,),
    "late": (200.0,),
    "twice": (0.4, 20.0),
    "lost": (),
}
"""What happens to an event on its way: the seconds after which it arrives, each time."""

OTHERS_BUCKET = "images-of-others"
_OTHERS_IMAGES = "ami-0ffffffff"


@dataclass(slots=True, eq=False)
class Message:
    """A message of the queue. Times are epoch seconds."""

    body: str
    sent_at: float
    visible_at: float
    receives: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def record(self) -> dict[str, Any]:
        """As Lambda passes it (AWS Lambda Developer Guide, Using Lambda with Amazon SQS)."""
        return {
            "messageId": self.id,
            "receiptHandle": f"{self.id}-{self.receives}",
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": str(self.receives),
                "SentTimestamp": str(round(self.sent_at * 1000)),
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE_ARN,
        }


class EventQueue:
    """The event queue, as its event source mapping polls it; old messages expire.

    Attributes:
        messages: those that have not arrived yet too.
    """

    def __init__(self) -> None:
        resources = deployment.template()["Resources"]
        queue = resources["EventQueue"]["Properties"]
        self._hidden_for: int = queue["VisibilityTimeout"]
        self._kept_for: int = queue["MessageRetentionPeriod"]
        self._batch: int = resources["EventSource"]["Properties"]["BatchSize"]
        self.messages: list[Message] = []

    def send(self, body: str, delay: float = 0.0) -> None:
        """Send a message, which arrives after a delay in seconds."""
        arrives = time.time() + delay
        self.messages.append(Message(body, arrives, arrives))

    def receive(self) -> list[Message]:
        """The next batch; a message that is not deleted is visible again later."""
        now = time.time()
        self.messages = [each for each in self.messages if now < each.sent_at + self._kept_for]
        batch = [each for each in self.messages if each.visible_at <= now][: self._batch]
        for message in batch:
            message.receives += 1
            message.visible_at = now + self._hidden_for
        return batch

    def delete(self, message: Message) -> None:
        """Delete a message that was handled."""
        self.messages.remove(message)


@dataclass
class AwsEvents:
    """The events of a world, until the next `clear`.

    Attributes:
        fates: what happens to the events on their way, in turn, by names of `FATES`. Without any,
            AWS sends none.
        raised: how many there were.
        queue: where they arrive.
    """

    fates: Sequence[str] = ()
    raised: int = 0
    queue: EventQueue = field(default_factory=EventQueue)

    def clear(self) -> None:
        """Send nothing, and delete all messages."""
        self.fates, self.raised = (), 0
        self.queue.messages.clear()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have moto's EC2 and S3 raise events, and the template's rules send them here."""
        resources = deployment.template()["Resources"]
        rules: Any = events_backends[ACCOUNT][REGION].event_buses["default"].rules
        for name in RULES:
            pattern = patterns.compiled(json.dumps(resources[name]["Properties"]["EventPattern"]))
            rules[name] = _Rule(pattern, self)
        with ExitStack() as parts:
            parts.enter_context(ami_events.raised(time.time))
            parts.enter_context(object_events.raised(time.time))
            parts.enter_context(bucket_notifications.served())
            yield

    @contextmanager
    def all_delivered(self) -> Iterator[None]:
        """Deliver the events of the context at once."""
        before, self.fates = self.fates, ("at once",)
        try:
            yield
        finally:
            self.fates = before

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Take an event from a rule."""
        if not self.fates:
            return
        fate = self.fates[self.raised % len(self.fates)]
        self.raised += 1
        for delay in FATES[fate]:
            self.queue.send(json.dumps(event), delay)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of the template, in moto's bus."""

    pattern: patterns.Pattern
    events: AwsEvents

    def send_to_targets(self, event: Mapping[str, Any], **_: Any) -> None:
        visible = shown(event)
        if self.pattern(visible):
            self.events.deliver(visible)


def is_batch(event: Any) -> bool:
    """Whether an invocation handles messages of the event queue."""
    records = event.get("Records", ())
    return bool(records) and records[0].get("eventSourceARN") == QUEUE_ARN


def is_about_others(event: Any) -> bool:
    """Whether a batch has only events that `of_others` raised."""
    marks = (f'"{OTHERS_BUCKET}"', f'"{_OTHERS_IMAGES}')
    return all(any(mark in record["body"] for mark in marks) for record in event["Records"])


# Events that are raised although nothing happened


def image_event(image_id: str, state: str = "available") -> None:
    """Raise an event about an AMI, as `sandbox.events.ami_events` does."""
    service_events.put(
        ACCOUNT,
        REGION,
        source="aws.ec2",
        detail_type=ami_events.DETAIL_TYPE,
        resources=[f"arn:aws:ec2:{REGION}::image/{image_id}"],
        detail={
            "RequestId": str(uuid.uuid4()),
            "ImageId": image_id,
            "State": state,
            "ErrorMessage": "",
        },
        moment=time.time(),
    )


def object_event(bucket: str, key: str) -> None:
    """Raise an event about an object, as `sandbox.events.object_events` does."""
    service_events.put(
        ACCOUNT,
        REGION,
        source="aws.s3",
        detail_type="Object Created",
        resources=[f"arn:aws:s3:::{bucket}"],
        detail={
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": "0" * 32, "sequencer": "0" * 18},
            "request-id": "C3D13FE58DE4C810",
            "requester": ACCOUNT,
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject",
        },
        moment=time.time(),
    )


def of_others(number: int) -> None:
    """Raise an event about an AMI, a stored AMI or a bundle that no request is about."""
    image_id = f"{_OTHERS_IMAGES}{number:08x}"
    match number % 3:
        case 0:
            image_event(image_id)
        case 1:
            object_event(OTHERS_BUCKET, f"{image_id}.bin")
        case _:
            object_event(OTHERS_BUCKET, f"bundles/{number}.manifest.xml")
