"""What must hold of refusals: none of a read is an answer that came only once, and no request is
refused for what is not its own."""

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


def believed(world: World, stack: Stack) -> Iterator[str]:
    """What a Reason says of a refused read was so each time, or was named at the deadline."""
    for exchange in stack.exchanges:
        for reason in {json.loads(body).get("Reason", "") for body in exchange.bodies}:
            if reason.startswith(_AT_THE_DEADLINE):
                continue
            denied = {*re.findall(_DENIED, reason)}
            if once := [call for call in denied if world.log.count(f"deny {call}") < 2]:
                yield f"{exchange.event['RequestType']} of {stack.name} failed by one of {once}"


def grounded(world: World, stack: Stack) -> Iterator[str]:
    """Where there is no fault, a request that is valid, and whose place is free, has its work
    started, whatever came before it. What fails later fails on EC2."""
    if world.log:
        return
    for exchange in stack.exchanges:
        if exchange.taken is None or exchange.succeeded or not _is_plain(exchange):
            continue
        if not _has_started(world, stack, exchange):
            about = f"{exchange.event['RequestType']} of {stack.name}"
            yield f"{about} was refused, and nothing spoke against it: {exchange.taken['Reason']}"


def _is_plain(exchange: Exchange) -> bool:
    """Whether it is valid, goes forward, and asks for nothing that others may have."""
    properties = exchange.event["ResourceProperties"]
    names_image = "Name" in properties.get("Image", {})
    is_forward = exchange.event["RequestType"] != "Delete" and not exchange.goes_back
    is_valid = not properties.keys() & {"Surprise", "CompletionHandle"}
    return is_forward and is_valid and exchange.finds_place and not names_image


def _has_started(world: World, stack: Stack, exchange: Exchange) -> bool:
    request_id = exchange.event["RequestId"]
    given = exchange.event["ResourceProperties"]["Storage"]["S3"].get("Prefix")
    made = f"{stack.name}/{exchange.event['LogicalResourceId']}/{request_id}"
    started = any(
        start.prefix == (given or made) and start.at >= exchange.sent for start in world.started
    )
    return started or any(each.request_id == request_id for each in world.images.made.values())
