"""What must hold of the IDs by which resources know their bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World


def renewed(stack: Stack) -> Iterator[str]:
    """A Create, and an Update to another identity that is no rollback, has a new bundle: none that
    a request before was answered with, nor an AMI of one."""
    for number, exchange in enumerate(stack.exchanges):
        if not exchange.succeeded or not _asks_for_another(exchange):
            continue
        before = stack.exchanges[:number]
        about = f"{exchange.event['RequestType']} of {stack.name}"
        if exchange.physical_id in _ids(before):
            yield f"{about} asked for a new bundle, and was answered an earlier one"
        elif (image_id := _image_id(exchange)) and image_id in {*map(_image_id, before)}:
            yield f"{about} asked for a new bundle, and was answered an earlier AMI, {image_id}"


def rolled_back(world: World, stack: Stack) -> Iterator[str]:
    """Where nothing else fails, a rollback does not fail either."""
    for exchange in stack.exchanges:
        if exchange.goes_back and exchange.taken and not exchange.succeeded and not world.log:
            reason = exchange.taken["Reason"]
            yield f"A rollback of {stack.name} failed, without any fault: {reason}"


def _asks_for_another(exchange: Exchange) -> bool:
    event = exchange.event
    match event["RequestType"]:
        case "Create":
            return True
        case "Update":
            old, new = event["OldResourceProperties"], event["ResourceProperties"]
            return not exchange.goes_back and identity(old) != identity(new)
    return False


def identity(properties: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What a bundle is known by; README.md says of each property whether it replaces."""
    s3 = properties["Storage"]["S3"]
    names = (properties["Method"], properties["InstanceId"], s3["Bucket"])
    if properties["Method"] == "StoreImage":
        return (*names, properties.get("Image", {}).get("Name"))
    return (*names, s3.get("Prefix"))


def _ids(exchanges: Sequence[Exchange]) -> set[str]:
    """All that was answered, heard or not, and all that was asked about."""
    bodies = (json.loads(body) for each in exchanges for body in each.bodies)
    answered = {body["PhysicalResourceId"] for body in bodies}
    return answered | {each.event.get("PhysicalResourceId", "") for each in exchanges}


def _image_id(exchange: Exchange) -> str:
    if exchange.taken is None or not exchange.succeeded:
        return ""
    image_id: str = exchange.taken.get("Data", {}).get("ImageId", "")
    return image_id
