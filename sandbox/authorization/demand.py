"""What the policies of a role have to allow for a call."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.upstream.policies import Request

Context = tuple[tuple[str, str | tuple[str, ...]], ...]
"""Condition keys and their values; those that every request has are not among them."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is done to.

    Attributes:
        arn: `*` where the action has no resource types.
        version_id: of an object, where the request names one; no policy depends on it here.
    """

    arn: str = "*"
    context: Context = ()
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """An action on one resource."""

    action: str
    target: Target

    def request(self) -> Request:
        """The request to IAM; a call to the sandbox counts as one over TLS."""
        context = {"aws:SecureTransport": "true", **dict(self.target.context)}
        return Request(self.action, self.target.arn, context)
