"""What was asked: CloudFormation's event, read once and checked.

This room guarantees that an event is read without an exception but `InvalidEvent`, that every
problem of its properties is found before any work starts, by its property path, and that nothing
secret in it gets into a text for people.

Example:
    request = Request.parse(unwrapped(event))
    properties = admit(request, limits, request.ends(received))
"""

from instance_bundle.request import upload_policy
from instance_bundle.request.admission import admit, admit_update
from instance_bundle.request.event import Request, RequestKey, RequestType, unwrapped
from instance_bundle.request.properties import (
    DEFAULT_COMPLETION_TIMEOUT,
    Image,
    Location,
    MethodName,
    Properties,
    Target,
    removes_on_delete,
)
from instance_bundle.request.redaction import conceal
from instance_bundle.request.response_url import may_be_answered
from instance_bundle.request.upload_policy import UploadPolicy

__all__ = [
    "DEFAULT_COMPLETION_TIMEOUT",
    "Image",
    "Location",
    "MethodName",
    "Properties",
    "Request",
    "RequestKey",
    "RequestType",
    "Target",
    "UploadPolicy",
    "admit",
    "admit_update",
    "conceal",
    "may_be_answered",
    "removes_on_delete",
    "unwrapped",
    "upload_policy",
]
