"""The request: CloudFormation's event, parsed and checked.

This room guarantees that reading an event raises no exception other than `InvalidEvent`, that it is
of a stack in the function's account and Region, that every problem of its properties is found
before any work starts, by its property path, and that no secret gets into a text for people.

Example:
    request = receive(event, context.invoked_function_arn, settings)
    if isinstance(request, Request):
        properties = admit(request, limits, request.work_ends_by(received))
"""

from instance_bundle.request import upload_policy
from instance_bundle.request.admission import admit, admit_update
from instance_bundle.request.event import Request, RequestKey, RequestType
from instance_bundle.request.properties import (
    DEFAULT_COMPLETION_TIMEOUT,
    Image,
    Location,
    MethodName,
    Properties,
    Target,
    on_delete,
    problems,
)
from instance_bundle.request.receipt import Home, RefusedRequest, receive
from instance_bundle.request.redaction import conceal
from instance_bundle.request.response_url import may_be_answered
from instance_bundle.request.upload_policy import UploadPolicy

__all__ = [
    "DEFAULT_COMPLETION_TIMEOUT",
    "Home",
    "Image",
    "Location",
    "MethodName",
    "Properties",
    "RefusedRequest",
    "Request",
    "RequestKey",
    "RequestType",
    "Target",
    "UploadPolicy",
    "admit",
    "admit_update",
    "conceal",
    "may_be_answered",
    "on_delete",
    "problems",
    "receive",
    "upload_policy",
]
