"""A custom resource request, as CloudFormation sends it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args
from urllib.parse import parse_qs, urlsplit

from instance_bundle import budget
from instance_bundle.errors import InvalidEvent, Timeout
from instance_bundle.request.properties import (
    Image,
    completion_handle,
    completion_timeout,
    problems,
    service_timeout,
)
from instance_bundle.request.response_url import may_be_answered

RequestType = Literal["Create", "Update", "Delete"]

_REQUIRED = ("RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId")

LONGEST_PHYSICAL_ID = 1000
"""Bytes that a physical ID may have in an answer."""

# Far longer than CloudFormation's, and short enough for DynamoDB's keys and for answers.
_LONGEST = {
    "StackId": 1024,
    "LogicalResourceId": 255,
    "RequestId": 128,
    "PhysicalResourceId": LONGEST_PHYSICAL_ID,
}


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Identifies a request: its resource, and its own ID."""

    stack_id: str
    logical_id: str
    request_id: str

    @property
    def resource(self) -> str:
        """The resource's part of the key."""
        return f"{self.stack_id}|{self.logical_id}"

    @property
    def stack_name(self) -> str:
        """The name in the stack's ARN; if the ID is not an ARN, the whole ID."""
        _, _, name = self.stack_id.partition(":stack/")
        return name.partition("/")[0] or self.stack_id


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        request_type: Create, Update or Delete.
        key: stack ID, logical ID and request ID.
        response_url: the pre-signed URL that the answer is PUT to; a secret.
        physical_id: the resource's ID so far; empty in a Create.
        properties: ResourceProperties as received, unchecked.
        old_properties: OldResourceProperties as received, unchecked; empty if it is no Update.
        service_timeout: ServiceTimeout if the event has it outside of ResourceProperties,
            unchecked. AWS documents it as a property; an event recorded in 2024 has it outside
            (https://github.com/aws/aws-cdk/pull/30911).
    """

    request_type: RequestType
    key: RequestKey
    response_url: str
    physical_id: str
    properties: Any
    old_properties: Any
    service_timeout: Any = None

    @classmethod
    def parse(cls, event: Any) -> "Request":
        """Parse an event.

        Raises:
            InvalidEvent: it is not a custom resource event; says which member is missing or wrong.
        """
        if not isinstance(event, Mapping):
            raise InvalidEvent(f"An event is an object, not {type(event).__name__}")
        for name in _REQUIRED:
            if not isinstance(event.get(name), str) or not event[name]:
                raise InvalidEvent(f"{name}: a custom resource event has this, a text")
        if event["RequestType"] not in get_args(RequestType):
            raise InvalidEvent(f"RequestType: must be one of {', '.join(get_args(RequestType))}")
        physical_id = "" if event["RequestType"] == "Create" else event.get("PhysicalResourceId")
        if not isinstance(physical_id, str):
            raise InvalidEvent("PhysicalResourceId: an Update or Delete has this, a text")
        for name, limit in _LONGEST.items():
            if length(event.get(name, "")) > limit:
                raise InvalidEvent(f"{name}: a custom resource event has {limit} bytes at most")
        _check_url(event["ResponseURL"])
        return cls(
            request_type=cast(RequestType, event["RequestType"]),
            key=RequestKey(event["StackId"], event["LogicalResourceId"], event["RequestId"]),
            response_url=event["ResponseURL"],
            physical_id=physical_id,
            properties=event.get("ResourceProperties", {}),
            old_properties=event.get("OldResourceProperties", {}),
            service_timeout=event.get("ServiceTimeout"),
        )

    def require_answerable(self, allowed_origin: str | None) -> None:
        """Check that the answer goes to CloudFormation only.

        Args:
            allowed_origin: as for `response_url.may_be_answered`.

        Raises:
            InvalidEvent: it does not; names the host that it would go to.
        """
        if not may_be_answered(self.response_url, allowed_origin):
            host = (urlsplit(self.response_url).hostname or "")[:255]
            raise InvalidEvent(f"ResponseURL: not one of CloudFormation's, but of host {host}")

    def as_event(self) -> dict[str, Any]:
        """The request in CloudFormation's form, with only the members that are needed."""
        return {
            "RequestType": self.request_type,
            "ResponseURL": self.response_url,
            "StackId": self.stack_id,
            "LogicalResourceId": self.logical_id,
            "RequestId": self.request_id,
            "PhysicalResourceId": self.physical_id,
            "ResourceProperties": self.properties,
            "OldResourceProperties": self.old_properties,
            "ServiceTimeout": self.service_timeout,
        }

    def signed_at(self, received: float) -> float | None:
        """When the ResponseURL was signed, in epoch seconds; None if its date is absent or not
        plausible.

        Args:
            received: when the request was received first, epoch seconds.
        """
        return budget.believed(self._date, received)

    def sent_at(self, received: float) -> float:
        """When CloudFormation sent it: when its URL was signed, or else when it was received."""
        return self.signed_at(received) or received

    def times_out_at(self, received: float) -> float:
        """When CloudFormation stops waiting for the answer; epoch seconds."""
        return self.sent_at(received) + self.timeout(accepted=False).seconds

    def work_ends_by(self, received: float) -> float:
        """The latest time at which its work ends; epoch seconds."""
        return self.sent_at(received) + self.timeout(accepted=self.handle is not None).seconds

    def timeout(self, *, accepted: bool) -> Timeout:
        """How long the work may take: until the answer, or if it is accepted, until the signal."""
        if accepted:
            return Timeout("CompletionTimeout", completion_timeout(self.properties))
        outside = {"ServiceTimeout": self.service_timeout}
        shortest = min(service_timeout(self.properties), service_timeout(outside))
        return Timeout("ServiceTimeout", shortest)

    @property
    def handle(self) -> str | None:
        """The URL of the wait condition handle that waits for a signal about this request.

        It is None if there is no handle, if an earlier request had the same one, or in a Delete.
        """
        if self.request_type == "Delete" or self.repeats_handle:
            return None
        return completion_handle(self.properties)

    @property
    def repeats_handle(self) -> bool:
        """Whether an Update has the same handle as before; its condition no longer waits."""
        given = completion_handle(self.properties)
        return given is not None and given == completion_handle(self.old_properties)

    @property
    def old_image(self) -> Image | None:
        """The AMI that was asked for before an Update; None if there was none, or it was invalid.

        The request that asked for an invalid one was refused.
        """
        return _image(self.old_properties)

    @property
    def changes_image(self) -> bool:
        """Whether an Update asks for another AMI than before."""
        return self.request_type == "Update" and _image(self.properties) not in (
            None,
            self.old_image,
        )

    @property
    def made_prefix(self) -> str:
        """The prefix if the properties have none: unique, and the same on every retry."""
        return f"{self.stack_name}/{self.logical_id}/{self.request_id}"

    @property
    def _date(self) -> float | None:
        """The date of the ResponseURL, epoch seconds; None if it has none.

        Signatures of version 4 have a date, those of version 2 have none (Amazon S3 API Reference,
        Authenticating requests).
        """
        date = parse_qs(urlsplit(self.response_url).query).get("X-Amz-Date", [""])[0]
        try:
            return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None

    @property
    def stack_id(self) -> str:
        """The stack's ARN."""
        return self.key.stack_id

    @property
    def stack_name(self) -> str:
        """The stack's name."""
        return self.key.stack_name

    @property
    def logical_id(self) -> str:
        """The resource's name in its template."""
        return self.key.logical_id

    @property
    def request_id(self) -> str:
        """CloudFormation's ID of this request."""
        return self.key.request_id

    @property
    def id_of_failure(self) -> str:
        """The physical ID in the answer if no work of this request has an ID."""
        return self.physical_id or id_of_failure(self.key)


def id_of_failure(key: RequestKey) -> str:
    """The physical ID in the answer to a failed request that has none."""
    return f"{key.logical_id}-{key.request_id}"


def _image(raw: Any) -> Image | None:
    """The AMI that ResourceProperties ask for, which may be anything; None if it is invalid."""
    if not isinstance(raw, Mapping) or any(
        problem.path.partition(".")[0] == "Image" for problem in problems(raw)
    ):
        return None
    return Image.parse(raw.get("Image"))


def length(text: Any) -> int:
    """Bytes of a text in an answer; more than any limit if it can't be encoded."""
    try:
        return len(json.dumps(text, ensure_ascii=False).encode()) - len('""')
    except UnicodeEncodeError:
        return 1 << 20


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidEvent("ResponseURL: a custom resource event has this, a URL") from error
    if not parts.hostname or not url.isascii():
        raise InvalidEvent("ResponseURL: a custom resource event has this, a URL")
