"""The Lambda handler: CloudFormation's requests, their polls, and events of EC2's and S3's."""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import budget
from instance_bundle.errors import InvalidEvent
from instance_bundle.lifecycle import Described, Lifecycle
from instance_bundle.methods import BundleInstance, Methods, StoreImage
from instance_bundle.request import (
    Properties,
    RefusedRequest,
    Request,
    admit,
    admit_update,
    receive,
)
from instance_bundle.responses import BundleResource, Event, NextPoll, delivery
from instance_bundle.settings import settings
from instance_bundle.state import Ledger, Record, poll_queue
from instance_bundle.telemetry import about, logger, metrics


@cache
def ledger() -> Ledger:
    """The ledger, created when a request needs it."""
    return Ledger(settings().ledger_table, settings().request_table)


@cache
def methods() -> Methods:
    """The methods, created when a request needs them."""
    limits = settings().limits
    return Methods({"BundleInstance": BundleInstance(limits), "StoreImage": StoreImage(limits)})


@cache
def lifecycle() -> Lifecycle:
    """The lifecycle, created when a request needs it."""
    return Lifecycle(ledger(), methods(), settings().limits, asks=settings().verify_requests)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any] | None:
    """Handle a request, a batch of polls, or a batch of events of EC2's and S3's."""
    with budget.invocation(context.get_remaining_time_in_millis):
        if _is_batch(event):
            if event["Records"][0].get("eventSourceARN") == settings().event_queue_arn:
                return _process_events(event)
            return _process_polls(event, context)
        _answer_request(event, context)
        return None


def resource_of(
    request: Request, record: Record | None = None, described: Described | None = None
) -> BundleResource:
    """The resource that handles one request.

    Args:
        request: the request.
        record: its record, if a poll has its lease.
        described: returns its task, if EC2 described it already.
    """
    resource = BundleResource(request, settings(), ledger(), record=record, described=described)

    @resource.create
    def create(event: Event, context: LambdaContext) -> str | None:
        return resource.receive(lifecycle().drive, lambda: _admitted(request))

    @resource.update
    def update(event: Event, context: LambdaContext) -> str | None:
        return resource.receive(lifecycle().drive, lambda: _admitted_update(request))

    @resource.delete
    def delete(event: Event, context: LambdaContext) -> str | None:
        return resource.receive(lifecycle().drive)

    @resource.poll_create
    @resource.poll_update
    @resource.poll_delete
    def poll(event: Event, context: LambdaContext) -> str | None:
        return resource.poll(lifecycle().drive)

    return resource


def _answer_request(event: Any, context: LambdaContext) -> None:
    """Handle an event of CloudFormation's, sent by it or passed back by the failure handler.

    Other events are refused: answered FAILED if CloudFormation waits, and otherwise only logged.
    """
    try:
        request = receive(event, context.invoked_function_arn, settings())
    except InvalidEvent as error:
        logger.error("Refused an event that is not a custom resource event", error=str(error))
        return
    with about(request.key):
        if isinstance(request, RefusedRequest):
            delivery.refuse(request, settings())
        else:
            resource_of(request).begin(context)


def _admitted(request: Request) -> Properties:
    return admit(request, settings().limits, request.work_ends_by(time.time()))


def _admitted_update(request: Request) -> Properties:
    return admit_update(request, settings().limits, lambda: lifecycle().is_rollback(request.key))


def _is_batch(event: Any) -> bool:
    """Whether an event is from the event source mapping of a queue."""
    records = event.get("Records") if isinstance(event, dict) else None
    return (
        isinstance(records, list)
        and 0 < len(records) <= poll_queue.AT_ONCE
        and all(map(_is_message, records))
    )


def _is_message(record: Any) -> bool:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:sqs":
        return False
    return all(isinstance(record.get(name), str) for name in ("messageId", "body"))


def _process_polls(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    # Imported here: a request does not need it, and it takes a tenth of the cold start.
    from instance_bundle.polling import Batch

    def resume(record: Record, described: Described) -> NextPoll | None:
        assert record.request is not None  # noqa: S101  an answered one is not taken
        return resource_of(record.request, record, described).resume(context)

    batch = Batch(resume, ledger(), methods(), settings(), context)
    return batch.process(event)


def _process_events(event: Event) -> Mapping[str, Any]:
    from instance_bundle.polling import aws_events

    return aws_events.process(event, ledger(), settings().poll_queue_url)
