"""The capabilities that a template needs, and those that a request acknowledges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.cloudformation.exceptions import CloudFormationError

_NAMED_IAM_TYPES = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}


_IAM_TYPES = {
    *_NAMED_IAM_TYPES,
    "AWS::IAM::AccessKey",
    "AWS::IAM::Policy",
    "AWS::IAM::UserToGroupAddition",
}


class InsufficientCapabilities(CloudFormationError):
    """The template needs capabilities that the request does not acknowledge."""

    code = "InsufficientCapabilitiesException"


def capabilities(template: Mapping[str, Any]) -> list[str]:
    """The capabilities that the template's IAM resources need: none, or one of the two IAM ones."""
    iam = [
        resource
        for resource in (template.get("Resources") or {}).values()
        if isinstance(resource, dict) and resource.get("Type") in _IAM_TYPES
    ]
    if any(
        _NAMED_IAM_TYPES.get(resource["Type"]) in (resource.get("Properties") or {})
        for resource in iam
    ):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"] if iam else []


def check_acknowledged(needed: list[str], acknowledged: list[str]) -> None:
    if "CAPABILITY_NAMED_IAM" in acknowledged:
        acknowledged = [*acknowledged, "CAPABILITY_IAM"]
    missing = [capability for capability in needed if capability not in acknowledged]
    if missing:
        raise InsufficientCapabilities(f"Requires capabilities : [{', '.join(missing)}]")
