"""The function's handler: requests of CloudFormation's, and the polls that follow them."""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from instance_bundle import budget
from instance_bundle.lifecycle import Lifecycle
from instance_bundle.methods import BundleInstance, Methods, StoreImage
from instance_bundle.request import admit, admit_update
from instance_bundle.responses import BundleResource, Event
from instance_bundle.settings import settings
from instance_bundle.state import Ledger
from instance_bundle.telemetry import logger, metrics


@cache
def ledger() -> Ledger:
    """The ledger, made when a request needs it."""
    return Ledger(settings().ledger_table)


@cache
def methods() -> Methods:
    """The ways to make an image, made when a request needs them."""
    limits = settings().limits
    return Methods({"BundleInstance": BundleInstance(limits), "StoreImage": StoreImage(limits)})


@cache
def lifecycle() -> Lifecycle:
    """The lifecycle, made when a request needs it."""
    return Lifecycle(ledger(), methods(), settings().limits)


resource = BundleResource(settings, ledger)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> Mapping[str, Any] | None:
    """Answer a request, or carry on those that a batch of polls is about."""
    with budget.invocation(context.get_remaining_time_in_millis):
        if _is_batch_of_polls(event):
            return _process_polls(event, context)
        resource(event, context)
        return None


@resource.create
def create(event: Event, context: LambdaContext) -> str | None:
    """Bundle the instance."""
    request, limits = resource.request, settings().limits
    return resource.accept(
        lambda record: lifecycle().create(record),
        lambda: admit(request, limits, request.ends(time.time())),
    )


@resource.update
def update(event: Event, context: LambdaContext) -> str | None:
    """Bundle anew where what names the bundle has changed."""
    request, limits = resource.request, settings().limits
    return resource.accept(
        lambda record: lifecycle().update(record),
        lambda: admit_update(request, limits),
    )


@resource.delete
def delete(event: Event, context: LambdaContext) -> str | None:
    """End what runs, and let go of the bundle."""
    return resource.accept(lambda record: lifecycle().delete(record))


@resource.poll_create
@resource.poll_update
@resource.poll_delete
def poll(event: Event, context: LambdaContext) -> str | None:
    """Look how far the work is."""
    return resource.carry_on(lifecycle().poll)


def _is_batch_of_polls(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, dict) else None
    return (
        isinstance(records, list)
        and bool(records)
        and all(
            isinstance(record, dict) and record.get("eventSource") == "aws:sqs"
            for record in records
        )
    )


def _process_polls(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    # Imported here, since a request does not need it and it takes a tenth of the start-up time.
    from instance_bundle.polling import Batch

    batch = Batch(resource, ledger(), methods(), settings().poll_queue_url, context)
    return batch.process(event)
