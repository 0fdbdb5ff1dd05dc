"""`Method: BundleInstance`, the classic method: Windows with an instance-store root volume."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import (
    Written,
    access_key,
    bucket,
    bundle_objects,
    images,
    in_chunks,
    instance,
    object_locks,
    objects,
)
from instance_bundle.errors import (
    Denied,
    Gone,
    InstanceBundleError,
    NotDeletable,
    NothingDone,
    PassingFault,
    Refusal,
    Refused,
)
from instance_bundle.methods import registration
from instance_bundle.methods.method import Bundle, Outputs, Phase, Task, Work, utc
from instance_bundle.request import Image, Location, RequestKey, Target, UploadPolicy, upload_policy
from instance_bundle.settings import Limits, is_paused
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        BundleTaskTypeDef,
        S3StorageTypeDef,
        StorageTypeDef,
    )

# EC2's clock and ours may differ by this many seconds.
_CLOCK_SKEW = 5

START_TIME = "StartTime"
"""The attribute with the start of a task."""

_POLICY_OUTLASTS = 12 * 3600
"""Seconds for which an upload policy is valid after the deadline: EC2 may be late, and recommends
12 hours or more (EC2 API Reference, S3Storage)."""


class BundleInstance:
    """The method that calls EC2 BundleInstance and polls its bundle task."""

    id_prefix = "bun-"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def dry_run(self, work: Work) -> None:
        """EC2 answers a dry run that would succeed with the error `DryRunOperation`."""
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

        BundlingInProgress may be about our own task, if the answer to an earlier call was lost.
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
        """Bundle tasks have no tags: ours is found by instance, location and start time."""
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
        """Ask by filter, which does not fail if one of the tasks is no longer listed."""
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
            # EC2 may list a task before CancelBundleTask finds it.
            if _running_state(task_id) is not None:
                raise Refused(gone) from gone
            return False
        except Denied:
            # It may have ended between the two calls.
            if _running_state(task_id) not in (None, "cancelling"):
                raise
            return False
        return True

    def after_cancel(self, task: Task) -> str:  # noqa: ARG002
        """EC2 cancels it."""
        return "its cancel was requested"

    def has_next(self, work: Work, seen: Task) -> bool:
        """An AMI is registered from a complete bundle."""
        is_next = work.properties.image is not None and seen.phase == "complete"
        return is_next and not is_paused()

    def advance(self, work: Work, last: Task, seen: Task) -> Task:  # noqa: ARG002
        """Register the AMI once the bundle is complete."""
        image = work.properties.image
        if image is None or seen.phase != "complete":
            return seen
        made = Bundle(seen.id, work.target.request_id, work.target.location)
        return replace(seen, image_id=registration.registered(made, work.key, image, image))

    def update_image(
        self, made: Bundle, key: RequestKey, old: Image | None, new: Image | None
    ) -> str:
        """Register another AMI from the bundle; an AMI with the same name is changed instead."""
        return registration.registered(made, key, old or Image(), new) if new is not None else ""

    def is_taken(self, location: Location) -> bool:
        """Whether there is a manifest or a part."""
        return bundle_objects.has_any(location)

    def hint(self, target: Target) -> str:
        """Whether the bucket exists, if S3 does not say."""
        return bucket.denial(target.location.bucket)

    def lost(self, task: Task, now: float) -> Refusal | None:  # noqa: ARG002
        """Nothing follows from it: EC2 lists bundle tasks for a limited time only."""
        return None

    def has_finished(self, location: Location) -> bool:
        """Whether there is a manifest: EC2 lists a task for a limited time only."""
        return bundle_objects.has_manifest(location)

    def outputs(self, location: Location, task: Task) -> Outputs:  # noqa: ARG002
        """The keys begin with the prefix, and the manifest is what an AMI is registered from."""
        return Outputs(
            prefix=location.prefix,
            s3_uri=location.s3_uri,
            manifest_location=registration.manifest_location(location),
        )

    def finished(self, location: Location, task: Task) -> Written | None:
        """The manifest, if that is not newer than the task's end."""
        return bundle_objects.finished(location, task.updated)

    def removable(self, made: Bundle) -> Bundle:
        """Check the manifest, Object Lock, and the protection of the AMIs."""
        location = made.location
        if not self._limits.deletes_objects:
            raise NotDeletable(location.s3_uri)
        if self._limits.deletes_versions and made.etag and not made.version:
            found = objects.find(location.bucket, location.manifest_key, made.written)
            made = replace(made, version=found.version if found else "")
        bundle_objects.require_removable(*self._removal(made))
        registration.require_removable(made)
        return made

    def remove(self, made: Bundle) -> bool:
        """Deregister the AMIs, then remove the parts that the manifest names, then the manifest."""
        registration.deregister_all(made)
        removal = bundle_objects.remove(*self._removal(made))
        object_locks.require_none(removal.locked, "what it does not protect was removed")
        return removal.is_gone

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """Remove a bundle that was finished although cancellation was requested, with its AMIs, or
        parts without a manifest that are newer than the task's start. What Object Lock protects is
        kept, and the log names it: work that failed must not fail a rollback."""
        location, limits = target.location, self._limits
        if task.phase == "complete" and (limits.makes_images or limits.deletes_objects):
            registration.deregister_all(Bundle(task.id, target.request_id, location))
        if not limits.deletes_objects:
            at = location.s3_uri
            logger.warning("Objects of a bundle may be left", at=at, task_id=task.id)
            return
        written = self.finished(location, task) if task.phase == "complete" else None
        if written is not None:
            written = written.removed_as(versions=limits.deletes_versions)
            locked = bundle_objects.remove(location, written, task.started).locked
        else:
            versions = limits.deletes_versions
            locked = bundle_objects.remove_leftovers(location, task.started, versions=versions)
        object_locks.log_kept(locked)

    def _removal(self, made: Bundle) -> tuple[Location, Written, str]:
        """Where a bundle is, its manifest, and when its task started: without that, it is not known
        which versions are the bundle's."""
        since = made.attributes.get(START_TIME, "")
        versions = self._limits.deletes_versions and bool(since)
        return made.location, made.written.removed_as(versions=versions), since

    def _prepare(self, work: Work) -> "StorageTypeDef":
        """Check that the instance may be bundled; returns the storage to bundle it to."""
        properties, location = work.properties, work.target.location
        policy = properties.upload_policy
        try:
            instance.require_suitable(
                properties.instance_id, "BundleInstance", self._limits.instance_tag
            )
            bucket.require_here(properties.bucket)
            if properties.image is not None and properties.image.name is not None:
                images.require_free_name(properties.image.name, work.target.request_id)
            if properties.upload_credentials is not None:
                expires = work.until + _POLICY_OUTLASTS
                policy = _signed(properties.upload_credentials, location, expires)
        except NothingDone:
            raise
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault
        return _storage(location, policy)

    def _own(self, work: Work) -> Task | None:
        """The work's own task, if the instance's task in progress is that one."""
        try:
            return self.find(work.target, work.since)
        except NothingDone as error:  # true only of the read; the task in progress may be ours
            raise PassingFault(str(error)) from error


def _running_state(task_id: str) -> str | None:
    """EC2's state of a task; None if it has ended."""
    task = _described([task_id]).get(task_id)
    return task.state if task is not None and task.phase == "running" else None


def _described(task_ids: Sequence[str]) -> Mapping[str, Task]:
    with aws.calling("ec2:DescribeBundleTasks"):
        response = aws.ec2().describe_bundle_tasks(
            Filters=[{"Name": "bundle-id", "Values": task_ids}]
        )
    return {task["BundleId"]: _task(task) for task in response["BundleTasks"]}


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
