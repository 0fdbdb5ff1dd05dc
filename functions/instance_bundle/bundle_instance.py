"""`Method: BundleInstance`, the classic way: Windows with an instance-store root volume."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from instance_bundle import access_key, aws, bundle_objects, instance, upload_policy
from instance_bundle.errors import Denied, NotDeletable, NothingDone, PassingFault
from instance_bundle.limits import Limits
from instance_bundle.method import Made, Outputs, Phase, Task, Work
from instance_bundle.properties import Image, Location, Target
from instance_bundle.telemetry import logger
from instance_bundle.upload_policy import UploadPolicy

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import BundleTaskTypeDef, S3StorageTypeDef, StorageTypeDef

FILTER_VALUES = 200
"""Values that one filter of an EC2 Describe call takes (EC2 API Reference, Filter)."""

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

    def rehearse(self, work: Work) -> None:
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
            own = denied.code == "BundlingInProgress" and self.find(work.target, work.since)
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

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task]:
        """Ask by filter, which does not fail where one of the tasks is no longer listed."""
        tasks: dict[str, Task] = {}
        for chunk in _chunks(sorted(task_ids), FILTER_VALUES):
            with aws.calling("ec2:DescribeBundleTasks"):
                response = aws.ec2().describe_bundle_tasks(
                    Filters=[{"Name": "bundle-id", "Values": chunk}]
                )
            tasks |= {task["BundleId"]: _task(task) for task in response["BundleTasks"]}
        return tasks

    def cancel(self, task_id: str) -> None:
        """Call CancelBundleTask, unless the task has ended or is being cancelled."""
        if not self._can_be_cancelled(task_id):
            return
        try:
            with aws.calling("ec2:CancelBundleTask"):
                aws.ec2().cancel_bundle_task(BundleId=task_id)
        except Denied:
            # It may have ended between the two calls.
            if self._can_be_cancelled(task_id):
                raise

    def advance(self, work: Work, task: Task) -> Task:  # noqa: ARG002
        """Nothing: a bundle task goes to its end by itself."""
        return task

    def amend(self, made: Made, old: Image, new: Image) -> None:
        """Nothing: a bundle has no description and no tags."""

    def is_taken(self, location: Location) -> bool:
        """Whether there is a manifest, which EC2 writes last."""
        return bundle_objects.fingerprint(location) is not None

    def has_finished(self, location: Location) -> bool:
        """Whether there is a manifest: EC2 lists a task for a limited time only."""
        return self.is_taken(location)

    def outputs(self, location: Location, task_id: str) -> Outputs:  # noqa: ARG002
        """The keys begin with the prefix, and the manifest is what an AMI is registered from."""
        return Outputs(
            prefix=location.prefix,
            s3_uri=location.s3_uri,
            manifest_location=f"{location.bucket}/{location.manifest_key}",
            image_id="",
        )

    def finished(self, location: Location, task: Task) -> str | None:
        """The entity tag of the manifest, if that is not newer than the task's end."""
        return bundle_objects.finished(location, task.updated)

    def remove(self, made: Made) -> None:
        """Remove the parts that the manifest names, then the manifest."""
        if not self._limits.deletes_objects:
            raise NotDeletable(made.location.s3_uri)
        bundle_objects.remove(made.location, made.fingerprint)

    def remove_leftovers(self, target: Target, task: Task) -> None:
        """Remove a bundle that was finished although its end was asked for, or parts without a
        manifest that are newer than the task's start."""
        location = target.location
        if not self._limits.deletes_objects:
            at = location.s3_uri
            logger.warning("Objects of a bundle may be left", at=at, task_id=task.id)
            return
        seal = self.finished(location, task) if task.phase == "complete" else None
        if seal is not None:
            bundle_objects.remove(location, seal)
        else:
            bundle_objects.remove_leftovers(location, task.started)

    def _prepare(self, work: Work) -> "StorageTypeDef":
        """See that the instance may be bundled; the storage to bundle it to."""
        properties, location = work.properties, work.target.location
        policy = properties.upload_policy
        try:
            instance.demand(properties.instance_id, "BundleInstance", self._limits.instance_tag)
            if properties.upload_credentials is not None:
                expires = work.until + _POLICY_OUTLASTS
                policy = _signed(properties.upload_credentials, location, expires)
        except PassingFault as fault:
            raise NothingDone(str(fault)) from fault
        return _storage(location, policy)

    def _can_be_cancelled(self, task_id: str) -> bool:
        task = self.describe([task_id]).get(task_id)
        return task is not None and task.phase == "running" and task.state != "cancelling"


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
        started=_utc(task["StartTime"]),
        updated=_utc(task["UpdateTime"]),
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


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _chunks(values: list[str], size: int) -> Iterable[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
