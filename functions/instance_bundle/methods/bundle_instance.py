"""`Method: BundleInstance`, the classic way: Windows with an instance-store root volume."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import access_key, bundle_objects, images, in_chunks, instance
from instance_bundle.errors import (
    Denied,
    Gone,
    InstanceBundleError,
    NameTaken,
    NotDeletable,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refusal,
    Refused,
)
from instance_bundle.methods.method import Bundle, Outputs, Phase, Task, Work, utc
from instance_bundle.request import Image, Location, Target, UploadPolicy, upload_policy
from instance_bundle.settings import Limits
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        BundleTaskTypeDef,
        ImageTypeDef,
        RegisterImageRequestTypeDef,
        S3StorageTypeDef,
        StorageTypeDef,
    )

# EC2's clock and ours may differ by this many seconds.
_CLOCK_SKEW = 5

_POLICY_OUTLASTS = 12 * 3600
"""Seconds for which an upload policy is good beyond the deadline: EC2 may be late, and recommends
12 hours or more (EC2 API Reference, S3Storage)."""


class BundleInstance:
    """The method that calls EC2 BundleInstance and watches its bundle task."""

    id_prefix = "bun-"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def dry_run(self, work: Work) -> None:
        """EC2 answers a rehearsal that would succeed with the error `DryRunOperation`."""
        storage = self._prepare(work)
        try:
            with aws.calling("ec2:BundleInstance"):
                aws.ec2_once().bundle_instance(
                    InstanceId=work.properties.instance_id, Storage=storage, DryRun=True
                )
        except Denied as denied:
            if denied.code != "DryRunOperation":
                raise

    def start(self, work: Work) -> Task:
        """Call BundleInstance, once.

        What the instance is busy with may be our own task, the answer to an earlier call lost.
        """
        storage = self._prepare(work)
        try:
            with aws.calling("ec2:BundleInstance"):
                response = aws.ec2_once().bundle_instance(
                    InstanceId=work.properties.instance_id, Storage=storage
                )
        except Denied as denied:
            own = denied.code == "BundlingInProgress" and self._own(work)
            if not own:
                raise
            return own
        return _task(response["BundleTask"])

    def find(self, target: Target, since: float) -> Task | None:
        """Bundle tasks have no tags: instance, location and time of start tell ours."""
        with aws.calling("ec2:DescribeBundleTasks"):
            response = aws.ec2().describe_bundle_tasks(
                Filters=[{"Name": "instance-id", "Values": [target.instance_id]}]
            )
        ours = [
            task
            for task in response["BundleTasks"]
            if _location(task) == target.location
            and task["StartTime"].timestamp() >= since - _CLOCK_SKEW
        ]
        return _task(max(ours, key=lambda task: task["StartTime"])) if ours else None

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        """Ask by filter, which does not fail where one of the tasks is no longer listed."""
        return in_chunks(sorted(task_ids), aws.FILTER_VALUES, _described)

    def cancel(self, task_id: str) -> bool:
        """Call CancelBundleTask, unless the task has ended or is being cancelled."""
        state = _running_state(task_id)
        if state in (None, "cancelling"):
            return state is not None
        try:
            with aws.calling("ec2:CancelBundleTask"):
                aws.ec2().cancel_bundle_task(BundleId=task_id)
        except Gone as gone:
            # EC2 may list it before it knows it here.
            if _running_state(task_id) is not None:
                raise Refused(gone) from gone
            return False
        except Denied:
            # It may have ended between the two calls.
            if _running_state(task_id) not in (None, "cancelling"):
                raise
            return False
        return True

    def has_next(self, work: Work, seen: Task) -> bool:
        """An AMI is registered of a complete bundle."""
        return work.properties.image is not None and seen.phase == "complete"

    def advance(self, work: Work, last: Task, seen: Task) -> Task:  # noqa: ARG002
        """Register the AMI once the bundle is complete."""
        image = work.properties.image
        if image is None or seen.phase != "complete":
            return seen
        made = Bundle(seen.id, work.target.request_id, work.target.location)
        return replace(seen, image_id=_registered(made, image, image))

    def update_image(self, made: Bundle, old: Image | None, new: Image | None) -> str:
        """Register another AMI from the bundle; one of the same name is changed instead."""
        return _registered(made, old or Image(), new) if new is not None else ""

    def is_taken(self, location: Location) -> bool:
        """Whether there is a manifest, which EC2 writes last."""
        return bundle_objects.manifest_etag(location) is not None

    def lost(self, task: Task, now: float) -> Refusal | None:  # noqa: ARG002
        """Nothing is known: EC2 lists bundle tasks for a limited time only."""
        return None

    def has_finished(self, location: Location) -> bool:
        """Whether there is a manifest: EC2 lists a task for a limited time only."""
        return self.is_taken(location)

    def outputs(self, location: Location, task: Task) -> Outputs:  # noqa: ARG002
        """The keys begin with the prefix, and the manifest is what an AMI is registered from."""
        return Outputs(
            prefix=location.prefix,
            s3_uri=location.s3_uri,
            manifest_location=_manifest_location(location),
        )

    def finished(self, location: Location, task: Task) -> str | None:
        """The entity tag of the manifest, if that is not newer than the task's end."""
        return bundle_objects.finished(location, task.updated)

    def remove(self, made: Bundle) -> None:
        """Deregister the AMIs, then remove the parts that the manifest names, then the manifest."""
        if not self._limits.deletes_objects:
            raise NotDeletable(made.location.s3_uri)
        _deregister_all(made)
        bundle_objects.remove(made.location, made.etag)

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """Remove a bundle that was finished although its end was asked for, with its AMIs, or parts
        without a manifest that are newer than the task's start."""
        location, limits = target.location, self._limits
        if task.phase == "complete" and (limits.makes_images or limits.deletes_objects):
            _deregister_all(Bundle(task.id, target.request_id, location))
        if not limits.deletes_objects:
            at = location.s3_uri
            logger.warning("Objects of a bundle may be left", at=at, task_id=task.id)
            return
        etag = self.finished(location, task) if task.phase == "complete" else None
        if etag is not None:
            bundle_objects.remove(location, etag)
        else:
            bundle_objects.remove_leftovers(location, task.started)

    def _prepare(self, work: Work) -> "StorageTypeDef":
        """See that the instance may be bundled; the storage to bundle it to."""
        properties, location = work.properties, work.target.location
        policy = properties.upload_policy
        try:
            instance.require_suitable(
                properties.instance_id, "BundleInstance", self._limits.instance_tag
            )
            if properties.image is not None and properties.image.name is not None:
                _require_free_name(properties.image.name)
            if properties.upload_credentials is not None:
                expires = work.until + _POLICY_OUTLASTS
                policy = _signed(properties.upload_credentials, location, expires)
        except NothingDone:
            raise
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault
        return _storage(location, policy)

    def _own(self, work: Work) -> Task | None:
        """The work's own task, if that may be what the instance is busy with."""
        try:
            return self.find(work.target, work.since)
        except NothingDone as error:  # of the look: what runs may be ours
            raise PassingFault(str(error)) from error


def _running_state(task_id: str) -> str | None:
    """EC2's word for how far a task is; None where it has ended."""
    task = _described([task_id]).get(task_id)
    return task.state if task is not None and task.phase == "running" else None


def _described(task_ids: Sequence[str]) -> Mapping[str, Task]:
    with aws.calling("ec2:DescribeBundleTasks"):
        response = aws.ec2().describe_bundle_tasks(
            Filters=[{"Name": "bundle-id", "Values": task_ids}]
        )
    return {task["BundleId"]: _task(task) for task in response["BundleTasks"]}


def _registered(made: Bundle, old: Image, new: Image) -> str:
    """The AMI of a bundle that has what is described now, registered unless it is there already.

    All AMIs of a bundle carry the ID of the request that made it; their names tell them apart.

    Raises:
        NotRegistered: EC2 refuses, or the AMI failed.
        PassingFault: not known, or not available yet.
    """
    name = new.name or _made_name(made, new)
    image = _existing(made, new, name) or _seen(_register(made, new, name))
    if image["State"] == "pending":
        raise NothingDone(f"the AMI {image['ImageId']} is not available yet")
    if image["State"] != "available":
        why = image.get("StateReason", {}).get("Message", "")
        state = f"{image['ImageId']} is {image['State']}. {why}"
        raise NotRegistered(made.physical_id, made.location.s3_uri, state)
    if new != old:
        images.update([image["ImageId"]], _as_it_may_be(image, old, new), new)
    return image["ImageId"]


def _existing(made: Bundle, image: Image, name: str) -> "ImageTypeDef | None":
    return next((each for each in _all(made) if _is(each, image, name)), None)


def _is(found: "ImageTypeDef", image: Image, name: str) -> bool:
    return found["Name"] == name and image.architecture in (None, found["Architecture"])


def _as_it_may_be(image: "ImageTypeDef", old: Image, new: Image) -> Image:
    """What an AMI has of what is described, where that has to change: as the stack described it
    before, which EC2 may not show yet; or as EC2 shows it, where an Update before registered it."""
    shown, is_this = images.tags_of(image), new.name is not None and old.name == new.name
    before = {
        key: old.tags.get(key)
        if is_this and old.tags.get(key) != new.tags.get(key)
        else shown.get(key)
        for key in {*old.tags, *new.tags}
    }
    is_changed = is_this and old.description != new.description
    return replace(
        old,
        description=old.description if is_changed else image.get("Description", ""),
        tags={key: value for key, value in before.items() if value is not None},
    )


def _all(made: Bundle) -> "list[ImageTypeDef]":
    """The AMIs that were registered from a bundle; a copy of one has its tags, not its place."""
    at = _manifest_location(made.location)
    found = images.describe([images.made_for(made.made_by)])
    return [image for image in found if image["ImageLocation"] == at]


def _seen(image_id: str) -> "ImageTypeDef":
    found = images.describe([{"Name": "image-id", "Values": [image_id]}])
    if not found:
        raise PassingFault(f"the AMI {image_id} can't be seen yet")
    return found[0]


def _register(made: Bundle, image: Image, name: str) -> str:
    tags = images.tags(images.all_tags(image, made.made_by))
    given: RegisterImageRequestTypeDef = {
        "Name": name,
        "ImageLocation": _manifest_location(made.location),
        # What runs Windows; EC2 takes an AMI for a paravirtual one where nothing is said.
        "VirtualizationType": "hvm",
        "TagSpecifications": [{"ResourceType": "image", "Tags": tags}],
    }
    if image.description:
        given["Description"] = image.description
    if image.architecture is not None:
        given["Architecture"] = image.architecture
    try:
        with aws.calling("ec2:RegisterImage"):
            image_id = aws.ec2_once().register_image(**given)["ImageId"]
    except Denied as denied:
        own = denied.code == images.NAME_TAKEN and images.own_of_taken_name(name, made.made_by)
        if own and own["ImageLocation"] == given["ImageLocation"] and _is(own, image, name):
            return own["ImageId"]
        raise NotRegistered(made.physical_id, made.location.s3_uri, str(denied)) from denied
    except Refused as refused:
        raise Refused(
            NotRegistered(made.physical_id, made.location.s3_uri, str(refused))
        ) from refused
    logger.info("Registered", image_id=image_id, task_id=made.physical_id)
    return image_id


def _made_name(made: Bundle, image: Image) -> str:
    """A name that tells the AMIs of a bundle apart, and is the same on every retry."""
    described = json.dumps(asdict(image), sort_keys=True)
    distinction = hashlib.sha256(described.encode()).hexdigest()[:8]
    return images.made_name(made.location, made.made_by, f"-{distinction}")


def _require_free_name(name: str) -> None:
    """See that no AMI has a name, before an hour is spent on the bundle that is to get it."""
    found = images.describe([images.named(name)])
    if found:
        raise NameTaken(name, found[0]["ImageId"])


def _deregister_all(made: Bundle) -> None:
    for image in _all(made):
        images.deregister(image["ImageId"])


def _manifest_location(location: Location) -> str:
    return f"{location.bucket}/{location.manifest_key}"


def _signed(secret_arn: str, location: Location, expires: float) -> UploadPolicy:
    key = access_key.read(secret_arn)
    document = upload_policy.make(location.bucket, location.prefix, expires)
    return UploadPolicy(
        key.access_key_id, document, upload_policy.sign(document, key.secret_access_key)
    )


def _storage(location: Location, policy: UploadPolicy | None) -> "StorageTypeDef":
    s3: S3StorageTypeDef = {"Bucket": location.bucket, "Prefix": location.prefix}
    if policy is not None:
        s3["AWSAccessKeyId"] = policy.access_key_id
        s3["UploadPolicy"] = policy.document
        s3["UploadPolicySignature"] = policy.signature
    return {"S3": s3}


def _location(task: "BundleTaskTypeDef") -> Location:
    s3 = task["Storage"]["S3"]
    return Location(s3.get("Bucket", ""), s3.get("Prefix", ""))


def _task(task: "BundleTaskTypeDef") -> Task:
    error = task.get("BundleTaskError", {})
    return Task(
        id=task["BundleId"],
        phase=_phase(task["State"]),
        state=task["State"],
        progress=task.get("Progress", ""),
        started=utc(task["StartTime"].timestamp()),
        updated=utc(task["UpdateTime"].timestamp()),
        error_code=error.get("Code", ""),
        error_message=error.get("Message", ""),
    )


def _phase(state: str) -> Phase:
    match state:
        case "complete":
            return "complete"
        case "failed":
            return "failed"
        case _:
            return "running"
