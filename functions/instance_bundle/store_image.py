"""`Method: StoreImage`, the way that works today: EBS-backed instances, from the function's role.

CreateImage makes an AMI, and CreateStoreImageTask stores it as an object. EC2 has no client token
for either: the image and its snapshots carry the request's ID as a tag, and an image is stored in a
bucket once.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from instance_bundle import aws, bundle_objects, instance
from instance_bundle.errors import Denied, NotDeletable, NothingDone, PassingFault
from instance_bundle.limits import Limits
from instance_bundle.method import Made, Outputs, Phase, Task, Work
from instance_bundle.properties import Image, Location, Target
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        ImageTypeDef,
        StoreImageTaskResultTypeDef,
        TagSpecificationTypeDef,
        TagTypeDef,
    )

REQUEST_TAG = "cfn-instance-bundle:request-id"
"""The tag by which an image and its snapshots are known for a request's."""

FILTER_VALUES = 200
"""Values that one filter of an EC2 Describe call takes (EC2 API Reference, Filter)."""

IMAGE_IDS = 20
"""Images that one DescribeStoreImageTasks takes (EC2 API Reference)."""

_LONGEST_NAME = 128
_GONE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"}


class StoreImage:
    """The method that calls EC2 CreateImage and CreateStoreImageTask."""

    id_prefix = "ami-"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def rehearse(self, work: Work) -> None:
        """EC2 answers a rehearsal that would succeed with the error `DryRunOperation`."""
        self._prepare(work)
        try:
            self._create_image(work, dry_run=True)
        except Denied as denied:
            if denied.code != "DryRunOperation":
                raise

    def start(self, work: Work) -> Task:
        """Call CreateImage, once. A name that is taken may be so by our own image, the answer to an
        earlier call lost."""
        self._prepare(work)
        try:
            image_id = self._create_image(work, dry_run=False)
        except Denied as denied:
            own = denied.code == "InvalidAMIName.Duplicate" and self.find(work.target, work.since)
            if not own:
                raise
            return own
        now = _utc(time.time())
        return Task(image_id, "running", "pending", "0%", now, now)

    def find(self, target: Target, since: float) -> Task | None:  # noqa: ARG002
        """The request's ID is a tag of the image from its creation on."""
        found = _tasks(_images([_made_for(target.request_id)]))
        return next(iter(found.values()), None)

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task]:
        """Ask by filter, which does not fail where one of the images is gone."""
        tasks: dict[str, Task] = {}
        for chunk in _chunks(sorted(task_ids), FILTER_VALUES):
            tasks |= _tasks(_images([{"Name": "image-id", "Values": chunk}]))
        return tasks

    def advance(self, work: Work, task: Task) -> Task:
        """Store the image once it is available. A refusal may be that of a task that is ours."""
        if task.state != "available":
            return task
        try:
            with aws.calling("ec2:CreateStoreImageTask"):
                aws.ec2().create_store_image_task(
                    ImageId=task.id,
                    Bucket=work.target.location.bucket,
                    S3ObjectTags=[
                        {"Key": key, "Value": value} for key, value in _all_tags(work).items()
                    ],
                )
        except Denied:
            now = self.describe([task.id]).get(task.id, task)
            if now.state == "available":
                raise
            return now
        logger.info("Storing", task_id=task.id, bucket=work.target.location.bucket)
        return _with(task, "running", "storing", "50%")

    def cancel(self, task_id: str) -> None:
        """Deregister an image that is not being stored yet; EC2 ends no store task."""
        task = self.describe([task_id]).get(task_id)
        if task is not None and task.state in {"pending", "available"}:
            _deregister(task_id)

    def amend(self, made: Made, old: Image, new: Image) -> None:
        """Set the description, and the tags of the image and its snapshots."""
        if new.description != old.description:
            with aws.calling("ec2:ModifyImageAttribute"):
                aws.ec2().modify_image_attribute(
                    ImageId=made.task_id, Description={"Value": new.description}
                )
        if new.tags == old.tags:
            return
        tagged = [made.task_id, *_snapshots_for(made.request_id, made.task_id)]
        if new.tags:
            with aws.calling("ec2:CreateTags"):
                aws.ec2().create_tags(Resources=tagged, Tags=_tags(new.tags))
        removed: list[TagTypeDef] = [{"Key": key} for key in old.tags if key not in new.tags]
        if removed:
            with aws.calling("ec2:DeleteTags"):
                aws.ec2().delete_tags(Resources=tagged, Tags=removed)

    def is_taken(self, location: Location) -> bool:  # noqa: ARG002
        """Never: each object is named for its image."""
        return False

    def has_finished(self, location: Location) -> bool:  # noqa: ARG002
        """Never: an image that is not listed is gone, and its store task listed for 31 days."""
        return False

    def outputs(self, location: Location, task_id: str) -> Outputs:
        """The object is named for its image, which a rehearsal has none of."""
        image_id = task_id if task_id.startswith(self.id_prefix) else ""
        at = f"{location.bucket}/{image_id and _key(image_id)}"
        return Outputs(prefix="", s3_uri=f"s3://{at}", manifest_location=at, image_id=image_id)

    def finished(self, location: Location, task: Task) -> str | None:
        """The entity tag of the object."""
        return bundle_objects.entity_tag(location.bucket, _key(task.id))

    def remove(self, made: Made) -> None:
        """Remove the object, then deregister the image, then delete its snapshots."""
        if not self._limits.deletes_objects:
            raise NotDeletable(self.outputs(made.location, made.task_id).s3_uri)
        bucket, key = made.location.bucket, _key(made.task_id)
        if bundle_objects.entity_tag(bucket, key) == made.fingerprint:
            bundle_objects.remove_object(bucket, key, made.fingerprint)
        self._unmake(made.task_id, made.request_id)

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """The object, if the task got so far, the image and the snapshots."""
        bucket, key = target.location.bucket, _key(task.id)
        found = bundle_objects.entity_tag(bucket, key)
        if found is not None and self._limits.deletes_objects:
            bundle_objects.remove_object(bucket, key, found)
        elif found is not None:
            logger.warning("A stored image is left", at=f"s3://{bucket}/{key}", task_id=task.id)
        self._unmake(task.id, target.request_id)

    def _unmake(self, image_id: str, request_id: str) -> None:
        _deregister(image_id)
        for snapshot_id in _snapshots_for(request_id, image_id):
            with _ignoring_what_is_gone(), aws.calling("ec2:DeleteSnapshot"):
                aws.ec2().delete_snapshot(SnapshotId=snapshot_id)

    def _prepare(self, work: Work) -> None:
        try:
            instance.demand(work.properties.instance_id, "StoreImage", self._limits.instance_tag)
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault

    def _create_image(self, work: Work, *, dry_run: bool) -> str:
        image = work.properties.image
        with aws.calling("ec2:CreateImage"):
            response = aws.ec2_once().create_image(
                InstanceId=work.properties.instance_id,
                Name=image.name or _made_name(work.target),
                Description=image.description,
                NoReboot=image.no_reboot,
                TagSpecifications=[_specification(kind, work) for kind in ("image", "snapshot")],
                DryRun=dry_run,
            )
        return response["ImageId"]


def _tasks(images: "Iterable[ImageTypeDef]") -> dict[str, Task]:
    by_id = {image["ImageId"]: image for image in images}
    stored = _store_tasks([id_ for id_, image in by_id.items() if image["State"] == "available"])
    return {id_: _task(image, stored.get(id_)) for id_, image in by_id.items()}


def _store_tasks(image_ids: list[str]) -> "Mapping[str, StoreImageTaskResultTypeDef]":
    tasks: dict[str, StoreImageTaskResultTypeDef] = {}
    for chunk in _chunks(image_ids, IMAGE_IDS):
        with aws.calling("ec2:DescribeStoreImageTasks"):
            response = aws.ec2().describe_store_image_tasks(ImageIds=chunk)
        tasks |= {task["AmiId"]: task for task in response["StoreImageTaskResults"]}
    return tasks


def _task(image: "ImageTypeDef", stored: "StoreImageTaskResultTypeDef | None") -> Task:
    """Both stages as one: the image is its first half, the object its second."""
    now = _utc(time.time())
    task = Task(image["ImageId"], "running", image["State"], "0%", _created(image), now)
    if stored is None:
        match image["State"]:
            case "pending":
                return task
            case "available":
                return _with(task, "running", "available", "50%")
        why = image.get("StateReason", {})
        return _failed(task, why.get("Code", image["State"]), why.get("Message", ""))
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


def _deregister(image_id: str) -> None:
    with _ignoring_what_is_gone(), aws.calling("ec2:DeregisterImage"):
        aws.ec2().deregister_image(ImageId=image_id)


@contextmanager
def _ignoring_what_is_gone() -> Iterator[None]:
    try:
        yield
    except Denied as denied:
        if denied.code not in _GONE:
            raise


def _made_for(request_id: str) -> "FilterTypeDef":
    return {"Name": f"tag:{REQUEST_TAG}", "Values": [request_id]}


def _images(filters: "list[FilterTypeDef]") -> "list[ImageTypeDef]":
    with aws.calling("ec2:DescribeImages"):
        return aws.ec2().describe_images(Owners=["self"], Filters=filters)["Images"]


def _snapshots_for(request_id: str, image_id: str) -> list[str]:
    """The snapshots that were made for a request, whatever became of their image.

    An image that was restored from the object has the same tags, and so have its snapshots (EC2
    User Guide, How AMI store and restore works): what another image is made of is left out.
    """
    others = {
        mapping.get("Ebs", {}).get("SnapshotId")
        for image in _images([_made_for(request_id)])
        if image["ImageId"] != image_id
        for mapping in image.get("BlockDeviceMappings", [])
    }
    return [each for each in _snapshots([_made_for(request_id)]) if each not in others]


def _snapshots(filters: "list[FilterTypeDef]") -> list[str]:
    with aws.calling("ec2:DescribeSnapshots"):
        pages = (
            aws.ec2()
            .get_paginator("describe_snapshots")
            .paginate(OwnerIds=["self"], Filters=filters)
        )
        return [snapshot["SnapshotId"] for page in pages for snapshot in page["Snapshots"]]


def _made_name(target: Target) -> str:
    """A name that no other image has: that of the prefix that is made, in the characters that a
    name may have (EC2 API Reference, CreateImage)."""
    return re.sub(r"[^A-Za-z0-9()\[\] ./'@_-]", "-", target.location.prefix)[-_LONGEST_NAME:]


def _specification(kind: "ResourceTypeType", work: Work) -> "TagSpecificationTypeDef":
    return {"ResourceType": kind, "Tags": _tags(_all_tags(work))}


def _all_tags(work: Work) -> Mapping[str, str]:
    return {**work.properties.image.tags, REQUEST_TAG: work.target.request_id}


def _tags(tags: Mapping[str, str]) -> "list[TagTypeDef]":
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _key(image_id: str) -> str:
    """The key that EC2 gives a stored image (EC2 API Reference, CreateStoreImageTask)."""
    return f"{image_id}.bin"


def _created(image: "ImageTypeDef") -> str:
    return _utc(datetime.fromisoformat(image["CreationDate"]).timestamp())


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _chunks(values: list[str], size: int) -> Iterable[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
