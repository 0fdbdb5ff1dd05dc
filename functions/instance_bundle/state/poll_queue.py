"""The SQS queue that carries the polls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from instance_bundle import aws
from instance_bundle.aws import meaning
from instance_bundle.errors import InstanceBundleError, InvalidEvent, PassingFault
from instance_bundle.request import RequestKey

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import (
        BatchResultErrorEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

FORMAT = 1
"""Version of the messages' format."""
AT_ONCE = 10
"""Messages that one call sends, receives or deletes (Amazon SQS API Reference)."""

_GENERATIONS = 1_000_000
"""More than the polls of a request that is polled each second for twelve hours."""

_SEND, _SEND_TOGETHER = "sqs:SendMessage", "sqs:SendMessageBatch"


@dataclass(frozen=True, slots=True)
class Poll:
    """One message: poll this request. It has no secrets.

    Attributes:
        key: the request's key.
        generation: the message is valid while the request's item has this generation.
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
            key, generation = RequestKey(**message["key"]), message["generation"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InvalidEvent("Not a poll message") from error
        if not all(isinstance(text, str) for text in asdict(key).values()):
            raise InvalidEvent("A poll message's key is of texts")
        if type(generation) is not int or not 0 <= generation < _GENERATIONS:
            raise InvalidEvent(f"A poll message's generation is a number below {_GENERATIONS}")
        return cls(key, generation)


def send(queue_url: str, poll: Poll, delay: int) -> None:
    """Send a poll that is received after `delay` seconds, 900 at most.

    The limit is that of SendMessage (Amazon SQS API Reference).

    Raises:
        PassingFault: the message may or may not have been sent.
        Denied: the queue refuses it.
    """
    with aws.calling(_SEND):
        aws.sqs().send_message(QueueUrl=queue_url, MessageBody=poll.body(), DelaySeconds=delay)


def send_together(
    queue_url: str, polls: Sequence[tuple[Poll, int]]
) -> Mapping[RequestKey, InstanceBundleError]:
    """Send polls, each with its delay in seconds.

    They are sent at one moment, so that those with the same delay are received as one batch.

    Returns:
        The requests whose polls were not sent, and why: `PassingFault`, or `Denied`.
    """
    failures: dict[RequestKey, InstanceBundleError] = {}
    for start in range(0, len(polls), AT_ONCE):
        failures |= _send_ten(queue_url, polls[start : start + AT_ONCE])
    return failures


def _send_ten(
    queue_url: str, polls: Sequence[tuple[Poll, int]]
) -> Mapping[RequestKey, InstanceBundleError]:
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": poll.body(), "DelaySeconds": delay}
        for number, (poll, delay) in enumerate(polls)
    ]
    try:
        with aws.calling(_SEND_TOGETHER):
            response = aws.sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
    except InstanceBundleError as error:
        return {poll.key: error for poll, _ in polls}
    return {polls[int(entry["Id"])][0].key: _why(entry) for entry in response.get("Failed", [])}


def _why(entry: "BatchResultErrorEntryTypeDef") -> InstanceBundleError:
    status = 400 if entry["SenderFault"] else 500
    return meaning(_SEND_TOGETHER, entry["Code"], entry.get("Message", ""), status)


def receive(queue_url: str, seconds: int) -> list[dict[str, Any]]:
    """Receive up to ten messages; if there is none, wait for one.

    Args:
        queue_url: of the poll queue.
        seconds: to wait, 20 at most (Amazon SQS API Reference, ReceiveMessage).

    Returns:
        The messages, in the form of Lambda's events.

    Raises:
        PassingFault: messages may have been received; they are received again later.
        Denied: the queue refuses it.
    """
    with aws.calling("sqs:ReceiveMessage"):
        response = aws.sqs().receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=AT_ONCE,
            WaitTimeSeconds=seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
    return [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
        }
        for message in response.get("Messages", [])
    ]


def remove(queue_url: str, receipt_handles: Sequence[str]) -> None:
    """Delete messages that were received; one that stays is received again.

    Raises:
        PassingFault: messages may still be in the queue.
        Denied: the queue refuses it.
    """
    for start in range(0, len(receipt_handles), AT_ONCE):
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": handle}
            for number, handle in enumerate(receipt_handles[start : start + AT_ONCE])
        ]
        with aws.calling("sqs:DeleteMessageBatch"):
            response = aws.sqs().delete_message_batch(QueueUrl=queue_url, Entries=entries)
        for entry in response.get("Failed", []):
            raise PassingFault(f"sqs:DeleteMessageBatch: {entry['Code']}")
