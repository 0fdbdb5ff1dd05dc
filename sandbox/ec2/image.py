"""An image of moto's, with the block devices that it is made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2 import utils
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.utils import random_ami_id

_MAY_LACK = {"description", "image-location"}
_OF_SNAPSHOTS = "block-device-mapping.snapshot-id"
_motos_create_snapshot = EBSBackend.create_snapshot
_motos_filter_value = Ami.get_filter_value
_motos_is_filter_matching = utils.is_filter_matching


@dataclass(frozen=True, slots=True)
class Device:
    """A block device of an image, and the snapshot that it holds.

    Attributes:
        name: such as `/dev/sda1`.
    """

    name: str
    snapshot: Snapshot
    delete_on_termination: bool

    def described(self) -> dict[str, Any]:
        """As DescribeImages answers it."""
        volume = self.snapshot.volume
        return {
            "DeviceName": self.name,
            "Ebs": {
                "SnapshotId": self.snapshot.id,
                "VolumeSize": volume.size,
                "VolumeType": volume.volume_type,
                "DeleteOnTermination": self.delete_on_termination,
                "Encrypted": self.snapshot.encrypted,
            },
        }


class Image(Ami):
    """An image whose devices come after it: snapshots are described by the image they are for.

    Attributes:
        devices: none of an image with an instance-store root.
        state_reason: code and message of an image that failed.
    """

    def __init__(self, ec2: EC2Backend, **attributes: Any) -> None:
        super().__init__(ec2, random_ami_id(), **attributes)
        # moto makes an image a snapshot of an empty volume, whatever the image is made of.
        del ec2.snapshots[self.ebs_snapshot.id]
        self.devices: tuple[Device, ...] = ()
        self.state_reason: dict[str, str] | None = None

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """As DescribeImages answers them."""
        return [device.described() for device in self.devices]


def devices_of(ec2: EC2Backend, mappings: list[dict[str, Any]]) -> tuple[Device, ...]:
    """The block devices that a request describes by their snapshots.

    Raises:
        EC2ClientError: a snapshot is not there, or not complete.
    """
    devices = []
    for mapping in mappings:
        ebs = mapping.get("Ebs") or {}
        snapshot = ec2.snapshots.get(ebs.get("SnapshotId", ""))
        if snapshot is None:
            raise InvalidSnapshotIdError
        if snapshot.status != "completed":
            raise EC2ClientError(
                "IncorrectState", f"The snapshot '{snapshot.id}' is not in the 'completed' state"
            )
        deleted = str(ebs.get("DeleteOnTermination", True)).lower() == "true"
        devices.append(Device(mapping.get("DeviceName", ""), snapshot, deleted))
    return tuple(devices)


def snapshot_ids(image: Ami) -> list[str]:
    """The snapshots that an image is made of."""
    return [mapping["Ebs"]["SnapshotId"] for mapping in image.block_device_mappings]


def filter_value(image: Ami, filter_name: str, method_name: str | None = None) -> Any:
    """What a filter of DescribeImages compares; moto raises where an image lacks it."""
    if filter_name in _MAY_LACK:
        return getattr(image, filter_name.replace("-", "_"))
    return _motos_filter_value(image, filter_name, method_name)


def is_filter_matching(resource: Any, filter_name: str, patterns: Iterable[str]) -> Any:
    """Whether a filter lets a resource through; moto has none of the snapshots of an image."""
    if filter_name != _OF_SNAPSHOTS:
        return _motos_is_filter_matching(resource, filter_name, patterns)
    ids = snapshot_ids(resource)
    return any(fnmatchcase(id_, pattern) for id_ in ids for pattern in patterns)


def create_snapshot(ec2: EBSBackend, *args: Any, **kwargs: Any) -> Snapshot:
    """A snapshot has the key of its volume, which moto leaves out."""
    snapshot = _motos_create_snapshot(ec2, *args, **kwargs)
    snapshot.kms_key_id = snapshot.volume.kms_key_id
    return snapshot


def full_size(snapshot: Snapshot) -> int | None:
    """The bytes of all blocks that were written to a snapshot's volume: here, of half of them.

    It is not said from when on EC2 describes it; here from the snapshot's completion on.
    """
    return snapshot.volume.size * 2**29 if snapshot.status == "completed" else None


def progress(snapshot: Snapshot) -> str:
    """How far a snapshot is, which moto says is `100%` of each."""
    return "100%" if snapshot.status == "completed" else "0%"
