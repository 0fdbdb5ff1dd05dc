"""IAM's SimulatePrincipalPolicy for roles, which moto lacks.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html

The answer is about the role's policies and its permissions boundary, within no organization. It
says nothing of statements that match, and has no ARN formats: EvalResourceName is always ``*``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException, ValidationError
from moto.iam.responses import IamResponse

from sandbox.upstream.permissions import Permissions, Refusal
from sandbox.upstream.policies import Request

_WORST = ("explicitDeny", "implicitDeny", "allowed")


@contextmanager
def served(permissions: Permissions) -> Iterator[None]:
    """Have moto's IAM answer SimulatePrincipalPolicy.

    Args:
        permissions: of the roles, as they count now.
    """
    with patch.object(
        IamResponse, "simulate_principal_policy", _simulating(permissions), create=True
    ):
        yield


def _simulating(permissions: Permissions) -> Callable[[IamResponse], ActionResult]:
    def simulate_principal_policy(response: IamResponse) -> ActionResult:
        role = str(response._get_param("PolicySourceArn"))
        if ":role/" not in role:
            raise ValidationError(f"The sandbox simulates roles only, not {role}.")
        if role not in {known.arn for known in response.backend.roles.values()}:
            raise NotFoundException(f"The role with name {role.rpartition('/')[2]} cannot be found")
        context = {
            entry["ContextKeyName"]: entry["ContextKeyValues"]
            for entry in response._get_param("ContextEntries", [])
        }
        resources = response._get_param("ResourceArns", ["*"])
        results = []
        for action in response._get_param("ActionNames"):
            refusals = {
                arn: permissions.refusal(role, Request(action, arn, context)) for arn in resources
            }
            results.append(_result(action, refusals))
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    return simulate_principal_policy


def _result(action: str, refusals: dict[str, Refusal | None]) -> dict[str, Any]:
    """One for an action, with the most restrictive decision of all resources
    (https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html)."""
    decisions = {arn: _decision(refusal) for arn, refusal in refusals.items()}
    return {
        "EvalActionName": action,
        "EvalResourceName": "*",
        "EvalDecision": min(decisions.values(), key=_WORST.index),
        "PermissionsBoundaryDecisionDetail": _within(*refusals.values()),
        "ResourceSpecificResults": [
            {
                "EvalResourceName": arn,
                "EvalResourceDecision": decision,
                "PermissionsBoundaryDecisionDetail": _within(refusals[arn]),
            }
            for arn, decision in decisions.items()
            if arn != "*"
        ],
    }


def _decision(refusal: Refusal | None) -> str:
    if refusal is None:
        return "allowed"
    return "explicitDeny" if refusal.denies else "implicitDeny"


def _within(*refusals: Refusal | None) -> dict[str, bool]:
    bounded = any(refusal and refusal.policy == "permissions boundary" for refusal in refusals)
    return {"AllowedByPermissionsBoundary": not bounded}
