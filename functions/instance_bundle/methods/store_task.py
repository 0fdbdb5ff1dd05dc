"""Both stages of storing an image as one task: first the image, then the object."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import images, in_chunks
from instance_bundle.errors import Denied, Doubtful, InstanceBundleError
from instance_bundle.methods.method import Phase, Task, utc

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        ImageTypeDef,
        StoreImageTaskResultTypeDef,
    )

BUCKET_TAG = "cfn-instance-bundle:bucket"
"""The tag that says which of an image's store tasks is ours."""

_IMAGE_IDS = 20
"""Images that one DescribeStoreImageTasks takes (EC2 API Reference)."""


def described(image_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
    """The task of each image, or why it is not known; an image that is not listed is left out.

    Asking by filter does not fail if one of the images is gone. The storing of an image goes on
    after that (31 days listed; EC2 API Reference, DescribeStoreImageTasks).
    """
    seen = in_chunks(sorted(image_ids), aws.FILTER_VALUES, _images)
    gone = [each for each in sorted(image_ids) if each not in seen]
    stored = in_chunks(gone, _IMAGE_IDS, lambda ids: _store_tasks(ids, {}))
    still_stored = {
        key: _task_of_gone(each) for key, each in stored.items() if not _is_unknown(each)
    }
    return {**tasks_of(seen), **still_stored}


def _images(image_ids: Sequence[str]) -> "Mapping[str, ImageTypeDef]":
    found = images.describe([{"Name": "image-id", "Values": image_ids}])
    return {image["ImageId"]: image for image in found}


def tasks_of(
    seen: "Mapping[str, ImageTypeDef | InstanceBundleError]",
) -> Mapping[str, Task | InstanceBundleError]:
    """The task of each image that was described; one that others have disabled is stored on."""
    unknown = {key: error for key, error in seen.items() if isinstance(error, InstanceBundleError)}
    by_id = {
        key: image for key, image in seen.items() if not isinstance(image, InstanceBundleError)
    }
    made = [key for key, image in by_id.items() if image["State"] in ("available", "disabled")]
    tags = {key: images.tags_of(by_id[key]) for key in made}
    buckets = {key: tags[key][BUCKET_TAG] for key in made if BUCKET_TAG in tags[key]}
    stored = in_chunks(made, _IMAGE_IDS, lambda ids: _store_tasks(ids, buckets))
    return unknown | {key: _of_both(image, stored.get(key)) for key, image in by_id.items()}


def _of_both(
    image: "ImageTypeDef", stored: "StoreImageTaskResultTypeDef | InstanceBundleError | None"
) -> Task | InstanceBundleError:
    return stored if isinstance(stored, InstanceBundleError) else task_of(image, stored)


def _store_tasks(
    image_ids: Sequence[str], buckets: Mapping[str, str]
) -> "Mapping[str, StoreImageTaskResultTypeDef]":
    """The latest store task of each image, into its bucket if that is known: EC2 lists the latest
    first."""
    tasks: dict[str, StoreImageTaskResultTypeDef] = {}
    with aws.calling("ec2:DescribeStoreImageTasks"):
        response = aws.ec2().describe_store_image_tasks(ImageIds=image_ids)
    for task in response["StoreImageTaskResults"]:
        if task["Bucket"] == buckets.get(task["AmiId"], task["Bucket"]):
            tasks.setdefault(task["AmiId"], task)
    return tasks


def _is_unknown(stored: "StoreImageTaskResultTypeDef | InstanceBundleError") -> bool:
    """Whether EC2 does not know an image: one that is too new is not listed yet."""
    refusal = stored.refusal if isinstance(stored, Doubtful) else None
    return isinstance(refusal, Denied) and refusal.code.startswith("InvalidAMIID.")


def _task_of_gone(
    stored: "StoreImageTaskResultTypeDef | InstanceBundleError",
) -> Task | InstanceBundleError:
    if isinstance(stored, InstanceBundleError):
        return stored
    started = utc(stored["TaskStartTime"].timestamp())
    return _stored(Task(stored["AmiId"], "running", "", "", started, utc(time.time())), stored)


def task_of(image: "ImageTypeDef", stored: "StoreImageTaskResultTypeDef | None") -> Task:
    """The task of an image and, once there is one, of its storing."""
    now = utc(time.time())
    image_id, state = image["ImageId"], image["State"]
    snapshots = ",".join(images.snapshots_in(image))
    task = Task(
        *(image_id, "running", state, "0%", _created(image), now),
        image_id=image_id,
        snapshot_ids=snapshots,
    )
    if stored is None:
        match state:
            case "pending" | "transient":
                return task
            case "available":
                return with_state(task, "running", "available", "50%")
            case "disabled":
                why = "somebody has disabled it before it was stored. Redeploy to make another one."
                return _failed(task, state, why)
        reason = image.get("StateReason", {})
        return _failed(task, reason.get("Code", state), reason.get("Message", ""))
    return _stored(task, stored)


def _stored(task: Task, stored: "StoreImageTaskResultTypeDef") -> Task:
    match stored["StoreTaskState"]:
        case "Completed":
            return with_state(task, "complete", "complete", "100%")
        case "Failed":
            return _failed(task, "StoreTaskFailed", stored.get("StoreTaskFailureReason", ""))
    progress = 50 + min(int(stored.get("ProgressPercentage", 0)), 98) // 2
    return with_state(task, "running", "storing", f"{progress}%")


def with_state(task: Task, phase: Phase, state: str, progress: str) -> Task:
    """The task in another state."""
    return replace(task, phase=phase, state=state, progress=progress)


def _failed(task: Task, code: str, message: str) -> Task:
    return replace(task, phase="failed", state="failed", error_code=code, error_message=message)


def _created(image: "ImageTypeDef") -> str:
    return utc(datetime.fromisoformat(image["CreationDate"]).timestamp())
