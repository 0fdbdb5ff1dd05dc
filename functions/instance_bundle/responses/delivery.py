"""Sends a request's answer to CloudFormation, to a wait condition handle, and to an event bus."""

import json

from instance_bundle.request import RefusedRequest, Request
from instance_bundle.responses import events, response
from instance_bundle.settings import Settings
from instance_bundle.state import Answer, Done, Failed, Ledger, Record
from instance_bundle.telemetry import count, logger

_SIGNALLED = ("BundleId", "ImageId", "S3Uri")


def refuse(refused: RefusedRequest, settings: Settings) -> None:
    """Answer CloudFormation that an event is refused, and why; the ledger does not have it.

    Raises:
        PassingFault: the answer did not arrive.
    """
    logger.error("Refused", reason=refused.reason)
    count("Failed")
    text = response.body(refused.key, Failed(refused.physical_id, refused.reason))
    response.deliver(refused.response_url, text, settings.limits.response_origin)


def send_acceptance(request: Request, acceptance: Done, settings: Settings) -> None:
    """Answer CloudFormation that the work is accepted; a handle waits for its end.

    Raises:
        PassingFault: the answer did not arrive.
    """
    text = response.body(request.key, acceptance)
    response.deliver(request.response_url, text, settings.limits.response_origin)


def deliver(request: Request, record: Record, answer: Answer, settings: Settings) -> None:
    """Send the answer to CloudFormation, the handle and the bus; each may receive it repeatedly.

    Args:
        request: the request.
        record: its record, with the answer stored.
        answer: the answer.
        settings: of this process.

    Raises:
        PassingFault: it did not arrive at one of them.
    """
    answer_cloudformation(request, record, answer, settings)
    origin = settings.limits.response_origin
    if request.handle is not None and (record.acceptance or isinstance(answer, Done)):
        response.deliver(request.handle, _signal(request, record, answer), origin)
    events.publish(settings.event_bus, request, record, answer)


def repeat(
    request: Request, record: Record, answer: Answer, ledger: Ledger, settings: Settings
) -> None:
    """Send the answer again where it may not have arrived.

    If the bundle has been deleted since, the handle is not signalled.

    Args:
        request: the request.
        record: its record, with the answer stored.
        answer: the answer.
        ledger: has the bundle, if it still exists.
        settings: of this process.

    Raises:
        PassingFault: it did not arrive at one of them.
    """
    if isinstance(answer, Failed) or ledger.bundles.has(request.key, answer.physical_id):
        deliver(request, record, answer, settings)
        return
    answer_cloudformation(request, record, answer, settings)
    if record.undelivered:
        events.publish(settings.event_bus, request, record, answer)


def answer_cloudformation(
    request: Request, record: Record, answer: Answer, settings: Settings
) -> None:
    """Send the answer to CloudFormation only, unless it has the acceptance already.

    Arguments and exceptions are those of `deliver`.
    """
    if not record.acceptance_sent:
        text = response.body(request.key, record.acceptance or answer)
        response.deliver(request.response_url, text, settings.limits.response_origin)


def _signal(request: Request, record: Record, answer: Answer) -> bytes:
    """The signal for a handle (CloudFormation User Guide, Wait condition signal JSON format)."""
    known = answer if isinstance(answer, Done) else record.acceptance
    attributes = known.attributes if known else {}
    return response.fitted(
        {
            "Status": "SUCCESS" if isinstance(answer, Done) else "FAILURE",
            "UniqueId": request.request_id,
            "Data": json.dumps({name: attributes.get(name, "") for name in _SIGNALLED}),
            "Reason": "" if isinstance(answer, Done) else answer.reason,
        }
    )
