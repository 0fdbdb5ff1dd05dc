"""Promises about the images that stacks have made, and about images of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.methods.store_task import BUCKET_TAG
from tests.chaos.images import MadeImage
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World


def live(world: World, stack: Stack) -> Iterator[str]:
    """The image of an existing stack is complete, and has the properties of the stack."""
    made = world.images.made.get(stack.physical_id or "")
    if not stack.is_updatable or made is None:
        return
    seen = world.images.portrait(made.image_id)
    if seen is None or made.key not in world.keys(_bucket(stack.properties)):
        yield f"{made.image_id} is {stack.name}'s, but it or its object is gone"
        return
    image = stack.properties.get("Image", {})
    tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
    tags |= own_tags(stack, made.request_id)
    if seen.description != image.get("Description", ""):
        yield f"{made.image_id} of {stack.name} has the description {seen.description!r}"
    if seen.tags != {**tags, BUCKET_TAG: _bucket(stack.properties)}:
        yield f"{made.image_id} of {stack.name} has the tags {seen.tags}"
    if seen.snapshots != dict.fromkeys(made.snapshots, tags):
        yield f"{made.image_id} of {stack.name} has the snapshots {seen.snapshots}"


def own_tags(stack: Stack, request_id: str) -> Mapping[str, str]:
    """The tags that show which request of a stack made an image."""
    asked = next(each.event for each in stack.exchanges if each.event["RequestId"] == request_id)
    return {
        REQUEST_TAG: request_id,
        "cfn-instance-bundle:stack-id": asked["StackId"],
        "cfn-instance-bundle:stack-name": stack.name,
        "cfn-instance-bundle:logical-id": asked["LogicalResourceId"],
    }


def foreign(world: World) -> Iterator[str]:
    """The images of others, and their copies of the function's, have not changed."""
    for image_id, before in {**world.images.foreign, **world.images.copies}.items():
        now = world.images.portrait(image_id)
        if now != before:
            yield f"{image_id} is another's, and has changed to {now}"


def starts(world: World, stack: Stack) -> Iterator[str]:
    """A request makes one image at most, and none after its stack is gone."""
    own = _made_by(world, stack)
    for request_id, count in Counter(made.request_id for made in own).items():
        if count > 1:
            yield f"{count} images for the request {request_id} of {stack.name}"
    for made in own:
        if stack.gone_at is not None and made.at > stack.gone_at and not stack.left_running:
            yield f"{made.image_id} was started after {stack.name} was gone"


def answers(world: World, stack: Stack) -> Iterator[str]:
    """If the answer to CreateStoreImageTask is lost, the request is not answered as refused."""
    stored = {made.request_id for made in _made_by(world, stack) if made.key in _written(world)}
    denied = any(line.startswith("deny ec2:") for line in world.log)
    for exchange in stack.exchanges:
        reason = exchange.result and exchange.result.get("Reason", "")
        refused = reason and "ec2:CreateStoreImageTask" in reason
        if refused and not denied and exchange.event["RequestId"] in stored:
            yield f"{stack.name} has a Reason that storing was refused, but it was not: {reason}"


def left(world: World, stack: Stack) -> Iterator[str]:
    """A stack that is gone leaves only complete images, which it retains."""
    if stack.gone_at is None or stack.left_running:
        return
    for made in _made_by(world, stack):
        if not is_abandoned(stack, made.image_id):
            yield from _left_of(world, stack, made)


def _left_of(world: World, stack: Stack, made: MadeImage) -> Iterator[str]:
    about = f"of {stack.name}, which is gone,"
    is_there = world.images.portrait(made.image_id) is not None
    is_stored = made.key in world.keys(_bucket(stack.properties))
    snapshots = world.images.snapshots_left(made)
    if is_there and not is_stored:
        yield f"{made.image_id} {about} is left without its object"
    if is_stored and not is_there:
        yield f"{made.key} {about} is left without its image"
    if snapshots and not is_there:
        yield f"{snapshots} of {made.image_id} {about} are left without their image"
    if is_there and snapshots != made.snapshots:
        yield f"{made.image_id} {about} is left without its snapshots"
    is_gone = not is_there and not is_stored and not snapshots
    if always(stack, "Delete") and not is_hindered(world) and not is_gone:
        yield f"{made.image_id} {about} should be deleted, but is not"
    is_cancelled = made.request_id in cancel_requested(world)
    if is_cancelled and not is_hindered(world) and not is_gone:
        yield f"{made.image_id} {about} should be cancelled and cleaned up, but is not"
    was_finished = made.key in _written(world)
    if always(stack, "Retain") and was_finished and not is_cancelled and not is_there:
        yield f"{made.image_id} {about} should be retained, but is gone"


def _made_by(world: World, stack: Stack) -> list[MadeImage]:
    requests = {exchange.event["RequestId"] for exchange in stack.exchanges}
    return [made for made in world.images.made.values() if made.request_id in requests]


def is_abandoned(stack: Stack, physical_id: str) -> bool:
    """Whether no Delete for this ID succeeded, although one was sent."""
    deletes = [each for each in stack.exchanges if _is_delete_of(each, physical_id)]
    return bool(deletes) and not any(each.succeeded for each in deletes)


def _is_delete_of(exchange: Exchange, physical_id: str) -> bool:
    asked = (exchange.event["RequestType"], exchange.event.get("PhysicalResourceId"))
    return asked == ("Delete", physical_id)


def always(stack: Stack, on_delete: str) -> bool:
    """Whether all requests of a stack have this OnDelete, and no policy overrides it."""
    if on_delete == "Delete" and stack.retained:
        return False
    return all(
        exchange.event["ResourceProperties"]["OnDelete"] == on_delete
        for exchange in stack.exchanges
    )


def is_hindered(world: World) -> bool:
    """Whether faults may have prevented the function from reading or removing objects or AMIs."""
    return any(" s3:" in line or line.startswith("deny ec2:") for line in world.log)


def cancel_requested(world: World) -> set[str]:
    """The requests whose work was to be cancelled; if it still finishes, it is removed."""
    return {
        item["item"]["S"].removeprefix("request|")
        for item in world.ledger_items()
        if "ended" in item
    }


def _written(world: World) -> set[str]:
    return {task.target.key for task in world.images.stored.values()}


def _bucket(properties: Mapping[str, Any]) -> str:
    bucket: str = properties["Storage"]["S3"]["Bucket"]
    return bucket
