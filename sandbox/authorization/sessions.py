"""Sessions of roles: those of functions, and those that AssumeRole has started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.sts.models import sts_backends

from sandbox.calls.api_calls import access_key_of

_TEMPORARY = "ASIA"
"""How the IDs of temporary access keys begin
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A session of a role, by whose credentials a call is made.

    Attributes:
        name: of the session; a function's session has the function's name.
        role_arn: of the role.
    """

    name: str
    role_arn: str

    @property
    def account(self) -> str:
        """The ID of the role's account."""
        return self.role_arn.split(":")[4]

    @property
    def session_arn(self) -> str:
        """The session's ARN; it lacks the role's path."""
        role = self.role_arn.rpartition("/")[2]
        return f"arn:aws:sts::{self.account}:assumed-role/{role}/{self.name}"

    @property
    def principals(self) -> frozenset[str]:
        """What policies of resources of the same account call it."""
        root = f"arn:aws:iam::{self.account}:root"
        return frozenset({"*", self.account, root, self.role_arn, self.session_arn})


def caller_of(environ: dict[str, Any]) -> Caller | None:
    """The session that AssumeRole has given the credentials of a request; None for others."""
    key = access_key_of(environ)
    if not key.startswith(_TEMPORARY):
        return None
    for partitions in list(sts_backends.values()):
        for backend in list(partitions.values()):
            role = backend.get_assumed_role_from_access_key(key)
            if role is not None:
                return Caller(role.session_name, role.role_arn)
    return None
