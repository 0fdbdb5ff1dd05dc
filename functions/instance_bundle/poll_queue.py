"""The SQS queue that carries the polls."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from instance_bundle import aws
from instance_bundle.errors import InvalidEvent
from instance_bundle.request import RequestKey

FORMAT = 1
"""Version of the messages' format."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One message: look at this request again. It holds nothing secret.

    Attributes:
        key: the request's key.
        generation: the message counts while the request's item has this generation.
    """

    key: RequestKey
    generation: int

    def body(self) -> str:
        """The message's text."""
        return json.dumps(
            {"format": FORMAT, "generation": self.generation, "key": asdict(self.key)}
        )

    @classmethod
    def parse(cls, body: str) -> "Poll":
        """Read a message's text.

        Raises:
            InvalidEvent: it is not one of ours, or of a format that this version does not know.
        """
        try:
            message: Mapping[str, Any] = json.loads(body)
            if message["format"] != FORMAT:
                raise InvalidEvent(f"A poll message has format {FORMAT}")
            return cls(RequestKey(**message["key"]), int(message["generation"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidEvent("Not a poll message") from error


def send(queue_url: str, poll: Poll, delay: int) -> None:
    """Have a poll come after `delay` seconds, 900 at most (Amazon SQS API Reference, SendMessage).

    Raises:
        PassingFault: the message may or may not have been taken.
        Denied: the queue refuses it.
    """
    with aws.calling("sqs:SendMessage"):
        aws.sqs().send_message(QueueUrl=queue_url, MessageBody=poll.body(), DelaySeconds=delay)


def remove(queue_url: str, receipt_handle: str) -> None:
    """Take a message that was received off the queue.

    Raises:
        PassingFault: the message may still be there.
        Denied: the queue refuses it.
    """
    with aws.calling("sqs:DeleteMessage"):
        aws.sqs().delete_message(QueueUrl=queue_url, ReceiptHandle=receipt_handle)
