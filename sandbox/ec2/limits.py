"""How much EC2 does at a time: more is refused until something has ended.

Tags on an instance lower the limits for its images, so that tests need no terabytes:

* `sandbox:store-limit`: gigabytes in progress from which no image is stored, 600 if absent;
* `sandbox:pending-limit`: snapshots of the account that may be pending, 100 if absent;
* `sandbox:image-limit`: images that may be made of it at a time with NoReboot, 5 if absent.
"""

from collections.abc import Collection, Iterable, Mapping

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume

from sandbox.ec2.steering import number

STORED_GIGABYTES = "600"
"""Snapshot data of all images that are being stored (Amazon EC2 User Guide, How AMI store and
restore works). Its page on limitations says 1,200: here the lower limit."""

IMAGE_GIGABYTES = 5000
"""Snapshot data of an image that can be stored (Amazon EC2 User Guide, Store and restore an AMI
using S3)."""

PENDING_SNAPSHOTS = "100"
"""Of an account in a Region (Amazon EBS User Guide, Quotas)."""

NO_REBOOT_IMAGES = "5"
"""No page says how many."""

SNAPSHOTS_OF_A_VOLUME = 5
SNAPSHOTS_OF_A_HARD_DISK = 1
"""Snapshots of a volume that are not complete (Amazon EBS User Guide, Quotas)."""

_HARD_DISKS = {"sc1", "st1"}


def check_storing(size: int, in_progress: int, steers: Mapping[str, str]) -> None:
    """Refuse to store an image that is too large, or while too much is stored already.

    Args:
        size: gigabytes of the image's snapshots.
        in_progress: gigabytes of the snapshots that are being stored.
        steers: tags.

    Raises:
        EC2ClientError: with a code that is not documented.
    """
    if size > IMAGE_GIGABYTES:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The size of the AMI, {size} GB, exceeds the maximum of {IMAGE_GIGABYTES} GB",
        )
    limit = number(steers, "sandbox:store-limit", STORED_GIGABYTES)
    if in_progress >= limit:
        raise EC2ClientError(
            "ResourceLimitExceeded",
            f"Too many store image tasks in progress. The limit is {limit:g} GB of snapshot data.",
        )


def check_snapshots(
    ec2: EC2Backend,
    volumes: Collection[Volume],
    no_reboot_images: int | None,
    steers: Mapping[str, str],
) -> None:
    """Refuse snapshots of an instance's volumes while too many are being made.

    Args:
        no_reboot_images: images of the instance that are being made with NoReboot; None if the
            request is for one without.
        steers: tags.

    Raises:
        EC2ClientError: by the first limit that is reached.
    """
    if no_reboot_images is not None:
        limit = number(steers, "sandbox:image-limit", NO_REBOOT_IMAGES)
        if no_reboot_images >= limit:
            raise EC2ClientError(
                "ConcurrentCreateImageNoRebootLimitExceeded",
                "The maximum number of concurrent CreateImage requests for the instance has been "
                "reached.",
            )
    snapshots = list(ec2.snapshots.values())
    for volume in volumes:
        # "Snapshots that are in an incomplete state, such as 'error'", count, too.
        unfinished = [each for each in snapshots if each.volume_id == volume.id]
        _check_volume(volume, sum(each.status != "completed" for each in unfinished))
    pending = sum(each.status == "pending" for each in snapshots)
    if pending + len(volumes) > number(steers, "sandbox:pending-limit", PENDING_SNAPSHOTS):
        raise EC2ClientError(
            "PendingSnapshotLimitExceeded", "Maximum allowed pending snapshots exceeded."
        )


def gigabytes(ec2: EC2Backend, snapshot_ids: Iterable[str]) -> int:
    """How large the snapshots are together that are there."""
    return sum(ec2.snapshots[id_].volume_size for id_ in snapshot_ids if id_ in ec2.snapshots)


def _check_volume(volume: Volume, unfinished: int) -> None:
    is_hard_disk = volume.volume_type in _HARD_DISKS
    if unfinished >= (SNAPSHOTS_OF_A_HARD_DISK if is_hard_disk else SNAPSHOTS_OF_A_VOLUME):
        raise EC2ClientError(
            "ConcurrentSnapshotLimitExceeded",
            "Maximum allowed in-progress snapshots for a single volume exceeded.",
        )
