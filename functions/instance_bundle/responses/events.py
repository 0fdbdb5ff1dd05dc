"""The EventBridge event that is published when work has ended, for example to start a pipeline."""

import json
from collections.abc import Mapping

from instance_bundle import aws
from instance_bundle.aws import meaning
from instance_bundle.errors import Denied
from instance_bundle.request import Request
from instance_bundle.state import Answer, Done, Failed, Record
from instance_bundle.telemetry import logger

SOURCE = "cfn-instance-bundle"
DETAIL_TYPE = "Instance Bundle State Change"


def publish(bus: str, request: Request, record: Record, answer: Answer) -> None:
    """Publish the event; again, if the request is resumed after that.

    If the bus refuses the event, or does not exist, that is only logged: it must not keep a stack
    waiting.

    Args:
        bus: name or ARN; empty for none.
        request: the request whose work has ended.
        record: the request's record, with the answer.
        answer: the answer.

    Raises:
        PassingFault: the event may or may not have been published.
    """
    if not bus or not _is_news(request, record, answer):
        return
    try:
        with aws.calling("events:PutEvents"):
            response = aws.events().put_events(
                Entries=[
                    {
                        "EventBusName": bus,
                        "Source": SOURCE,
                        "DetailType": DETAIL_TYPE,
                        "Detail": json.dumps(_detail(request, record, answer)),
                        "Resources": [request.stack_id],
                    }
                ]
            )
        for entry in response["Entries"]:
            if "ErrorCode" in entry:
                code, message = entry["ErrorCode"], entry.get("ErrorMessage", "")
                raise meaning("events:PutEvents", code, message)
    except Denied:
        logger.exception("The event could not be published", bus=bus)


def _is_news(request: Request, record: Record, answer: Answer) -> bool:
    if record.target is not None:
        return True
    if not isinstance(answer, Done) or not answer.attributes.get("ImageId"):
        return False  # a dry run has no AMI, even if it asks for one
    return request.changes_image and _is_another(request)


def _is_another(request: Request) -> bool:
    """Whether an Update made another AMI; one with the same name, or of StoreImage, is changed in
    place."""
    if request.properties.get("Method") == "StoreImage":
        return False
    old, name = request.old_image, request.properties["Image"].get("Name")
    return old is None or name is None or name != old.name


def _detail(request: Request, record: Record, answer: Answer) -> Mapping[str, str]:
    return {
        "StackId": request.stack_id,
        "StackName": request.stack_name,
        "LogicalResourceId": request.logical_id,
        "RequestId": request.request_id,
        "Method": request.properties.get("Method", "BundleInstance"),
        **(_complete(answer) if isinstance(answer, Done) else _failed(record, answer)),
    }


def _complete(answer: Done) -> Mapping[str, str]:
    names = ("InstanceId", "BundleId", "ImageId", "Bucket", "Prefix", "S3Uri", "State")
    return {**{name: answer.attributes[name] for name in names}, "Reason": ""}


def _failed(record: Record, answer: Failed) -> Mapping[str, str]:
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
