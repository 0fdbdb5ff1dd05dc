"""Promises about refusals: a refused read is repeated, and a valid request is not refused because
of earlier requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from instance_bundle.aws.calls import CALLS, Purpose
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World

READS = tuple(call for call, each in CALLS.items() if each.purpose is Purpose.READ)

_AT_THE_DEADLINE = "Not complete within"
_DENIED = rf"({'|'.join(READS)}) was refused\. (?:UnauthorizedOperation|AccessDenied\w*|403):"


def confirmed(world: World, stack: Stack) -> Iterator[str]:
    """A Reason that names a refused read was sent after a second refusal, or at the deadline."""
    for exchange in stack.exchanges:
        for reason in {json.loads(body).get("Reason", "") for body in exchange.bodies}:
            if reason.startswith(_AT_THE_DEADLINE):
                continue
            denied = {*re.findall(_DENIED, reason)}
            if once := [call for call in denied if world.log.count(f"deny {call}") < 2]:
                about = f"{exchange.event['RequestType']} of {stack.name}"
                yield f"{about} failed after one refusal of {once}"


def justified(world: World, stack: Stack) -> Iterator[str]:
    """Without injected faults, each valid request whose location is free starts its work, whatever
    the earlier requests were. EC2 may fail the work later."""
    if world.log:
        return
    for exchange in stack.exchanges:
        if exchange.result is None or exchange.succeeded or not _is_plain(exchange):
            continue
        if not _has_started(world, stack, exchange):
            about = f"{exchange.event['RequestType']} of {stack.name}"
            yield f"{about} was refused without a cause: {exchange.result['Reason']}"


def _is_plain(exchange: Exchange) -> bool:
    """Whether it is valid, is no rollback or Delete, and needs nothing that others may have."""
    properties = exchange.event["ResourceProperties"]
    names_image = "Name" in properties.get("Image", {})
    is_forward = exchange.event["RequestType"] != "Delete" and not exchange.is_rollback
    is_valid = not properties.keys() & {"Surprise", "CompletionHandle"}
    return is_forward and is_valid and exchange.prefix_was_free and not names_image


def _has_started(world: World, stack: Stack, exchange: Exchange) -> bool:
    request_id = exchange.event["RequestId"]
    given = exchange.event["ResourceProperties"]["Storage"]["S3"].get("Prefix")
    made = f"{stack.name}/{exchange.event['LogicalResourceId']}/{request_id}"
    started = any(
        start.prefix == (given or made) and start.at >= exchange.sent_at for start in world.started
    )
    return started or any(each.request_id == request_id for each in world.images.made.values())
