"""`Method: StoreImage`, the method that works today: EBS-backed instances, by the function's role.

CreateImage makes an AMI, and CreateStoreImageTask stores it as an object. EC2 has no client token
for either, so the image and its snapshots have the request's ID as a tag, and an image is stored in
a bucket once.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import bundle_objects, images, in_chunks, instance
from instance_bundle.errors import (
    Denied,
    ImageGone,
    InstanceBundleError,
    NotDeletable,
    NothingDone,
    PassingFault,
    Refusal,
    Refused,
)
from instance_bundle.methods.method import Bundle, Outputs, Phase, Task, Work, known, parsed, utc
from instance_bundle.request import Image, Location, Target
from instance_bundle.settings import Limits
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        ImageTypeDef,
        StoreImageTaskResultTypeDef,
    )

BUCKET_TAG = "cfn-instance-bundle:bucket"
"""The tag that says which of an image's store tasks is ours."""

IMAGE_IDS = 20
"""Images that one DescribeStoreImageTasks takes (EC2 API Reference)."""


_SHOWN = 300
"""Seconds after which every call shows an image: it sometimes takes minutes
(https://github.com/hashicorp/packer/issues/3377)."""


class StoreImage:
    """The method that calls EC2 CreateImage and CreateStoreImageTask."""

    id_prefix = "ami-"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def dry_run(self, work: Work) -> None:
        """EC2 answers a dry run that would succeed with the error `DryRunOperation`."""
        self._prepare(work)
        try:
            self._create_image(work, dry_run=True)
        except Denied as denied:
            if denied.code != "DryRunOperation":
                raise

    def start(self, work: Work) -> Task:
        """Call CreateImage, once. If the name is taken, our own image may have it, from an earlier
        call whose answer was lost."""
        self._prepare(work)
        try:
            image_id = self._create_image(work, dry_run=False)
        except Denied as denied:
            if denied.code != images.NAME_TAKEN:
                raise
            own = images.own_of_taken_name(_name(work), work.target.request_id)
            if own is None:
                raise
            return _task(own, None)
        now = utc(time.time())
        return Task(image_id, "running", "pending", "0%", now, now, image_id=image_id)

    def find(self, target: Target, since: float) -> Task | None:  # noqa: ARG002
        """The request's ID is a tag of the image from its creation on."""
        found = {i["ImageId"]: i for i in images.describe([images.made_for(target.request_id)])}
        return known(next(iter(_tasks(found).values()), None))

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """Ask by filter, which does not fail if one of the images is gone."""
        return _tasks(in_chunks(sorted(task_ids), aws.FILTER_VALUES, _images))

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        """Store the image once it is available. A refusal may be about our own task in progress."""
        if seen.state != "available":
            return seen
        if last.state == "storing":
            # The task that was started is too new to be listed.
            return last
        tags = images.all_tags(_image(work), work.target.request_id)
        try:
            with aws.calling("ec2:CreateStoreImageTask"):
                aws.ec2_once().create_store_image_task(
                    ImageId=seen.id,
                    Bucket=work.target.location.bucket,
                    S3ObjectTags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
        except (Denied, Refused):
            now = known(self.describe([seen.id]).get(seen.id, seen))
            if now is None or now.state == "available":
                raise
            return now
        logger.info("Storing", task_id=seen.id, bucket=work.target.location.bucket)
        return _with(seen, "running", "storing", "50%")

    def cancel(self, task_id: str) -> bool:
        """Deregister an image that is not being stored yet; EC2 can't cancel a store task."""
        task = known(self.describe([task_id]).get(task_id))
        if task is None or task.phase != "running":
            return False
        if task.state != "storing":
            images.deregister(task_id)
        return True

    def has_next(self, work: Work, seen: Task) -> bool:  # noqa: ARG002
        """An image that is available is stored."""
        return seen.state == "available"

    def update_image(self, made: Bundle, old: Image | None, new: Image | None) -> str:
        """Set the description, and the tags of the image and its snapshots."""
        before, after = old or Image(), new or Image()
        if (before.description, before.tags) != (after.description, after.tags):
            snapshots = _snapshots_for(made.made_by, made.physical_id)
            images.update([made.physical_id, *snapshots], before, after)
        return made.physical_id

    def is_taken(self, location: Location) -> bool:  # noqa: ARG002
        """Never: each object is named for its image."""
        return False

    def lost(self, task: Task, now: float) -> Refusal | None:
        """An image that EC2 has shown before is gone; one that it has not may be too new."""
        shown = task.updated > task.started
        return ImageGone(task.id) if shown or now > parsed(task.started) + _SHOWN else None

    def has_finished(self, location: Location) -> bool:  # noqa: ARG002
        """Never: an image that is not listed is gone, and its store task is listed for 31 days."""
        return False

    def outputs(self, location: Location, task: Task) -> Outputs:
        """The object is named for its image; a dry run has no image."""
        at = f"{location.bucket}/{task.image_id and _key(task.image_id)}"
        return Outputs(prefix="", s3_uri=f"s3://{at}", manifest_location=at)

    def finished(self, location: Location, task: Task) -> str | None:
        """The ETag of the object."""
        return bundle_objects.etag_of(location.bucket, _key(task.id))

    def remove(self, made: Bundle) -> None:
        """Remove the object, then deregister the image, then delete its snapshots."""
        bucket, key = made.location.bucket, _key(made.physical_id)
        if not self._limits.deletes_objects:
            raise NotDeletable(f"s3://{bucket}/{key}")
        found = bundle_objects.etag_of(bucket, key)
        # EC2 gives no other object this key: without an ETag, the object is still ours.
        if found is not None and found == (made.etag or found):
            bundle_objects.remove_object(bucket, key, found)
        _unmake(made.physical_id, made.made_by)

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """The object, if the task got so far, the image and the snapshots."""
        bucket, key = target.location.bucket, _key(task.id)
        found = bundle_objects.etag_of(bucket, key)
        if found is not None and self._limits.deletes_objects:
            bundle_objects.remove_object(bucket, key, found)
        elif found is not None:
            logger.warning("A stored image is left", at=f"s3://{bucket}/{key}", task_id=task.id)
        _unmake(task.id, target.request_id)

    def _prepare(self, work: Work) -> None:
        try:
            instance.require_suitable(
                work.properties.instance_id, "StoreImage", self._limits.instance_tag
            )
        except NothingDone:
            raise
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault

    def _create_image(self, work: Work, *, dry_run: bool) -> str:
        image, request_id = _image(work), work.target.request_id
        tags = images.all_tags(image, request_id)
        bucket = {BUCKET_TAG: work.target.location.bucket}
        with aws.calling("ec2:CreateImage"):
            response = aws.ec2_once().create_image(
                InstanceId=work.properties.instance_id,
                Name=_name(work),
                Description=image.description,
                NoReboot=image.no_reboot,
                TagSpecifications=[
                    {"ResourceType": "image", "Tags": images.tags({**tags, **bucket})},
                    {"ResourceType": "snapshot", "Tags": images.tags(tags)},
                ],
                DryRun=dry_run,
            )
        return response["ImageId"]


def _image(work: Work) -> Image:
    return work.properties.image or Image()


def _name(work: Work) -> str:
    return _image(work).name or images.made_name(work.target.location, work.target.request_id)


def _unmake(image_id: str, request_id: str) -> None:
    images.deregister(image_id)
    for snapshot_id in _snapshots_for(request_id, image_id):
        images.delete_snapshot(snapshot_id)


def _images(image_ids: Sequence[str]) -> "Mapping[str, ImageTypeDef]":
    found = images.describe([{"Name": "image-id", "Values": image_ids}])
    return {image["ImageId"]: image for image in found}


def _tasks(
    seen: "Mapping[str, ImageTypeDef | InstanceBundleError]",
) -> Mapping[str, Task | InstanceBundleError]:
    unknown = {key: error for key, error in seen.items() if isinstance(error, InstanceBundleError)}
    by_id = {
        key: image for key, image in seen.items() if not isinstance(image, InstanceBundleError)
    }
    available = [key for key, image in by_id.items() if image["State"] == "available"]
    stored = in_chunks(available, IMAGE_IDS, lambda ids: _store_tasks({i: by_id[i] for i in ids}))
    return unknown | {key: _of_both(image, stored.get(key)) for key, image in by_id.items()}


def _of_both(
    image: "ImageTypeDef", stored: "StoreImageTaskResultTypeDef | InstanceBundleError | None"
) -> Task | InstanceBundleError:
    return stored if isinstance(stored, InstanceBundleError) else _task(image, stored)


def _store_tasks(
    by_id: "Mapping[str, ImageTypeDef]",
) -> "Mapping[str, StoreImageTaskResultTypeDef]":
    """The latest store task of each image into its bucket: EC2 lists the latest first."""
    buckets = {key: images.tags_of(image).get(BUCKET_TAG, "") for key, image in by_id.items()}
    tasks: dict[str, StoreImageTaskResultTypeDef] = {}
    with aws.calling("ec2:DescribeStoreImageTasks"):
        response = aws.ec2().describe_store_image_tasks(ImageIds=list(buckets))
    for task in response["StoreImageTaskResults"]:
        if task["Bucket"] == buckets.get(task["AmiId"]):
            tasks.setdefault(task["AmiId"], task)
    return tasks


def _task(image: "ImageTypeDef", stored: "StoreImageTaskResultTypeDef | None") -> Task:
    """Both stages as one task: the image is its first half, the object its second."""
    now = utc(time.time())
    image_id, state = image["ImageId"], image["State"]
    task = Task(image_id, "running", state, "0%", _created(image), now, image_id=image_id)
    if stored is None:
        match state:
            case "pending" | "transient":
                return task
            case "available":
                return _with(task, "running", "available", "50%")
        why = image.get("StateReason", {})
        return _failed(task, why.get("Code", state), why.get("Message", ""))
    match stored["StoreTaskState"]:
        case "Completed":
            return _with(task, "complete", "complete", "100%")
        case "Failed":
            return _failed(task, "StoreTaskFailed", stored.get("StoreTaskFailureReason", ""))
    progress = 50 + min(int(stored.get("ProgressPercentage", 0)), 98) // 2
    return _with(task, "running", "storing", f"{progress}%")


def _with(task: Task, phase: Phase, state: str, progress: str) -> Task:
    return replace(task, phase=phase, state=state, progress=progress)


def _failed(task: Task, code: str, message: str) -> Task:
    return replace(task, phase="failed", state="failed", error_code=code, error_message=message)


def _snapshots_for(request_id: str, image_id: str) -> list[str]:
    """The snapshots that were made for a request, even if their image is gone.

    An image that was restored from the object has the same tags, and so have its snapshots (EC2
    User Guide, How AMI store and restore works): the snapshots of other images are left out.
    """
    others = {
        mapping.get("Ebs", {}).get("SnapshotId")
        for image in images.describe([images.made_for(request_id)])
        if image["ImageId"] != image_id
        for mapping in image.get("BlockDeviceMappings", [])
    }
    own = images.snapshots([images.made_for(request_id)])
    return [each for each in own if each not in others]


def _key(image_id: str) -> str:
    """The key that EC2 gives a stored image (EC2 API Reference, CreateStoreImageTask)."""
    return f"{image_id}.bin"


def _created(image: "ImageTypeDef") -> str:
    return utc(datetime.fromisoformat(image["CreationDate"]).timestamp())
