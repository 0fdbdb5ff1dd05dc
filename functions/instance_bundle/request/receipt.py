"""Which events are requests that this function takes, and which others are answered.

CloudFormation invokes a function with the rights of everyone who deploys a stack; anybody who has
these rights can invoke it too, with an event of their own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instance_bundle.errors import InvalidEvent
from instance_bundle.request.envelope import unwrapped
from instance_bundle.request.event import (
    LONGEST_PHYSICAL_ID,
    Request,
    RequestKey,
    id_of_failure,
    length,
)
from instance_bundle.request.properties import DEFAULT_SERVICE_TIMEOUT
from instance_bundle.request.response_url import Place, Subject, may_be_answered, place, subject
from instance_bundle.settings import Settings

# CloudFormation API Reference, Stack: StackId; CreateStack: StackName. The last part is a UUID.
_STACK = re.compile(
    r"arn:(?P<partition>[a-z0-9-]+):cloudformation:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":stack/[A-Za-z0-9-]+/[A-Za-z0-9-]+"
)

# Bytes of the three IDs that an answer repeats; a Reason has the rest of the 4,096.
_LONGEST_KEY = 3000


@dataclass(frozen=True, slots=True)
class Home:
    """Where a stack or a function is: only what is of one home serves each other."""

    partition: str
    region: str
    account: str

    @classmethod
    def of_function(cls, arn: str) -> "Home":
        """The home of a function, by its ARN or that of a version or alias of it."""
        _, partition, _, region, account = arn.split(":")[:5]
        return cls(partition, region, account)

    @classmethod
    def of_stack(cls, stack_id: str) -> "Home | None":
        """The home of a stack, by its ID; None where the ID is no ARN of a stack."""
        found = _STACK.fullmatch(stack_id)
        return cls(**found.groupdict()) if found else None

    @property
    def place(self) -> Place:
        """Its partition and Region."""
        return Place(self.partition, self.region)

    def __str__(self) -> str:
        return f"account {self.account} in {self.region} (partition {self.partition})"


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """An event that this function does not take, but that CloudFormation waits for the answer to.

    Attributes:
        key: stack ID, logical ID and request ID, as the event has them.
        response_url: the pre-signed URL that the answer is PUT to; a secret.
        physical_id: what the answer calls the resource.
        reason: why it is refused, for a person.
    """

    key: RequestKey
    response_url: str
    physical_id: str
    reason: str

    def times_out_at(self, received: float) -> float:
        """The latest time until which CloudFormation waits; both in epoch seconds."""
        return received + DEFAULT_SERVICE_TIMEOUT


def receive(event: Any, function_arn: str, settings: Settings) -> Request | RefusedRequest:
    """Read an event.

    Args:
        event: what Lambda passes to the handler.
        function_arn: `invoked_function_arn` of the handler's context, which Lambda sets.
        settings: of this process.

    Returns:
        A request of a stack in this function's account and Region; or what is answered FAILED at
        once, with the reason.

    Raises:
        InvalidEvent: it is no request, and nobody waits for an answer, or somebody waits for that
            to another request.
    """
    origin = settings.limits.response_origin
    given = unwrapped(event)
    try:
        request = Request.parse(given)
        request.require_answerable(origin)
        _require_consistent(request.key, request.response_url, origin)
        if settings.verify_requests:
            _require_own(request.stack_id, Home.of_function(function_arn))
    except InvalidEvent as error:
        refused = _answerable(given, str(error), origin)
        if refused is None:
            raise
        return refused
    return request


def _require_consistent(key: RequestKey, url: str, origin: str | None) -> None:
    """Check that an answer to the URL answers the event, as far as the URL says.

    Raises:
        InvalidEvent: it would answer another request.
    """
    named = subject(url, origin)
    if named not in (None, Subject(key.stack_id, key.logical_id, key.request_id)):
        raise InvalidEvent("ResponseURL: is that of another request than the event names")
    home, bucket = Home.of_stack(key.stack_id), place(url)
    if home and bucket and home.place != bucket:
        raise InvalidEvent(
            f"ResponseURL: is one of {bucket.region}, where the event's stack is not"
        )


def _require_own(stack_id: str, home: Home) -> None:
    """See that a stack is one of this function's account and Region.

    Raises:
        InvalidEvent: it is not.
    """
    if Home.of_stack(stack_id) != home:
        raise InvalidEvent(
            f"StackId: is no stack of {home}, where this function is. Deploy the application in "
            "the stack's account and Region, and take the ServiceToken from there."
        )


def _answerable(event: Any, reason: str, origin: str | None) -> RefusedRequest | None:
    """What to answer to an event; None where nobody waits for it."""
    match event:
        case {
            "ResponseURL": str(url),
            "StackId": str(stack_id),
            "LogicalResourceId": str(logical_id),
            "RequestId": str(request_id),
        }:
            key = RequestKey(stack_id, logical_id, request_id)
        case _:
            return None
    ids = (stack_id, logical_id, request_id)
    if not all(ids) or sum(map(length, ids)) > _LONGEST_KEY or not may_be_answered(url, origin):
        return None
    try:
        _require_consistent(key, url, origin)
    except InvalidEvent:
        return None
    return RefusedRequest(key, url, _physical_id(event) or id_of_failure(key), reason)


def _physical_id(event: Mapping[str, Any]) -> str:
    """The resource's ID so far, if the event has one that can be answered."""
    given = event.get("PhysicalResourceId")
    if event.get("RequestType") == "Create" or not isinstance(given, str):
        return ""
    return given if length(given) <= LONGEST_PHYSICAL_ID else ""
