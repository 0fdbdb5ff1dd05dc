"""The forms in which CloudFormation may send a request, where AWS was seen to use more than one."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.cloudformation.presigned import SIGNATURE_VERSIONS

TIMEOUT_PLACES = ("properties", "event")


@dataclass(frozen=True, slots=True)
class RequestForms:
    """The form of requests to custom resources, and of the URLs to answer to.

    Attributes:
        signature_version: that of pre-signed URLs. Today's have version 4; the sample event in the
            Lambda guide (https://docs.aws.amazon.com/lambda/latest/dg/services-cloudformation.html)
            and the sample handle in the CloudFormation guide
            (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-waitcondition.html)
            have version 2.
        service_timeout: where an event has its ServiceTimeout: `properties`, in ResourceProperties,
            or `event`, at the top level, next to ServiceToken. The guide says that all fields but
            these two are sent in ResourceProperties
            (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html).

    Raises ValueError for another value.
    """

    signature_version: int = 4
    service_timeout: str = "properties"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("signature_version", self.signature_version, SIGNATURE_VERSIONS),
            ("service_timeout", self.service_timeout, TIMEOUT_PLACES),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, and has to be one of {known}")


USUAL_FORMS = RequestForms()
