"""Promises about the physical IDs of bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World


def new_bundles(stack: Stack) -> Iterator[str]:
    """A Create has a new bundle, and so has an Update to another identity, unless it is a rollback.
    Neither its ID nor its AMI was in an earlier answer."""
    for number, exchange in enumerate(stack.exchanges):
        if not exchange.succeeded or not _asks_for_another(exchange):
            continue
        before = stack.exchanges[:number]
        about = f"{exchange.event['RequestType']} of {stack.name}"
        if exchange.physical_id in _ids(before):
            yield f"{about} is for a new bundle, and was answered with an earlier one"
        elif (image_id := _image_id(exchange)) and image_id in {*map(_image_id, before)}:
            yield f"{about} is for a new bundle, and was answered with an earlier AMI, {image_id}"


def rolled_back(world: World, stack: Stack) -> Iterator[str]:
    """Without injected faults, no rollback fails."""
    for exchange in stack.exchanges:
        if exchange.is_rollback and exchange.result and not exchange.succeeded and not world.log:
            reason = exchange.result["Reason"]
            yield f"A rollback of {stack.name} failed, without any fault: {reason}"


def _asks_for_another(exchange: Exchange) -> bool:
    event = exchange.event
    match event["RequestType"]:
        case "Create":
            return True
        case "Update":
            old, new = event["OldResourceProperties"], event["ResourceProperties"]
            return not exchange.is_rollback and identity(old) != identity(new)
    return False


def identity(properties: Mapping[str, Any]) -> tuple[str | None, ...]:
    """The bundle's identity: the properties whose change replaces it (see docs/reference.md)."""
    s3 = properties["Storage"]["S3"]
    names = (properties["Method"], properties["InstanceId"], s3["Bucket"])
    if properties["Method"] == "StoreImage":
        return (*names, properties.get("Image", {}).get("Name"))
    return (*names, s3.get("Prefix"))


def _ids(exchanges: Sequence[Exchange]) -> set[str]:
    """The IDs in all answers, received or not, and in all requests."""
    bodies = (json.loads(body) for each in exchanges for body in each.bodies)
    answered = {body["PhysicalResourceId"] for body in bodies}
    return answered | {each.event.get("PhysicalResourceId", "") for each in exchanges}


def _image_id(exchange: Exchange) -> str:
    if exchange.result is None or not exchange.succeeded:
        return ""
    image_id: str = exchange.result.get("Data", {}).get("ImageId", "")
    return image_id
