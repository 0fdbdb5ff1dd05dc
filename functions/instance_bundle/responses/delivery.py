"""Who hears of a request's answer: CloudFormation, a wait condition handle, an event bus."""

import json

from instance_bundle.request import Request
from instance_bundle.responses import announcement, response
from instance_bundle.settings import Settings
from instance_bundle.state import Answer, Done, Failed, Ledger, Record

_SIGNALLED = ("BundleId", "ImageId", "S3Uri")


def accept(request: Request, accepted: Done, settings: Settings) -> None:
    """Tell CloudFormation that the work is accepted; a handle will hear of its end.

    Raises:
        PassingFault: it did not get through.
    """
    text = response.body(request.key, accepted)
    response.deliver(request.response_url, text, settings.limits.response_origin)


def deliver(request: Request, record: Record, answer: Answer, settings: Settings) -> None:
    """Tell all who wait for the end of the work; each may hear the same more than once.

    Args:
        request: the request.
        record: its record, with the answer stored.
        answer: what came of it.
        settings: where to.

    Raises:
        PassingFault: it did not get through to one of them.
    """
    answer_cloudformation(request, record, answer, settings)
    origin = settings.limits.response_origin
    if request.handle is not None and (record.accepted or isinstance(answer, Done)):
        response.deliver(request.handle, _signal(request, record, answer), origin)
    announcement.put(settings.event_bus, request, record, answer)


def repeat(
    request: Request, record: Record, answer: Answer, ledger: Ledger, settings: Settings
) -> None:
    """Tell all once more who may not have heard. A handle is told of nothing that is deleted.

    Args:
        request: the request.
        record: its record, with the answer stored.
        answer: what came of it.
        ledger: knows whether what was answered is still there.
        settings: where to.

    Raises:
        PassingFault: it did not get through to one of them.
    """
    if isinstance(answer, Failed) or ledger.has_bundle(request.key, answer.physical_id):
        deliver(request, record, answer, settings)
        return
    answer_cloudformation(request, record, answer, settings)
    if record.request is not None:
        announcement.put(settings.event_bus, request, record, answer)


def answer_cloudformation(
    request: Request, record: Record, answer: Answer, settings: Settings
) -> None:
    """Tell CloudFormation alone, unless it has heard already that the work is accepted; otherwise
    as `deliver`."""
    if not record.told:
        text = response.body(request.key, record.accepted or answer)
        response.deliver(request.response_url, text, settings.limits.response_origin)


def _signal(request: Request, record: Record, answer: Answer) -> bytes:
    """What a handle takes (CloudFormation User Guide, Wait condition signal JSON format)."""
    known = answer if isinstance(answer, Done) else record.accepted
    attributes = known.attributes if known else {}
    return response.fitted(
        {
            "Status": "SUCCESS" if isinstance(answer, Done) else "FAILURE",
            "UniqueId": request.request_id,
            "Data": json.dumps({name: attributes.get(name, "") for name in _SIGNALLED}),
            "Reason": "" if isinstance(answer, Done) else answer.reason,
        }
    )
