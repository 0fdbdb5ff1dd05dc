"""EC2's images: made of an instance over time, registered from a bundle, and deregistered.

Images, snapshots and tags are moto's. A dry run checks what a request says and names, and not the
state of things. Tags on an instance steer the next image of it:

* `sandbox:image-seconds`: how long the image is `pending`, 2 if absent;
* `sandbox:image-outcome`: `complete` (if absent), `failed`, or `hang`, which ends only by
  deregistering the image;
* `sandbox:image-error`: `Code: message`, the StateReason of an image that fails;
* `sandbox:delete-snapshot`: what comes of deleting its snapshots with it, `success` if absent.

Tags that were stored with an image steer how it is restored: `sandbox:restore-seconds`, `-outcome`
and `-error`.
"""

import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.ec2.exceptions import DryRunClientError, EC2ClientError, MissingParameterError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance
from moto.s3.models import S3Backend, s3_backends
from moto.utilities.utils import get_partition

from sandbox.ec2 import history, kept, manifests, stored_image
from sandbox.ec2.image import Device, Image, devices_of, snapshot_ids
from sandbox.ec2.image_rules import NewImage, check_name, check_owner, image_of
from sandbox.ec2.instances import product_codes
from sandbox.ec2.limits import check_snapshots
from sandbox.ec2.protection import check_deletion, check_deregistration
from sandbox.ec2.steering import Steering, tags_of

_ERROR = "Client.InternalError: Client error on the creation of the image"


@dataclass(frozen=True, slots=True)
class Creation:
    """An image that is being made.

    Attributes:
        instance: None of an image that is restored.
        ends: epoch seconds; infinite if it hangs.
        fails: whether the image fails then.
        error: `Code: message` of that.
        reboots: whether the instance was stopped for the image, and is to be started again.
        no_reboot: whether the request says that it is not to be.
    """

    image: Image
    instance: Instance | None
    ends: float
    fails: bool
    error: str
    reboots: bool = False
    no_reboot: bool = False


class Images:
    """The images of one account and region, as far as they are made here.

    Args:
        ec2: moto's backend, which has images, snapshots and instances.
        s3: moto's backend, which has the bundles.
        clock: epoch seconds.
    """

    def __init__(self, ec2: EC2Backend, s3: S3Backend, clock: Callable[[], float]) -> None:
        self._ec2 = ec2
        self._s3 = s3
        self._clock = clock
        self._history = history.of_backend(ec2)
        self._creations: dict[str, Creation] = {}
        self._lock = threading.RLock()

    def create(
        self, instance_id: str | None, new: NewImage, *, no_reboot: bool, dry_run: bool
    ) -> Image:
        """Start making an image of an instance.

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            self.advance()
            instance = self._instance(instance_id)
            check_name(self._ec2, new.name)
            if dry_run:
                raise DryRunClientError
            _check_state(instance)
            steering = Steering.of(tags_of(instance), "image", _ERROR)
            self._check_limits(instance, no_reboot=no_reboot)
            image = self._image(
                new,
                instance=instance,
                state="pending",
                image_location=f"{self._ec2.account_id}/{new.name}",
                root_device_type="ebs",
                root_device_name=instance.root_device_name,
                product_codes=product_codes(tags_of(instance)),
            )
            image.devices = self._devices(instance, image, new)
            reboots = not no_reboot and instance.is_running()
            if reboots:
                instance.stop()
            self._creations[image.id] = Creation(
                image=image,
                instance=instance,
                ends=self._clock() + steering.seconds,
                fails=steering.fails,
                error=steering.error,
                reboots=reboots,
                no_reboot=no_reboot,
            )
            return image

    def register(
        self,
        new: NewImage,
        location: str,
        *,
        architecture: str | None,
        virtualization_type: str | None,
        dry_run: bool,
    ) -> Image:
        """Make an image with an instance-store root of the bundle of a manifest.

        Args:
            location: `bucket/key` of the manifest.
            architecture: the manifest's, if None.
            virtualization_type: `paravirtual`, if None (EC2 API Reference, RegisterImage).

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            check_name(self._ec2, new.name)
            manifest = manifests.read(self._s3, location)
            if dry_run:
                raise DryRunClientError
            return self._image(
                new,
                image_location=location,
                root_device_type="instance-store",
                architecture=architecture or manifest.architecture,
                virtualization_type=virtualization_type or "paravirtual",
            )

    def register_snapshots(
        self, new: NewImage, mappings: list[dict[str, Any]], *, dry_run: bool, **attributes: Any
    ) -> Image:
        """Make an image with an EBS root of snapshots that are there.

        Args:
            mappings: the request's BlockDeviceMappings.
            attributes: of the image, in addition to those that all have.

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            self.advance()
            check_name(self._ec2, new.name)
            devices = devices_of(self._ec2, mappings)
            if dry_run:
                raise DryRunClientError
            location = f"{self._ec2.account_id}/{new.name}"
            image = self._image(new, image_location=location, root_device_type="ebs", **attributes)
            image.devices = devices
            return image

    def restore(
        self, bucket: str | None, key: str | None, new: NewImage, *, dry_run: bool
    ) -> Image:
        """Start restoring an image from its object, with new snapshots.

        Args:
            new: what the request says; an empty name is that of the stored image. Tags of the
                request prevail over those that were stored.

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            self.advance()
            if not bucket or not key:
                raise MissingParameterError("objectKey" if bucket else "bucket")
            stored = stored_image.read(self._s3, self._ec2.region_name, bucket, key)
            named = new.name or stored.name
            check_name(self._ec2, named)
            if dry_run:
                raise DryRunClientError
            steering = Steering.of(stored.tags, "restore", _ERROR)
            image = self._image(
                NewImage(named, stored.description, {**stored.tags, **new.image_tags}),
                state="pending",
                image_location=f"{self._ec2.account_id}/{named}",
                root_device_type="ebs",
                root_device_name=stored.root_device_name,
                architecture=stored.architecture,
                virtualization_type=stored.virtualization_type,
            )
            tags = new.snapshot_tags
            image.devices = stored.snapshots(self._ec2, image.id, (bucket, key), tags)
            ends = self._clock() + steering.seconds
            creation = Creation(image, None, ends, steering.fails, steering.error)
            self._creations[image.id] = creation
            return image

    def deregister(
        self,
        image_id: str | None,
        *,
        delete_snapshots: bool,
        dry_run: bool,
        undeletable: Collection[str] = (),
    ) -> list[dict[str, Any]]:
        """Take an image away; one that is being made is not made any further.

        Args:
            image_id: its ID.
            delete_snapshots: whether its snapshots are deleted.
            dry_run: whether only the request is checked.
            undeletable: the snapshots that the caller may not delete.

        Returns:
            The result for each of its snapshots, as EC2 names it; empty if they are kept.

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            self.advance()
            image = image_of(self._ec2, image_id)
            check_owner(image)
            if dry_run:
                raise DryRunClientError
            check_deregistration(image, self._clock())
            ids = snapshot_ids(image)
            self._history.note([image.id, *ids], self._clock())
            self._ec2.deregister_image(image.id)
            if image.id in self._creations:
                self._end(self._creations[image.id], "completed")
            if not delete_snapshots:
                return []
            instance = self._ec2.get_instance_by_id(image.instance_id or "")
            steers = {id_: tags_of(instance) for id_ in ids} | {
                id_: {"sandbox:delete-snapshot": "missing-permissions"} for id_ in undeletable
            }
            return [
                {"SnapshotId": id_, "ReturnCode": self._delete_snapshot(id_, steers[id_])}
                for id_ in ids
            ]

    def _delete_snapshot(self, snapshot_id: str, steers: Mapping[str, str]) -> str:
        """Delete a snapshot of an image that is deregistered; EC2's code for the result
        (EC2 API Reference, DeleteSnapshotReturnCode)."""
        if any(snapshot_id in snapshot_ids(image) for image in list(self._ec2.amis.values())):
            return "skipped"
        steered = steers.get("sandbox:delete-snapshot", "success")
        if steered != "success":
            return steered
        try:
            check_deletion(self._ec2, snapshot_id, self._clock())
            self._ec2.delete_snapshot(snapshot_id)
        except EC2ClientError:
            return "client-error"
        return "success"

    def advance(self) -> None:
        """Bring images, snapshots and instances to where they are now."""
        with self._lock:
            now = self._clock()
            for creation in list(self._creations.values()):
                if creation.ends <= now:
                    self._finish(creation)

    def _finish(self, creation: Creation) -> None:
        """Do what the end brings with it, and only then let the image read so."""
        image = creation.image
        self._history.note([image.id, *snapshot_ids(image)], creation.ends)
        if not creation.fails:
            self._end(creation, "completed")
            image.state = "available"
            return
        self._end(creation, "error")
        code, _, message = creation.error.partition(": ")
        image.state_reason = {"Code": code, "Message": message}
        image.state = "failed"

    def _end(self, creation: Creation, snapshots: str) -> None:
        """Have snapshots end in a state, and the instance run again."""
        for device in creation.image.devices:
            device.snapshot.status = snapshots
        instance = creation.instance
        if instance is not None and creation.reboots and instance.state == "stopped":
            instance.start()
        del self._creations[creation.image.id]

    def _instance(self, instance_id: str | None) -> Instance:
        if not instance_id:
            raise MissingParameterError("instanceId")
        if not re.fullmatch(r"i-[0-9a-f]{8}([0-9a-f]{9})?", instance_id):
            raise EC2ClientError(
                "InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}" (expecting "i-...")'
            )
        instance: Instance = self._ec2.get_instance(instance_id)
        if instance.root_device_type == "instance-store":
            raise _not_for_images(
                instance, "Instance does not have a volume attached at root (null)."
            )
        return instance

    def _check_limits(self, instance: Instance, *, no_reboot: bool) -> None:
        creations = [each for each in self._creations.values() if each.instance is instance]
        check_snapshots(
            self._ec2,
            [self._ec2.volumes[block.volume_id] for _, block in instance.get_block_device_mapping],
            sum(each.no_reboot for each in creations) if no_reboot else None,
            tags_of(instance),
        )

    def _image(self, new: NewImage, **attributes: Any) -> Image:
        image = Image(
            self._ec2,
            name=new.name,
            description=new.description,
            creation_date=datetime.fromtimestamp(self._clock(), UTC),
            tags=new.image_tags,
            **attributes,
        )
        self._ec2.amis[image.id] = image
        return image

    def _devices(self, instance: Instance, image: Image, new: NewImage) -> tuple[Device, ...]:
        """A snapshot of each volume of an instance."""
        description = f"Created by CreateImage({instance.id}) for {image.id}"
        devices = []
        for name, block in instance.get_block_device_mapping:
            snapshot = self._ec2.create_snapshot(
                block.volume_id, description, self._ec2.account_id, from_ami=image.id
            )
            snapshot.status = "pending"
            snapshot.start_time = image.creation_date
            snapshot.add_tags(dict(new.snapshot_tags))
            devices.append(Device(name, snapshot, block.delete_on_termination))
        return tuple(devices)


def of(account_id: str, region: str, clock: Callable[[], float]) -> Images:
    """The images of an account and region."""
    ec2 = ec2_backends[account_id][region]
    s3 = s3_backends[account_id][get_partition(region)]
    return kept.of(ec2, Images, lambda: Images(ec2, s3, clock))


def _check_state(instance: Instance) -> None:
    if instance.state not in {"running", "stopping", "stopped"}:
        raise _not_for_images(
            instance, "Instance is not in state 'running' or 'stopping' or 'stopped'"
        )


def _not_for_images(instance: Instance, why: str) -> EC2ClientError:
    return EC2ClientError(
        "InvalidParameterValue", f"Invalid value '{instance.id}' for instanceId. {why}"
    )
