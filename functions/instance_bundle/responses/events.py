"""The EventBridge events about tasks, about work that has ended, and bundles that were removed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from instance_bundle import aws
from instance_bundle.aws import meaning
from instance_bundle.errors import Denied, InstanceBundleError
from instance_bundle.methods import Task
from instance_bundle.request import Request, Target
from instance_bundle.state import Announcement, Answer, Done, Failed, LastEvent, Record
from instance_bundle.telemetry import about, logger

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "cfn-instance-bundle"
DETAIL_TYPE = "Instance Bundle State Change"
AT_ONCE = 10
"""Events that one call puts (EventBridge User Guide, Amazon EventBridge quotas, PutEvents)."""

_PUT = "events:PutEvents"
_NOT_PUBLISHED = "The event could not be published"

Detail = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """An event about a task that has started, or has made progress.

    Attributes:
        state: the event's State.
        request: the request that started the task.
        target: what the task makes.
        task: as EC2 described it last.
        mark: what the request's record has once the event is put.
    """

    state: Literal["started", "progress"]
    request: Request
    target: Target
    task: Task
    mark: LastEvent


def publish_tasks(bus: str, events: Sequence[TaskEvent]) -> None:
    """Publish events about tasks, each once: whatever the bus makes of them is only logged.

    They are put at the end of a batch of polls, and a bus that does not answer is not called again.

    Args:
        bus: name or ARN.
        events: the events; none means no call.
    """
    for start in range(0, len(events), AT_ONCE):
        together = events[start : start + AT_ONCE]
        try:
            failures = _put([_entry(bus, each.request, _of_task(each)) for each in together])
        except InstanceBundleError as error:
            _log_unpublished(bus, [(each, error) for each in events[start:]])
            return
        _log_unpublished(bus, [(together[number], error) for number, error in failures.items()])


def _log_unpublished(bus: str, failures: Sequence[tuple[TaskEvent, InstanceBundleError]]) -> None:
    for event, error in failures:
        with about(event.request.key):
            logger.warning(_NOT_PUBLISHED, bus=bus, state=event.state, fault=str(error))


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
            for failure in _put([_entry(bus, request, detail)]).values():
                raise failure
        except Denied:
            logger.exception(_NOT_PUBLISHED, bus=bus)


def _entry(bus: str, request: Request, detail: Detail) -> "PutEventsRequestEntryTypeDef":
    return {
        "EventBusName": bus,
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "Resources": [request.stack_id],
    }


def _put(entries: "Sequence[PutEventsRequestEntryTypeDef]") -> Mapping[int, InstanceBundleError]:
    """Put entries, ten at most; those that the bus did not take, and why.

    The answer has an entry for each, in their order (EventBridge User Guide, Sending events with
    PutEvents).
    """
    with aws.calling(_PUT):
        response = aws.events().put_events(Entries=entries)
    return {
        number: meaning(_PUT, entry["ErrorCode"], entry.get("ErrorMessage", ""))
        for number, entry in enumerate(response["Entries"])
        if "ErrorCode" in entry
    }


def _about(request: Request, method: str) -> Detail:
    return {
        "StackId": request.stack_id,
        "StackName": request.stack_name,
        "LogicalResourceId": request.logical_id,
        "RequestId": request.request_id,
        "Method": method,
    }


def _of_task(event: TaskEvent) -> Detail:
    return {
        **_about(event.request, event.target.method),
        **_of_work(event.target, event.task),
        "State": event.state,
        "Reason": "",
    }


def _details(request: Request, record: Record, answer: Answer) -> Iterator[Detail]:
    """The details of a request's events: of the work that it started, of another AMI that an Update
    made, and of each bundle that it removed, with each AMI that was announced."""
    if record.target is not None:
        method = request.properties.get("Method", "BundleInstance")
        ended = _complete(answer) if isinstance(answer, Done) else _failed(record, answer)
        yield {**_about(request, method), **ended}
    for each in record.announcements:
        method = "StoreImage" if each.bundle.physical_id.startswith("ami-") else "BundleInstance"
        for announced in _announced(each, answer):
            yield {**_about(request, method), **announced}


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
    names = (
        *("InstanceId", "BundleId", "ImageId", "Bucket", "Prefix", "S3Uri"),
        *("Progress", "StartTime", "UpdateTime"),
    )
    return {**{name: attributes[name] for name in names}, "TaskState": attributes["State"]}


def _failed(record: Record, answer: Failed) -> Detail:
    """What the answer has about work that failed; what it does not have is empty.

    A task that was found after the answer is left out, so that all copies of an event are equal.
    """
    task = record.task
    if task is not None and task.id != answer.physical_id:
        task = None
    return {**_of_work(record.target, task), "State": "failed", "Reason": answer.reason}


def _of_work(target: Target | None, task: Task | None) -> Detail:
    """What is known about a bundle that is not complete."""
    return {
        "InstanceId": target.instance_id if target else "",
        "BundleId": task.id if task else "",
        "ImageId": task.image_id if task else "",
        "Bucket": target.location.bucket if target else "",
        "Prefix": target.prefix if target else "",
        "S3Uri": "",
        "Progress": task.progress or "0%" if task else "",
        "StartTime": task.started if task else "",
        "UpdateTime": task.updated if task else "",
        "TaskState": task.state if task else "",
    }
