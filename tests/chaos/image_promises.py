"""What must hold of the images that stacks have made, and of those of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.methods.store_image import BUCKET_TAG
from tests.chaos.images import MadeImage
from tests.chaos.stacks import Exchange, Stack
from tests.chaos.world import World


def live(world: World, stack: Stack) -> Iterator[str]:
    """The image of a stack that is not deleted yet is all there, and as the stack describes it."""
    made = world.images.made.get(stack.physical_id or "")
    if not stack.is_updatable or made is None:
        return
    seen = world.images.portrait(made.image_id)
    if seen is None or made.key not in world.keys(_bucket(stack.properties)):
        yield f"{made.image_id} is {stack.name}'s, and it or its object is gone"
        return
    image = stack.properties.get("Image", {})
    tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
    tags[REQUEST_TAG] = made.request_id
    if seen.description != image.get("Description", ""):
        yield f"{made.image_id} of {stack.name} is described as {seen.description!r}"
    if seen.tags != {**tags, BUCKET_TAG: _bucket(stack.properties)}:
        yield f"{made.image_id} of {stack.name} has the tags {seen.tags}"
    if seen.snapshots != dict.fromkeys(made.snapshots, tags):
        yield f"{made.image_id} of {stack.name} has the snapshots {seen.snapshots}"


def foreign(world: World) -> Iterator[str]:
    """The images of others, and their copies of ours, are as they were."""
    for image_id, before in {**world.images.foreign, **world.images.copies}.items():
        now = world.images.portrait(image_id)
        if now != before:
            yield f"{image_id} was another's, and is {now}"


def starts(world: World, stack: Stack) -> Iterator[str]:
    """One image is made for a request at most, and none for a stack that is gone."""
    own = _made_by(world, stack)
    for request_id, count in Counter(made.request_id for made in own).items():
        if count > 1:
            yield f"{count} images for the request {request_id} of {stack.name}"
    for made in own:
        if stack.gone_at is not None and made.at > stack.gone_at and not stack.left_at_work:
            yield f"{made.image_id} was started after {stack.name} was gone"


def answers(world: World, stack: Stack) -> Iterator[str]:
    """A store task whose start was not heard of is no refusal."""
    stored = {made.request_id for made in _made_by(world, stack) if made.key in _written(world)}
    denied = any(line.startswith("deny ec2:") for line in world.log)
    for exchange in stack.exchanges:
        reason = exchange.taken and exchange.taken.get("Reason", "")
        refused = reason and "ec2:CreateStoreImageTask" in reason
        if refused and not denied and exchange.event["RequestId"] in stored:
            yield f"{stack.name} was told that its image can't be stored, and it was: {reason}"


def left(world: World, stack: Stack) -> Iterator[str]:
    """A stack that is gone leaves whole images only: those that it retains."""
    if stack.gone_at is None or stack.left_at_work:
        return
    for made in _made_by(world, stack):
        if not is_given_up(stack, made.image_id):
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
        yield f"{made.image_id} {about} was to be deleted, and is there"
    is_ended = made.request_id in ended(world)
    if is_ended and not is_hindered(world) and not is_gone:
        yield f"{made.image_id} {about} was not to be finished, and is there"
    was_finished = made.key in _written(world)
    if always(stack, "Retain") and was_finished and not is_ended and not is_there:
        yield f"{made.image_id} {about} was to be retained, and is gone"


def _made_by(world: World, stack: Stack) -> list[MadeImage]:
    requests = {exchange.event["RequestId"] for exchange in stack.exchanges}
    return [made for made in world.images.made.values() if made.request_id in requests]


def is_given_up(stack: Stack, physical_id: str) -> bool:
    """Whether CloudFormation went on although its Delete of what has this ID had failed."""
    deletes = [each for each in stack.exchanges if _is_delete_of(each, physical_id)]
    return bool(deletes) and not any(each.succeeded for each in deletes)


def _is_delete_of(exchange: Exchange, physical_id: str) -> bool:
    asked = (exchange.event["RequestType"], exchange.event.get("PhysicalResourceId"))
    return asked == ("Delete", physical_id)


def always(stack: Stack, on_delete: str) -> bool:
    """Whether each request of a stack says this of its deletion, and no policy says otherwise."""
    if on_delete == "Delete" and stack.kept:
        return False
    return all(
        exchange.event["ResourceProperties"]["OnDelete"] == on_delete
        for exchange in stack.exchanges
    )


def is_hindered(world: World) -> bool:
    """Whether a fault may have kept the etag of an object, or its removal, from us."""
    return any(" s3:" in line or line.startswith("deny ec2:") for line in world.log)


def ended(world: World) -> set[str]:
    """The requests whose work was to end: what it has finished all the same is removed."""
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
