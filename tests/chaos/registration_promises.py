"""Promises about images that were registered from bundles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from tests.chaos.image_promises import (
    always,
    cancel_requested,
    is_abandoned,
    is_hindered,
    own_tags,
)
from tests.chaos.images import RegisteredImage
from tests.chaos.stacks import Stack
from tests.chaos.world import World


def live(world: World, stack: Stack) -> Iterator[str]:
    """The stack's AMI exists, is of its bundle, and has the properties of the stack."""
    task = world.finished.get(stack.physical_id or "")
    if not stack.is_updatable or task is None:
        return
    image: Mapping[str, Any] | None = stack.properties.get("Image")
    if image is None:
        if stack.image_id:
            yield f"{stack.name} has the AMI {stack.image_id}, but no property Image"
        return
    registered = world.images.registered.get(stack.image_id)
    seen = world.images.portrait(stack.image_id)
    if registered is None or seen is None:
        yield f"{stack.image_id or 'No image'} is {stack.name}'s, but does not exist"
        return
    at = f"{task.storage.bucket}/{task.storage.prefix}.manifest.xml"
    if registered.location != at:
        yield f"{stack.image_id} of {stack.name} is of {registered.location}, not of {at}"
    tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
    tags |= own_tags(stack, registered.request_id)
    if seen.name != image.get("Name", seen.name):
        yield f"{stack.image_id} of {stack.name} has the name {seen.name}"
    if seen.description != image.get("Description", ""):
        yield f"{stack.image_id} of {stack.name} has the description {seen.description!r}"
    # If an earlier name is used again, its AMI keeps other tags: they may be somebody else's.
    if seen.tags != ({**seen.tags, **tags} if _has_earlier_name(stack, image) else tags):
        yield f"{stack.image_id} of {stack.name} has the tags {seen.tags}"
    if seen.state != "available":
        yield f"{stack.image_id} of {stack.name} is {seen.state}"


def _has_earlier_name(stack: Stack, image: Mapping[str, Any]) -> bool:
    """Whether the stack had this name before, and another one, or none, in between."""
    images = [each.event["ResourceProperties"].get("Image", {}) for each in stack.exchanges]
    names = [name for name, _ in groupby(each.get("Name") for each in images)]
    return names.count(image.get("Name")) > 1


def once(world: World) -> Iterator[str]:
    """A bundle has no two AMIs with the same name, description and tags."""
    registered = world.images.registered.values()
    counts = Counter(
        (
            each.location,
            each.request_id,
            each.first.name,
            each.first.description,
            frozenset(each.first.tags.items()),
        )
        for each in registered
    )
    for image, count in counts.items():
        if count > 1:
            yield f"{count} images were registered as {image}"


def left(world: World, stack: Stack) -> Iterator[str]:
    """A stack that is gone leaves no AMI without its bundle, and none that should be deleted."""
    if stack.gone_at is None or stack.left_running:
        return
    requests = {exchange.event["RequestId"] for exchange in stack.exchanges}
    for image in world.images.registered.values():
        if image.request_id in requests:
            yield from _left_of(world, stack, image)


def _left_of(world: World, stack: Stack, image: RegisteredImage) -> Iterator[str]:
    about = f"{image.image_id} of {stack.name}, which is gone,"
    is_there = world.images.portrait(image.image_id) is not None
    bucket, _, key = image.location.partition("/")
    if is_there and key not in world.keys(bucket):
        yield f"{about} is left without its bundle"
    bundle_ids = {each.bundle_id for each in world.started if f"{each.prefix}.manifest.xml" == key}
    if is_hindered(world) or all(is_abandoned(stack, bundle_id) for bundle_id in bundle_ids):
        return
    if is_there and always(stack, "Delete"):
        yield f"{about} should be deleted, but is not"
    is_cancelled = image.request_id in cancel_requested(world)
    if is_there and is_cancelled:
        yield f"{about} should be cancelled and cleaned up, but is not"
    if not is_there and always(stack, "Retain") and not is_cancelled:
        yield f"{about} should be retained, but is gone"
