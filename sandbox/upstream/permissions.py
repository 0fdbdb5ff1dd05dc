"""What the roles of an account may do now.

IAM is eventually consistent: a change takes a while until it counts everywhere
(https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency).
Here it takes `IAM_DELAY` seconds, and the worst of what may be seen meanwhile counts: an action is
allowed only if the policies of the whole delay allow it.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Literal
from unittest.mock import patch

from moto.iam.models import IAMBackend, ManagedPolicy, Policy, Role, iam_backends

from sandbox.upstream import aws_policies
from sandbox.upstream.policies import Context, Request, judged

IAM_DELAY = 3.0
"""Seconds; AWS names no number. Public reports say two and more
(https://github.com/pulumi/pulumi-aws/issues/2411)."""

_NO_POLICY = json.dumps({"Statement": []})

_CHANGES: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (Role, ("put_policy", "delete_policy")),
    (ManagedPolicy, ("attach_to", "detach_from")),
    (
        IAMBackend,
        (
            "create_role",
            "put_role_permissions_boundary",
            "delete_role_permissions_boundary",
            "create_policy_version",
            "set_default_policy_version",
        ),
    ),
)
"""The methods of moto's that change what a role may do."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused. policy: the kind of policy. denies: it does so by a statement."""

    policy: Literal["identity-based policy", "permissions boundary", "resource-based policy"]
    denies: bool


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """A role's policies, as JSON. boundary: None where the role has none."""

    of_role: frozenset[str]
    boundary: str | None = None

    def refusal(self, request: Request, of_resource: str | None = None) -> Refusal | None:
        """Why a request is refused; None where it is allowed.

        One that a policy denies is refused. Otherwise it is allowed by the role's policies or the
        resource's, within the boundary
        (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
        Of a resource's policy that names a session AWS does not ask the boundary; here it does.

        of_resource: the statements of the resource's policy that are about the role, as JSON; it is
            of the same account.
        """
        by_role = judged(self.of_role, request)
        by_boundary = "allowed" if self.boundary is None else judged([self.boundary], request)
        by_resource = "not allowed" if of_resource is None else judged([of_resource], request)
        if by_role == "denied":
            return Refusal("identity-based policy", denies=True)
        if by_boundary == "denied":
            return Refusal("permissions boundary", denies=True)
        if by_resource == "denied":
            return Refusal("resource-based policy", denies=True)
        if "allowed" not in (by_role, by_resource):
            return Refusal("identity-based policy", denies=False)
        if by_boundary != "allowed":
            return Refusal("permissions boundary", denies=False)
        return None


_NOTHING = RolePolicies(frozenset())


@dataclass(frozen=True, slots=True)
class _Version:
    """A role's policies from `since` on, in epoch seconds."""

    since: float
    policies: RolePolicies


class Permissions:
    """Judges what roles may do. Made by `installed`."""

    def __init__(self, clock: Callable[[], float], delay: float) -> None:
        self._delay = delay
        self._clock = clock
        self._lock = Lock()
        self._versions: dict[str, list[_Version]] = {}

    def allows(
        self, role_arn: str, action: str, resource: str, context: Context | None = None
    ) -> bool:
        """Whether the role's policies, with its permissions boundary, allow an action.

        Args:
            role_arn: of the role; one that is unknown may do nothing.
            action: such as `sqs:SendMessage`.
            resource: the ARN of what it is done to.
            context: values of condition keys; `aws:PrincipalArn` is known.
        """
        return self.refusal(role_arn, Request(action, resource, context or {})) is None

    def refusal(
        self, role_arn: str, request: Request, of_resource: str | None = None
    ) -> Refusal | None:
        """Why a request of a role's is refused; None where it is allowed.

        Args:
            role_arn: of the role; one that is unknown may do nothing.
            request: what it wants to do; `aws:PrincipalArn` is known.
            of_resource: as of `RolePolicies.refusal`.
        """
        role = _role(role_arn)
        seen = [_NOTHING] if role is None else self._seen(role)
        request = replace(request, context={"aws:PrincipalArn": role_arn, **request.context})
        refusals = (policies.refusal(request, of_resource) for policies in seen)
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _seen(self, role: Role) -> list[RolePolicies]:
        """What some part of AWS may still take for the role's policies."""
        begin = self._clock() - self._delay
        with self._lock:
            versions = self._versions.get(role.id, [])
            earlier = [version for version in versions if version.since <= begin]
            later = [version for version in versions if version.since > begin]
        first = earlier[-1].policies if earlier else _NOTHING
        return [first, *(version.policies for version in later)]

    def counts_from_now(self) -> Callable[[], bool]:
        """Returns a check whether what was changed until now counts everywhere."""
        moment = self._clock() + self._delay
        return lambda: self._clock() >= moment

    def note(self) -> None:
        """Record what has changed since the last time."""
        with self._lock:
            for backend in _backends():
                for role in list(backend.roles.values()):
                    self._note(role, _policies(backend, role))

    def _note(self, role: Role, policies: RolePolicies) -> None:
        versions = self._versions.setdefault(role.id, [])
        if not versions or versions[-1].policies != policies:
            versions.append(_Version(self._clock(), policies))

    def noting(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """A method of moto's, after which changes are recorded."""

        @functools.wraps(change)
        def noted(*args: Any, **kwargs: Any) -> Any:
            result = change(*args, **kwargs)
            self.note()
            return result

        return noted


@contextmanager
def installed(
    clock: Callable[[], float] = time.time, delay: float = IAM_DELAY
) -> Iterator[Permissions]:
    """Follow the policies of moto's roles, of all accounts.

    Args:
        clock: epoch seconds.
        delay: seconds until a change counts.
    """
    permissions = Permissions(clock, delay)
    with ExitStack() as patches:
        for owner, names in _CHANGES:
            for name in names:
                noting = permissions.noting(getattr(owner, name))
                patches.enter_context(patch.object(owner, name, noting))
        attach = _attaching_awss_own(IAMBackend.attach_role_policy)
        patches.enter_context(patch.object(IAMBackend, "attach_role_policy", attach))
        yield permissions


def _attaching_awss_own(attach: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(attach)
    def attach_any(backend: IAMBackend, policy_arn: str, role_name: str) -> None:
        aws_policies.make_known(backend, policy_arn)
        attach(backend, policy_arn, role_name)

    return attach_any


def _backends() -> list[IAMBackend]:
    return [backend for account in list(iam_backends.values()) for backend in account.values()]


def _role(arn: str) -> Role | None:
    _, partition, _, _, account, path = arn.split(":", 5)
    backend = iam_backends[account][partition]
    name = path.rpartition("/")[2]
    return next((role for role in list(backend.roles.values()) if role.name == name), None)


def _policies(backend: IAMBackend, role: Role) -> RolePolicies:
    inline = [_canonical(document) for document in list(role.policies.values())]
    managed = [_document(policy) for policy in list(role.managed_policies.values())]
    boundary = role.permissions_boundary_arn
    return RolePolicies(
        of_role=frozenset([*inline, *managed]),
        boundary=_boundary(backend, boundary) if boundary else None,
    )


def _boundary(backend: IAMBackend, arn: str) -> str:
    """The policy that bounds a role; one that is missing allows nothing."""
    aws_policies.make_known(backend, arn)
    policy = {known.arn: known for known in backend.managed_policies.values()}.get(arn)
    return _document(policy) if policy else _NO_POLICY


def _document(policy: Policy) -> str:
    return _canonical(next(v.document for v in policy.versions if v.is_default_version))


def _canonical(document: Any) -> str:
    """moto's resources of CloudFormation hold some policies as objects, at first."""
    return json.dumps(json.loads(document) if isinstance(document, str) else document)
