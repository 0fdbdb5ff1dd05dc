"""What the object of a stored image has, and an image that is restored from it.

The object has the tags of the image and its snapshots, and the image's metadata that no Region
limits (Amazon EC2 User Guide, How AMI store and restore works). Its form is the sandbox's own.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend

from sandbox.ec2.image import Device
from sandbox.ec2.steering import tags_of
from sandbox.ec2.store_rules import not_a_bucket

_BYTES = 1024
_FORM = "stored image"
_DESCRIPTION = "Restored from s3://{}/{}"


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A block device.

    Attributes:
        name: such as `/dev/sda1`.
        size: in GB.
        tags: of its snapshot.
    """

    name: str
    size: int
    delete_on_termination: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image, as its object has it."""

    name: str
    description: str | None
    architecture: str | None
    virtualization_type: str | None
    root_device_name: str | None
    tags: Mapping[str, str]
    devices: tuple[StoredDevice, ...]

    @classmethod
    def of(cls, image: Ami) -> "StoredImage":
        """An image of now."""
        snapshots = image.ec2_backend.snapshots
        return cls(
            name=str(image.name),
            description=image.description,
            architecture=image.architecture,
            virtualization_type=image.virtualization_type,
            root_device_name=image.root_device_name,
            tags=_own(tags_of(image)),
            devices=tuple(
                StoredDevice(
                    name=mapping["DeviceName"],
                    size=mapping["Ebs"]["VolumeSize"],
                    delete_on_termination=mapping["Ebs"]["DeleteOnTermination"],
                    tags=_own(tags_of(snapshots[mapping["Ebs"]["SnapshotId"]])),
                )
                for mapping in image.block_device_mappings
                if mapping["Ebs"]["SnapshotId"] in snapshots
            ),
        )

    def content(self) -> bytes:
        """The object's."""
        return json.dumps({"form": _FORM, **asdict(self)}).encode().ljust(_BYTES)

    def snapshots(
        self, ec2: EC2Backend, image_id: str, place: tuple[str, str], tags: Mapping[str, str]
    ) -> tuple[Device, ...]:
        """Make a snapshot of each device, pending and not encrypted.

        Args:
            image_id: of the image that they are for.
            place: the object's bucket and key.
            tags: that each snapshot has in addition.
        """
        devices = []
        for device in self.devices:
            volume = ec2.create_volume(device.size, f"{ec2.region_name}a")
            snapshot = ec2.create_snapshot(
                volume.id, _DESCRIPTION.format(*place), ec2.account_id, from_ami=image_id
            )
            del ec2.volumes[volume.id]
            snapshot.status = "pending"
            snapshot.add_tags({**device.tags, **tags})
            devices.append(Device(device.name, snapshot, device.delete_on_termination))
        return tuple(devices)


def read(s3: S3Backend, region: str, bucket: str, key: str) -> StoredImage:
    """The stored image that an object is, in the Region of the request.

    Raises:
        EC2ClientError: there is none. No page has the error's code.
    """
    try:
        found = s3.get_bucket(bucket)
    except S3ClientError as refusal:
        raise not_a_bucket(bucket, refusal.message) from None
    if found.region_name != region:
        raise not_a_bucket(bucket, f"The bucket must be in the region {region}")
    stored = s3.get_object(bucket, key)
    if stored is None:
        raise _not_an_image(key, "The specified key does not exist.")
    try:
        content: dict[str, Any] = json.loads(stored.value)
    except ValueError:
        content = {}
    if not isinstance(content, dict) or content.pop("form", None) != _FORM:
        raise _not_an_image(key, "It is not a stored image.")
    devices = tuple(StoredDevice(**device) for device in content.pop("devices"))
    return StoredImage(**content, devices=devices)


def _not_an_image(key: str, why: str) -> EC2ClientError:
    return EC2ClientError("InvalidParameterValue", f"Invalid value '{key}' for objectKey. {why}")


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that a request may set."""
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}
