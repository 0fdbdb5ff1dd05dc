"""The least convenient order, and pace, that CloudFormation permits.

Resources that do not need each other are made and deleted in any order, "in parallel"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html).
Here policies come last where they are made, and go first where they are deleted: what needs one and
does not say so fails. A change in IAM takes a while to count. Only what needs a role or a
policy, by Ref, Fn::GetAtt or DependsOn, starts after that; this part is assumed, since no page says
what CloudFormation waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.cloudformation.providers import Failed, Outcome, Work
from sandbox.upstream.permissions import Permissions

_OF_ROLES = (
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::RolePolicy",
)
_POLICIES = (*_OF_ROLES, "AWS::Lambda::Permission", "AWS::SQS::QueuePolicy")
_SPREADING = (*_OF_ROLES, "AWS::IAM::Role")


def first_made(ready: Sequence[str], type_of: Callable[[str], str]) -> list[str]:
    """Which of the resources that could be made now are made first: all but policies."""
    others = [name for name in ready if type_of(name) not in _POLICIES]
    return others or list(ready)


def first_deleted(ready: Sequence[str], type_of: Callable[[str], str]) -> list[str]:
    """Which of the resources that could be deleted now are deleted first: policies."""
    policies = [name for name in ready if type_of(name) in _POLICIES]
    return policies or list(ready)


def spreads(resource_type: str) -> bool:
    """Whether a resource of the type changes what roles may do, which takes a while to count."""
    return resource_type in _SPREADING


@dataclass(frozen=True, slots=True)
class Spreading:
    """Work that is done, and does not count everywhere yet."""

    work: Work
    counts: Callable[[], bool]

    @classmethod
    def of(cls, work: Work, permissions: Permissions) -> Spreading:
        """Work that was done just now."""
        return cls(work, permissions.counts_from_now())

    def outcome(self) -> Outcome | None:
        outcome = self.work.outcome()
        return outcome if isinstance(outcome, Failed) or self.counts() else None

    def abandon(self) -> str | None:
        return self.work.abandon()
