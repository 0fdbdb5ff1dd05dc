"""The images of a world: those that the function made, and those that others made."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami

from instance_bundle.aws.images import REQUEST_TAG
from sandbox.ec2.image import Device, Image, snapshot_ids
from sandbox.ec2.image_rules import NewImage
from sandbox.ec2.images import Creation, Images
from sandbox.ec2.steering import tags_of
from sandbox.ec2.store_task import StoreTask
from sandbox.ec2.store_tasks import StoreTasks


@dataclass(frozen=True, slots=True)
class MadeImage:
    """An image that a call started. at: epoch seconds."""

    image_id: str
    request_id: str
    snapshots: frozenset[str]
    at: float

    @property
    def key(self) -> str:
        """The key of the object that it is stored as."""
        return f"{self.image_id}.bin"


@dataclass(frozen=True, slots=True)
class Portrait:
    """The attributes of an image at one moment.

    Attributes:
        snapshots: the tags of each of its snapshots that exists.
    """

    name: str
    state: str
    description: str
    tags: Mapping[str, str]
    snapshots: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class RegisteredImage:
    """An image that a call registered from a bundle.

    Attributes:
        location: `bucket/key` of the manifest.
        first: its attributes when it was registered.
    """

    image_id: str
    request_id: str
    location: str
    first: Portrait


@dataclass(slots=True)
class WorldsImages:
    """The images of a world, until the next `clear`.

    Attributes:
        foreign: the images of others, which must not change.
        copies: images that others copied from the function's, which must not change either.
        made: all images that the function created, by ID, also those that no longer exist.
        stored: the store task of each image whose object was written.
        registered: all images that the function registered, also those that no longer exist.
        registers_for: seconds until a registered image is available, or has failed.
        registers: whether a registered image becomes available; otherwise it fails.
    """

    ec2: EC2Backend
    images: Images
    tasks: StoreTasks
    foreign: Mapping[str, Portrait]
    made: dict[str, MadeImage] = field(default_factory=dict)
    stored: dict[str, StoreTask] = field(default_factory=dict)
    registered: dict[str, RegisteredImage] = field(default_factory=dict)
    copies: dict[str, Portrait] = field(default_factory=dict)
    registers_for: float = 0
    registers: bool = True

    def clear(self) -> None:
        """Remove all images, except those of others."""
        self.tasks._tasks.clear()
        for image in self.own():
            self.images.deregister(image.id, delete_snapshots=True, dry_run=False)
        for made in self.made.values():
            for snapshot_id in made.snapshots & self.ec2.snapshots.keys():
                self.ec2.delete_snapshot(snapshot_id)
        self.made.clear()
        self.stored.clear()
        self.registered.clear()
        self.copies.clear()

    def note_starts(self) -> None:
        """Record the image that the last CreateImage made, if it made one."""
        for image in self.own():
            if image.root_device_type == "ebs" and image.id not in self.made.keys() | self.copies:
                self.made[image.id] = MadeImage(
                    image_id=image.id,
                    request_id=tags_of(image).get(REQUEST_TAG, ""),
                    snapshots=frozenset(snapshot_ids(image)),
                    at=time.time(),
                )

    def note_registrations(self) -> None:
        """Record the image that the last RegisterImage made, if any; it is pending for a while."""
        for image in self.own():
            if image.root_device_type == "ebs" or image.id in self.registered.keys() | self.copies:
                continue
            self.registered[image.id] = RegisteredImage(
                image_id=image.id,
                request_id=tags_of(image).get(REQUEST_TAG, ""),
                location=image.image_location or "",
                first=portrait(self.ec2, image),
            )
            if self.registers_for:
                image.state = "pending"
                # It has no instance, so none is started again.
                self.images._creations[image.id] = Creation(
                    image=image,
                    instance=None,
                    ends=time.time() + self.registers_for,
                    fails=not self.registers,
                    error="Client.InternalError: It can't be read",
                    reboots=False,
                )

    def copy(self, number: int, *, by_hand: bool) -> None:
        """Another person copies an image of the function's, or registers its bundle by hand."""
        own = [each for each in self.own() if each.id not in self.copies]
        available = [image for image in own if image.state == "available"]
        if not available:
            return
        image = available[number % len(available)]
        by_hand = by_hand and image.root_device_type != "ebs"
        new = NewImage(
            name=f"copy-{len(self.copies)}",
            description=image.description,
            image_tags={} if by_hand else tags_of(image),
        )
        copy = self.images._image(
            new,
            image_location=image.image_location if by_hand else f"{image.owner_id}/{new.name}",
            root_device_type=image.root_device_type,
        )
        copy.devices = tuple(self._copied(device, copy) for device in image.devices)
        self.copies[copy.id] = portrait(self.ec2, copy)

    def _copied(self, device: Device, copy: Image) -> Device:
        """A device of a copy, with its own snapshot that has the same tags."""
        volume_id, owner = device.snapshot.volume.id, copy.owner_id
        snapshot = self.ec2.create_snapshot(volume_id, "A copy", owner, from_ami=copy.id)
        snapshot.add_tags(tags_of(device.snapshot))
        return Device(device.name, snapshot, device.delete_on_termination)

    def note_ends(self) -> None:
        """Record the store tasks that have written their objects."""
        for task in self.tasks._tasks:
            if task.view.state == "Completed":
                self.stored[task.image_id] = task

    def ends(self) -> list[float]:
        """When images and store tasks end, or ended; infinite if they hang."""
        return [creation.ends for creation in self.images._creations.values()] + [
            task.started + task.steering.seconds for task in self.tasks._tasks
        ]

    def at_work(self, request_ids: Collection[str]) -> list[str]:
        """The pending images and running store tasks of these requests, as text."""
        self.images.advance()
        own = {made.image_id for made in self.made.values() if made.request_id in request_ids}
        return [
            *(f"{image_id}, pending," for image_id in own & self.images._creations.keys()),
            *(f"The store task of {image_id}" for image_id in own & {*self.being_stored()}),
        ]

    def portrait(self, image_id: str) -> Portrait | None:
        """The attributes of an image now; None if it no longer exists."""
        image = self.ec2.amis.get(image_id)
        return None if image is None else portrait(self.ec2, image)

    def snapshots_left(self, made: MadeImage) -> set[str]:
        """The snapshots of an image that still exist, even if the image does not."""
        return set(made.snapshots & self.ec2.snapshots.keys())

    def all_snapshots_left(self) -> set[str]:
        """The snapshots of all of the function's images that still exist."""
        return set[str]().union(*map(self.snapshots_left, self.made.values()))

    def being_stored(self) -> list[str]:
        """The images whose store tasks have not ended, including images that no longer exist."""
        self.tasks.advance()
        return [task.image_id for task in self.tasks._tasks if task.view.state == "InProgress"]

    def own(self) -> list[Image]:
        """The existing images of the function, and the copies that others made of them."""
        return [
            image
            for image in self.ec2.amis.values()
            if isinstance(image, Image) and image.id not in self.foreign
        ]


def portrait(ec2: EC2Backend, image: Ami) -> Portrait:
    """The attributes of an image now."""
    existing = [id_ for id_ in snapshot_ids(image) if id_ in ec2.snapshots]
    return Portrait(
        name=image.name or "",
        state=image.state,
        description=image.description or "",
        tags=tags_of(image),
        snapshots={id_: tags_of(ec2.snapshots[id_]) for id_ in existing},
    )
