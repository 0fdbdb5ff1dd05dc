"""Events of EC2's and S3's that are forged, or about the images of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.chaos.aws_events import OTHERS_BUCKET, image_event, object_event, of_others
from tests.chaos.world import World
from tests.roles import ACCOUNT

UNREADABLE = (
    *("", "null", "[]", "7", "{", "[" * 10_000, '{"source": "aws.ec2"}'),
    '{"source": "aws.ec2", "detail": {"ImageId": ["ami-0123456789abcdef0"]}}',
    '{"source": "aws.s3", "detail": {"bucket": {"name": "a/b"}, "object": {"key": 7}}}',
    '{"source": "aws.ec2", "detail": "' + "a" * 200_000 + '"}',
)
"""Bodies of messages that are no events; the last one is nearly as long as SQS allows."""

_OTHER_ACCOUNT = "210987654321"


def forge(world: World, about: str, number: int) -> None:
    """Have an event arrive although nothing happened.

    Args:
        world: where it arrives.
        about: what it is about, of `ABOUT`.
        number: of the AMI, location, body or other image that it is about.
    """
    with world.aws_events.all_delivered():
        ABOUT[about](world, number)


def _about_image(state: str) -> Callable[[World, int], None]:
    def forged(world: World, number: int) -> None:
        if images := world.own_images():
            image_event(images[number % len(images)], state)

    return forged


def _stored_in(bucket: str | None) -> Callable[[World, int], None]:
    """About the object that an AMI is stored as, in another bucket if one is given."""

    def forged(world: World, number: int) -> None:
        locations, images = world.locations(), world.own_images()
        if locations and images:
            own = locations[number % len(locations)][0]
            object_event(bucket or own, f"{images[number % len(images)]}.bin")

    return forged


def _bundle_in(bucket: str | None) -> Callable[[World, int], None]:
    """About the manifest of a location that a request claims, in another bucket if one is given."""

    def forged(world: World, number: int) -> None:
        if locations := world.locations():
            own, prefix = locations[number % len(locations)]
            object_event(bucket or own, f"{prefix}.manifest.xml")

    return forged


def _from_another_account(world: World, number: int) -> None:
    images = world.own_images()
    if images:
        image_event(images[number % len(images)])
        message = world.aws_events.queue.messages[-1]
        message.body = message.body.replace(ACCOUNT, _OTHER_ACCOUNT)


def _unreadable(world: World, number: int) -> None:
    world.aws_events.queue.send(UNREADABLE[number % len(UNREADABLE)])


ABOUT: Mapping[str, Callable[[World, int], None]] = {
    "image": _about_image("available"),
    "failed image": _about_image("failed"),
    "removed image": _about_image("deregistered"),
    "stored image": _stored_in(None),
    "bundle": _bundle_in(None),
    "image elsewhere": _stored_in(OTHERS_BUCKET),
    "bundle elsewhere": _bundle_in(OTHERS_BUCKET),
    "another account": _from_another_account,
    "others": lambda _, number: of_others(number),
    "unreadable": _unreadable,
}
"""Raises each kind of event."""
