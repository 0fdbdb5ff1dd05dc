"""The event that tells an EventBridge bus of work that has ended, so that a pipeline can start."""

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


def put(bus: str, request: Request, record: Record, answer: Answer) -> None:
    """Put the event onto the bus; more than once, if the request is taken up again after it.

    A bus that refuses it, or is not there, gets none: that must not keep a stack waiting.

    Args:
        bus: name or ARN; empty for none.
        request: whose work has ended.
        record: the request's record, its answer in it.
        answer: what came of it.

    Raises:
        PassingFault: it may or may not have been put.
    """
    if not bus or not _tells_news(request, record, answer):
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
        logger.exception("No event tells of the work that has ended", bus=bus)


def _tells_news(request: Request, record: Record, answer: Answer) -> bool:
    if record.target is not None:
        return True
    if not isinstance(answer, Done) or not answer.attributes.get("ImageId"):
        return False  # a rehearsal has no AMI, whatever it says of one
    return request.changes_image and _is_another(request)


def _is_another(request: Request) -> bool:
    """Whether an Update's AMI is another than before: one that keeps its name is changed in place,
    and so is what StoreImage made."""
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
    """What the answer knows of work that came to nothing; what it does not know is empty. A task
    that was found since is left out: each copy of an event is the same."""
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
