"""What CloudFormation asks of a resource's provider.

A provider starts a piece of work, and the stack polls the work's outcome until there is one: the
work of moto's own resource models is finished at once, that of a custom resource when its function
has answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from moto.cloudformation.parsing import generate_resource_name

from sandbox.cloudformation.intrinsics import invalid

# Generated names are cut to these lengths, since the services accept no longer ones.
_NAME_LIMITS = {"AWS::IAM::Role": 64, "AWS::Lambda::Function": 64, "AWS::SQS::Queue": 80}


@dataclass(frozen=True, slots=True)
class Order:
    """One resource, as CloudFormation asks its provider for it.

    properties: with intrinsic functions worked out. tags: the stack's. since: when the resource's
    turn was announced, in epoch seconds. role_arn: of the stack's service role, if it has one.
    """

    stack_id: str
    stack_name: str
    account: str
    region: str
    logical_id: str
    type: str
    properties: dict[str, Any]
    tags: Mapping[str, str]
    since: float
    role_arn: str | None = None


class Attributes(Protocol):
    """What ``Fn::GetAtt`` reads."""

    @property
    def hidden(self) -> bool:
        """Whether people are to see the attributes masked (NoEcho)."""

    def attribute(self, name: str) -> Any:
        """The attribute's value. Raises ValidationError where there is none of that name."""


@dataclass(frozen=True, slots=True)
class Made:
    """A resource that exists. order: the last one that its provider was given for it."""

    physical_id: str
    order: Order
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Failed:
    """Work that failed. physical_id: of what has to be deleted anyway. untouched: an update
    was refused before anything was done."""

    reason: str
    physical_id: str | None = None
    untouched: bool = False


Outcome = Made | Failed


class Work(Protocol):
    """A provider's work on one resource, under way or done."""

    def outcome(self) -> Outcome | None:
        """The result; None while it is under way."""

    def abandon(self) -> str | None:
        """Stop waiting for it. Returns the physical ID by which the resource is to be deleted."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Work that was done at once."""

    result: Outcome

    def outcome(self) -> Outcome:
        return self.result

    def abandon(self) -> str | None:
        return self.result.physical_id


class Provider(Protocol):
    """Makes, changes and removes resources of some types."""

    def create(self, order: Order) -> Work:
        """Start making the resource."""

    def update(self, order: Order, made: Made) -> Work:
        """Start changing what was made into what is ordered now. Another physical ID in the outcome
        means that the resource was replaced, and that the old one is to be deleted."""

    def delete(self, order: Order, physical_id: str, made: Made | None) -> Work:
        """Start removing the resource; `made` is None where its creation failed."""


def generated_id(order: Order) -> str:
    """A physical ID as CloudFormation generates it: ``<stack>-<logical ID>-<12 characters>``."""
    name = generate_resource_name(order.type, order.stack_name, order.logical_id)
    limit = _NAME_LIMITS.get(order.type, len(name))
    prefix, _, suffix = name.rpartition("-")
    return f"{prefix[: limit - len(suffix) - 1]}-{suffix}"


def no_attribute(order: Order, name: str) -> Exception:
    """What says that the resource has no attribute of that name."""
    return invalid(
        f"Template error: resource {order.logical_id} does not support attribute type {name} "
        "in Fn::GetAtt"
    )
