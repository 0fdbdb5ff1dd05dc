"""Removes an AMI and its snapshots: what can be checked is checked first, and what others use or
own is kept. What the Recycle Bin keeps is named in the log."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import images
from instance_bundle.aws.advice import PERMISSION_CODES
from instance_bundle.aws.chunks import in_chunks
from instance_bundle.errors import (
    Denied,
    Doubtful,
    InstanceBundleError,
    PassingFault,
    Refused,
    Unsuitable,
)
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

_PATH = "OnDelete"
_KEPT = {"success", "skipped"}
"""The return codes of snapshots with which nothing is to be done (EC2 API Reference,
DeleteSnapshotReturnCode)."""
_NOT_THERE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"}
"""EC2's codes for what is not in the Recycle Bin."""
_LISTED_AT_ONCE = 20
"""IDs of AMIs that one ListImagesInRecycleBin takes (EC2 API Reference)."""


def require_removable(image_id: str, snapshot_ids: Sequence[str]) -> None:
    """Check what can be checked before anything is removed.

    Raises:
        Denied: the role may not deregister the AMI, or delete a snapshot that has the tag.
        PassingFault: no answer.
        Doubtful: the AMI is protected, or one of its snapshots is locked; or was until a moment
            ago.
    """
    for image in _image(image_id):
        protection = image.get("DeregistrationProtection", "disabled")
        if protection.startswith("enabled"):
            raise _not_yet(
                f"the AMI {image_id} is protected from deregistration ({protection})",
                "Disable the protection",
            )
        _dry_run(images.deregister, image_id)
    to_delete = sorted({*snapshot_ids} - _used(snapshot_ids, image_id))
    if locked := _locked(to_delete):
        raise _not_yet(f"the snapshots {', '.join(locked)} are locked", "Unlock them")
    for snapshot_id in images.with_request_tag(to_delete):
        _dry_run(images.delete_snapshot, snapshot_id)


def _not_yet(why: str, first: str) -> Doubtful:
    advice = f"{first} and delete again, or retain the resource."
    return Doubtful(Unsuitable(_PATH, f"{why}, and nothing was removed. {advice}"))


def remove(image_id: str, snapshot_ids: Sequence[str]) -> None:
    """Deregister an AMI, then delete its snapshots. It can be repeated.

    Snapshots that another AMI uses are kept, and those that have lost the application's tag, with
    which the role may not delete them; the log names them.

    Raises:
        PassingFault: some of it may have been done, or EC2 still lists it.
        Denied: EC2 refuses.
    """
    outcomes = images.deregister(image_id, with_snapshots=True)
    left = [each for each in snapshot_ids if outcomes.get(each) not in _KEPT]
    kept = {each for each in snapshot_ids if outcomes.get(each) == "skipped"}
    used = _used(left, image_id) if left else set()
    for each in left:
        if each in used or not _delete(each):
            kept.add(each)
    if kept:
        logger.warning("Snapshots are kept", image_id=image_id, snapshots=sorted(kept))
    gone = [each for each in snapshot_ids if each not in kept]
    _require_unlisted(image_id, gone)
    _log_what_is_kept(image_id, gone)


def _log_what_is_kept(image_id: str, snapshot_ids: Sequence[str]) -> None:
    """Name what a retention rule keeps, and until when: it can be restored, and is billed (EC2 API
    Reference, DeregisterImage). If EC2 does not say, the removal is complete nevertheless."""
    found = {
        **in_chunks([image_id], _LISTED_AT_ONCE, _images_in_bin),
        **in_chunks(snapshot_ids, _LISTED_AT_ONCE, _snapshots_in_bin),
    }
    kept = {
        key: f"{each.astimezone(UTC):%FT%TZ}"
        for key, each in found.items()
        if isinstance(each, datetime)
    }
    if kept:
        logger.warning("Kept by the Recycle Bin until the time given, and billed", kept=kept)
    unknown = [each for each in found.values() if _is_unknown(each)]
    if unknown:
        logger.warning("The Recycle Bin is not known", image_id=image_id, why=str(unknown[0]))


def _is_unknown(found: datetime | InstanceBundleError) -> bool:
    refusal = found.refusal if isinstance(found, Doubtful) else None
    is_missing = isinstance(refusal, Denied) and refusal.code in _NOT_THERE
    return isinstance(found, InstanceBundleError) and not is_missing


def _images_in_bin(image_ids: Sequence[str]) -> Mapping[str, datetime]:
    """When each AMI leaves the Recycle Bin; the call is refused if one is not in it."""
    with aws.calling("ec2:ListImagesInRecycleBin"):
        found = aws.ec2().list_images_in_recycle_bin(ImageIds=image_ids)["Images"]
    return {each["ImageId"]: each["RecycleBinExitTime"] for each in found}


def _snapshots_in_bin(snapshot_ids: Sequence[str]) -> Mapping[str, datetime]:
    with aws.calling("ec2:ListSnapshotsInRecycleBin"):
        found = aws.ec2().list_snapshots_in_recycle_bin(SnapshotIds=snapshot_ids)["Snapshots"]
    return {each["SnapshotId"]: each["RecycleBinExitTime"] for each in found}


def _delete(snapshot_id: str) -> bool:
    """Delete a snapshot, unless it has lost the tag with which the role may; whether it did."""
    try:
        images.delete_snapshot(snapshot_id)
    except Denied as denied:
        if denied.code not in PERMISSION_CODES or images.has_request_tag(snapshot_id):
            raise
        logger.warning("The snapshot has lost its tag", snapshot_id=snapshot_id, why=str(denied))
        return False
    return True


def _require_unlisted(image_id: str, snapshot_ids: Sequence[str]) -> None:
    listed = [*(image["ImageId"] for image in _image(image_id))]
    if snapshot_ids:
        listed += images.snapshots([{"Name": "snapshot-id", "Values": list(snapshot_ids)}])
    if listed:
        raise PassingFault(f"EC2 still lists {', '.join(listed)}")


def _image(image_id: str) -> "list[ImageTypeDef]":
    return images.describe([{"Name": "image-id", "Values": [image_id]}])


def _used(snapshot_ids: Sequence[str], image_id: str) -> set[str]:
    """Those of the snapshots that other AMIs use."""
    if not snapshot_ids:
        return set()
    users = images.describe(
        [{"Name": "block-device-mapping.snapshot-id", "Values": list(snapshot_ids)}]
    )
    others = [image for image in users if image["ImageId"] != image_id]
    return {each for image in others for each in images.snapshots_in(image)} & {*snapshot_ids}


def _locked(snapshot_ids: Sequence[str]) -> list[str]:
    """Those of the snapshots that are locked; none if EC2 does not say."""
    if not snapshot_ids:
        return []
    try:
        with aws.calling("ec2:DescribeLockedSnapshots"):
            found = aws.ec2().describe_locked_snapshots(SnapshotIds=list(snapshot_ids))["Snapshots"]
    except Doubtful as doubtful:
        logger.warning("Locks are not known", why=str(doubtful))
        return []
    return sorted(each["SnapshotId"] for each in found if each["LockState"] != "expired")


def _dry_run(call: Callable[..., object], resource_id: str) -> None:
    """Whether the role may; all else that EC2 answers is said again when it is done."""
    try:
        call(resource_id, dry_run=True)
    except (Denied, Refused) as refused:
        if isinstance(refused, Denied) and refused.code in PERMISSION_CODES:
            raise
