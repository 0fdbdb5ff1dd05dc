"""`Method: StoreImage`, the method that works today: EBS-backed instances, by the function's role.

CreateImage makes an AMI, and CreateStoreImageTask stores it as an object. EC2 has no client token
for either, so the image and its snapshots have the request's ID as a tag, and an image is stored in
a bucket once.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from instance_bundle import aws
from instance_bundle.aws import (
    Written,
    bucket,
    image_changes,
    image_removal,
    images,
    instance,
    object_locks,
    objects,
)
from instance_bundle.errors import (
    Denied,
    Gone,
    ImageGone,
    InstanceBundleError,
    NotDeletable,
    NothingDone,
    PassingFault,
    Refusal,
    Refused,
)
from instance_bundle.methods import store_task
from instance_bundle.methods.method import Bundle, Outputs, Task, Work, known, parsed, utc
from instance_bundle.request import Image, Location, RequestKey, Target
from instance_bundle.settings import Limits, is_paused
from instance_bundle.telemetry import logger

SNAPSHOT_IDS = "SnapshotIds"
"""The attribute with the IDs of an image's snapshots, joined by commas."""

_SHOWN = 300
"""Seconds after which every call shows an image: it sometimes takes minutes
(https://github.com/hashicorp/packer/issues/3377)."""


def object_uri(image_id: str, bucket: str) -> str:
    """The S3 URI of the object that an image is stored as."""
    return f"s3://{bucket}/{_key(image_id)}"


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
            return store_task.task_of(own, None)
        now = utc(time.time())
        return Task(image_id, "running", "pending", "0%", now, now, image_id=image_id)

    def find(self, target: Target, since: float) -> Task | None:  # noqa: ARG002
        """The request's ID is a tag of the image from its creation on."""
        found = {i["ImageId"]: i for i in images.describe([images.made_for(target.request_id)])}
        return known(next(iter(store_task.tasks_of(found).values()), None))

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """Each image, and how far it is stored."""
        return store_task.described(task_ids)

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        """Store the image once it is available. A refusal may be about our own task in progress."""
        if seen.state != "available":
            return seen
        if last.state == "storing":
            # The task that was started is too new to be listed.
            return last
        tags = {**_image(work).object_tags, images.REQUEST_TAG: work.target.request_id}
        try:
            with aws.calling("ec2:CreateStoreImageTask"):
                aws.ec2_once().create_store_image_task(
                    ImageId=seen.id,
                    Bucket=work.target.location.bucket,
                    S3ObjectTags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
        except (Denied, Refused) as refused:
            now = known(self.describe([seen.id]).get(seen.id, seen))
            if now is None or now.state == "available":
                refusal = refused.refusal if isinstance(refused, Refused) else refused
                if isinstance(refusal, Denied):
                    images.require_tags([seen.id, *_ids(seen.snapshot_ids)], refusal)
                raise
            return now
        logger.info("Storing", task_id=seen.id, bucket=work.target.location.bucket)
        return store_task.with_state(seen, "running", "storing", "50%")

    def cancel(self, task_id: str) -> bool:
        """Deregister an image that is not being stored yet; EC2 can't cancel a store task."""
        task = known(self.describe([task_id]).get(task_id))
        if task is None or task.phase != "running":
            return False
        if task.state != "storing":
            images.deregister(task_id)
        return True

    def after_cancel(self, task: Task) -> str:
        """EC2 has no call that cancels the storing of an image."""
        if task.state != "storing":
            return "its AMI was deregistered"
        command = f"aws ec2 describe-store-image-tasks --image-ids {task.id}"
        return f"EC2 can't cancel the storing of an image, and `{command}` shows when it has ended"

    def has_next(self, work: Work, seen: Task) -> bool:  # noqa: ARG002
        """An image that is available is stored."""
        return seen.state == "available" and not is_paused()

    def update_image(
        self,
        made: Bundle,
        key: RequestKey,  # noqa: ARG002
        old: Image | None,
        new: Image | None,
    ) -> str:
        """Set the description, and the tags of the image and its snapshots."""
        before, after = old or Image(), new or Image()
        if (before.description, before.tags) != (after.description, after.tags):
            snapshots = _snapshots_of(made)
            try:
                image_changes.update([made.physical_id, *snapshots], before, after)
            except Gone as gone:
                raise ImageGone(made.physical_id, "Change Image.Name") from gone
        return made.attributes.get("ImageId", made.physical_id)

    def is_taken(self, location: Location) -> bool:  # noqa: ARG002
        """Never: each object is named for its image."""
        return False

    def hint(self, target: Target) -> str:
        """Whether the bucket exists, if S3 does not say; product codes and keys of the instance."""
        found = [bucket.denial(target.location.bucket), instance.doubts(target.instance_id)]
        return " ".join(each for each in found if each)

    def lost(self, task: Task, now: float) -> Refusal | None:
        """An image that EC2 has shown before is gone; one that it has not may be too new."""
        shown = task.updated > task.started
        return (
            ImageGone(task.id, "Redeploy") if shown or now > parsed(task.started) + _SHOWN else None
        )

    def has_finished(self, location: Location) -> bool:  # noqa: ARG002
        """Never: an image that is not listed is gone, and its store task is listed for 31 days."""
        return False

    def outputs(self, location: Location, task: Task) -> Outputs:
        """The object is named for its image; a dry run has no image."""
        at = f"{location.bucket}/{task.image_id and _key(task.image_id)}"
        return Outputs(prefix="", s3_uri=f"s3://{at}", manifest_location=at)

    def finished(self, location: Location, task: Task) -> Written | None:
        """The object."""
        return objects.read(location.bucket, _key(task.id))

    def removable(self, made: Bundle) -> Bundle:
        """Check protection, locks and permissions; find the snapshots while the image is there, and
        the object's version."""
        bucket, key, limits = made.location.bucket, _key(made.physical_id), self._limits
        if not limits.deletes_objects:
            raise NotDeletable(f"s3://{bucket}/{key}")
        snapshots = _snapshots_of(made)
        image_removal.require_removable(made.physical_id, snapshots)
        if not limits.deletes_versions:
            objects.read(bucket, key)  # a refusal is to come before anything is removed
        elif (found := objects.find(bucket, key, made.written)) is not None and found.version:
            object_locks.require_unlocked(bucket, [objects.identifier(key, found)])
            made = replace(made, etag=found.etag, version=found.version)
        return replace(made, attributes={**made.attributes, SNAPSHOT_IDS: ",".join(snapshots)})

    def remove(self, made: Bundle) -> bool:
        """Deregister the image, then delete its snapshots, then the object. EC2 gives no other
        object its key: without an ETag, the object is still ours."""
        image_removal.remove(made.physical_id, _ids(made.attributes.get(SNAPSHOT_IDS, "")))
        written = made.written.removed_as(versions=self._limits.deletes_versions)
        locked = objects.remove(made.location.bucket, _key(made.physical_id), written)
        object_locks.require_none(locked, "the AMI and its snapshots were removed")
        return True

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """The object, if the task got so far, the image and the snapshots. An object that Object
        Lock protects is kept, and the log names it: work that failed must not fail a rollback."""
        bucket, key, limits = target.location.bucket, _key(task.id), self._limits
        snapshots = images.snapshots_of(task.id, target.request_id, _ids(task.snapshot_ids))
        image_removal.remove(task.id, snapshots)
        found = objects.read(bucket, key)
        if found is not None and limits.deletes_objects:
            written = found.removed_as(versions=limits.deletes_versions)
            object_locks.log_kept(objects.remove(bucket, key, written))
        elif found is not None:
            logger.warning("A stored image is left", at=f"s3://{bucket}/{key}", task_id=task.id)

    def _prepare(self, work: Work) -> None:
        try:
            instance.require_suitable(
                work.properties.instance_id, "StoreImage", self._limits.instance_tag
            )
            bucket.require_here(work.properties.bucket)
            images.require_free_name(_name(work), work.target.request_id)
        except NothingDone:
            raise
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault

    def _create_image(self, work: Work, *, dry_run: bool) -> str:
        image = _image(work)
        tags = images.all_tags(image, work.key)
        bucket = {store_task.BUCKET_TAG: work.target.location.bucket}
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


def _snapshots_of(made: Bundle) -> list[str]:
    recorded = _ids(made.attributes.get(SNAPSHOT_IDS, ""))
    return images.snapshots_of(made.physical_id, made.made_by, recorded)


def _ids(joined: str) -> list[str]:
    return joined.split(",") if joined else []


def _key(image_id: str) -> str:
    """The key that EC2 gives a stored image (EC2 API Reference, CreateStoreImageTask)."""
    return f"{image_id}.bin"
