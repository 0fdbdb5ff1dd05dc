"""The EventBridge events about work that has ended, and bundles that were removed."""

import json
from collections.abc import Iterator, Mapping

from instance_bundle import aws
from instance_bundle.aws import meaning
from instance_bundle.errors import Denied
from instance_bundle.request import Request
from instance_bundle.state import Announcement, Answer, Done, Failed, Record
from instance_bundle.telemetry import logger

SOURCE = "cfn-instance-bundle"
DETAIL_TYPE = "Instance Bundle State Change"

Detail = Mapping[str, str]


def publish(bus: str, request: Request, record: Record, answer: Answer) -> None:
    """Publish the events of a request; again, if the request is resumed after that.

    If the bus refuses an event, or does not exist, that is only logged: it must not keep a stack
    waiting.

    Args:
        bus: name or ARN; empty for none.
        request: the request whose work has ended.
        record: the request's record, with the answer.
        answer: the answer.

    Raises:
        PassingFault: an event may or may not have been published.
    """
    if not bus:
        return
    for detail in _details(request, record, answer):
        try:
            _put(bus, request, detail)
        except Denied:
            logger.exception("The event could not be published", bus=bus)


def _put(bus: str, request: Request, detail: Detail) -> None:
    with aws.calling("events:PutEvents"):
        response = aws.events().put_events(
            Entries=[
                {
                    "EventBusName": bus,
                    "Source": SOURCE,
                    "DetailType": DETAIL_TYPE,
                    "Detail": json.dumps(detail),
                    "Resources": [request.stack_id],
                }
            ]
        )
    for entry in response["Entries"]:
        if "ErrorCode" in entry:
            code, message = entry["ErrorCode"], entry.get("ErrorMessage", "")
            raise meaning("events:PutEvents", code, message)


def _details(request: Request, record: Record, answer: Answer) -> Iterator[Detail]:
    """The details of a request's events: of the work that it started, of another AMI that an Update
    made, and of each bundle that it removed, with each AMI that was announced."""
    about = {
        "StackId": request.stack_id,
        "StackName": request.stack_name,
        "LogicalResourceId": request.logical_id,
        "RequestId": request.request_id,
    }
    if record.target is not None:
        method = request.properties.get("Method", "BundleInstance")
        ended = _complete(answer) if isinstance(answer, Done) else _failed(record, answer)
        yield {**about, "Method": method, **ended}
    for each in record.announcements:
        method = "StoreImage" if each.bundle.physical_id.startswith("ami-") else "BundleInstance"
        for announced in _announced(each, answer):
            yield {**about, "Method": method, **announced}


def _announced(announcement: Announcement, answer: Answer) -> Iterator[Detail]:
    attributes = announcement.bundle.attributes
    if announcement.state == "removed":
        for image_id in announcement.bundle.announced:
            yield {**_of_bundle(attributes), "ImageId": image_id, "State": "removed", "Reason": ""}
    elif isinstance(answer, Done):
        yield _complete(answer)


def _complete(answer: Done) -> Detail:
    return {**_of_bundle(answer.attributes), "State": "complete", "Reason": ""}


def _of_bundle(attributes: Mapping[str, str]) -> Detail:
    names = ("InstanceId", "BundleId", "ImageId", "Bucket", "Prefix", "S3Uri")
    return {name: attributes[name] for name in names}


def _failed(record: Record, answer: Failed) -> Detail:
    """What the answer has about work that failed; what it does not have is empty.

    A task that was found after the answer is left out, so that all copies of an event are equal.
    """
    target, task = record.target, record.task
    if task is not None and task.id != answer.physical_id:
        task = None
    return {
        "InstanceId": target.instance_id if target else "",
        "BundleId": task.id if task else "",
        "ImageId": task.image_id if task else "",
        "Bucket": target.location.bucket if target else "",
        "Prefix": target.prefix if target else "",
        "S3Uri": "",
        "State": "failed",
        "Reason": answer.reason,
    }
