"""One of the clients that put load on a sandbox: what it does with its share of the stacks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.clients import Clients

_INTERVAL = 1.0
"""Seconds between polls of a stack that is not at rest."""

_PATIENCE = 900.0
"""Seconds until a stack is taken to hang."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, and its result.

    Attributes:
        name: the stack's; also the beginning of its bundle's keys.
        instance_id: what it bundles.
        stack_id: empty before it is created.
        status: such as `CREATE_COMPLETE`.
        reason: what CloudFormation says of the status, if it says something.
        outputs: the stack's outputs by their names.
    """

    name: str
    instance_id: str
    stack_id: str = ""
    status: str = ""
    reason: str = ""
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """What one client has to do with.

    Attributes:
        endpoint: of the sandbox.
        bucket: for the bundles.
        stacks: the client's own.
    """

    endpoint: str
    bucket: str
    stacks: tuple[Stack, ...]


def create(share: Share) -> tuple[Stack, ...]:
    """Have all stacks created, and wait for none."""
    cloudformation = Clients(share.endpoint).cloudformation
    return tuple(
        Stack(
            stack.name,
            stack.instance_id,
            cloudformation.create_stack(
                StackName=stack.name, TemplateBody=json.dumps(_template(stack, share.bucket))
            )["StackId"],
        )
        for stack in share.stacks
    )


def see_through(share: Share) -> tuple[Stack, ...]:
    """Wait until all stacks are at rest."""
    poll = _polling(Clients(share.endpoint))
    return tuple(_at_rest(stack, poll) for stack in share.stacks)


def _polling(clients: Clients) -> Callable[[Stack], Stack]:
    def poll(stack: Stack) -> Stack:
        [found] = clients.cloudformation.describe_stacks(StackName=stack.stack_id)["Stacks"]
        return Stack(
            stack.name,
            stack.instance_id,
            stack.stack_id,
            found["StackStatus"],
            found.get("StackStatusReason", ""),
            tuple((each["OutputKey"], each["OutputValue"]) for each in found.get("Outputs", [])),
        )

    return poll


def _at_rest(stack: Stack, poll: Callable[[Stack], Stack]) -> Stack:
    end = time.monotonic() + _PATIENCE
    while (seen := poll(stack)).status.endswith("_IN_PROGRESS"):
        if time.monotonic() > end:
            break
        time.sleep(_INTERVAL)
    return seen


def _template(stack: Stack, bucket: str) -> dict[str, Any]:
    """A stack of one bundle."""
    bundle = {
        "Type": "Custom::InstanceBundle",
        "Properties": {
            "ServiceToken": {"Fn::ImportValue": "cfn-instance-bundle-ServiceToken"},
            "InstanceId": stack.instance_id,
            "Storage": {"S3": {"Bucket": bucket, "Prefix": stack.name}},
        },
    }
    return {
        "Resources": {"Bundle": bundle},
        "Outputs": {
            "BundleId": {"Value": {"Ref": "Bundle"}},
            "S3Uri": {"Value": {"Fn::GetAtt": ["Bundle", "S3Uri"]}},
            "ManifestLocation": {"Value": {"Fn::GetAtt": ["Bundle", "ManifestLocation"]}},
        },
    }
