"""A batch of events of EC2's and S3's: the requests that they are about are polled at once.

An event is a hint: it comes late, twice, never, or before its task is stored. What it says is not
believed; the poll describes the task.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instance_bundle.errors import InstanceBundleError, InvalidEvent
from instance_bundle.request import Location
from instance_bundle.state import Ledger, Poll, poll_queue
from instance_bundle.telemetry import about, count, logger

_LONGEST = 16_384
"""Characters; an event with a key of 1,024 bytes has fewer."""
_KEY_BYTES = 1024
"""Of a key, at most (Amazon S3 User Guide, Naming Amazon S3 objects)."""
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_IMAGE_ID = re.compile(r"ami-[0-9a-f]{8,17}")
_STORED_IMAGE = re.compile(rf"({_IMAGE_ID.pattern})\.bin")
_MANIFEST = ".manifest.xml"


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """An AMI has another state, or is stored in a bucket.

    Attributes:
        image_id: the AMI.
        bucket: where it is stored; empty if the event is about its state.
    """

    image_id: str
    bucket: str = ""


def process(event: Mapping[str, Any], ledger: Ledger, queue_url: str) -> Mapping[str, Any]:
    """Poll the requests that a batch of events is about, and report the events that failed.

    Args:
        event: the batch, as Lambda passes it.
        ledger: the ledger.
        queue_url: of the poll queue.
    """
    polls: list[Poll] = []
    failed = []
    for message in event["Records"]:
        count("EventsReceived")
        try:
            poll = _poll(message["body"], ledger)
        except InvalidEvent as error:
            logger.warning("Dropped an event that cannot be read", why=str(error))
        except InstanceBundleError as error:
            logger.warning("An event is not handled; it comes again", why=str(error))
            failed.append(message["messageId"])
        else:
            polls += [poll] if poll else []
    unsent = poll_queue.send_together(queue_url, [(poll, 0) for poll in polls])
    for poll in polls:
        with about(poll.key):
            if poll.key in unsent:
                logger.warning("Not polled before its time", why=str(unsent[poll.key]))
            else:
                count("EventsUsed")
                logger.info("Polling: AWS has sent an event")
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _poll(body: str, ledger: Ledger) -> Poll | None:
    """The poll to send for an event; None if it is about nothing that waits for one."""
    match parse(body):
        case None:
            return None
        case ImageEvent(image_id, bucket):
            key = ledger.hints.maker(image_id, bucket)
        case Location(bucket) as location:
            key = ledger.hints.claimant(location)
    return ledger.hints.receive(key, bucket) if key is not None else None


def parse(body: str) -> ImageEvent | Location | None:
    """What an event is about: an AMI, a bundle's location, or something else.

    The forms are those of "Monitor AMI events using Amazon EventBridge" (EC2 User Guide) and
    "EventBridge event message structure" (Amazon S3 User Guide).

    Raises:
        InvalidEvent: it is no event of EC2's or S3's.
    """
    if len(body) > _LONGEST:
        raise InvalidEvent(f"An event has {_LONGEST} characters at most")
    try:
        event: Mapping[str, Any] = json.loads(body)
        detail = event["detail"]
        match event["source"]:
            case "aws.ec2":
                return _of_image(detail["ImageId"])
            case "aws.s3":
                return _of_object(detail["bucket"]["name"], detail["object"]["key"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidEvent("Not an event of EC2's or S3's") from error
    raise InvalidEvent("Not an event of EC2's or S3's")


def _of_image(image_id: str) -> ImageEvent | None:
    return ImageEvent(image_id) if _IMAGE_ID.fullmatch(image_id) else None


def _of_object(bucket: str, key: str) -> ImageEvent | Location | None:
    if not _BUCKET.fullmatch(bucket) or len(key.encode()) > _KEY_BYTES:
        return None
    stored = _STORED_IMAGE.fullmatch(key)
    if stored:
        return ImageEvent(stored[1], bucket)
    return Location(bucket, key.removesuffix(_MANIFEST)) if key.endswith(_MANIFEST) else None
