"""EC2's bundle tasks, as EC2 keeps them: one an instance, moved on by a clock.

Instances and their tags are moto's, and so are the buckets that bundles are written to. Tags on an
instance steer its next task:

* `sandbox:seconds`: how long it takes, 10 if absent;
* `sandbox:outcome`: `complete` (if absent), `failed`, or `hang`, which ends only by its cancel;
* `sandbox:error`: `Code: message` of a task that fails;
* `sandbox:bundle-id`: its ID, unless a task has it already;
* `sandbox:parts`: how many parts it writes, 3 if absent.
"""

import hashlib
import logging
import re
import secrets
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import translate
from math import inf
from typing import Any
from xml.etree import ElementTree

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance
from moto.s3.exceptions import MissingBucket
from moto.s3.models import S3Backend, s3_backends
from moto.utilities.utils import get_partition

from sandbox.ec2 import SERVICE, steering
from sandbox.ec2.access_keys import secret_of
from sandbox.ec2.upload_policies import SignedPolicy, Upload, UploadRefused, verify
from sandbox.events.object_events import requested_by

LISTED_SECONDS = 3600
"""Seconds that a task is listed after its end; AWS says only "for a limited time"."""

CANCEL_SECONDS = 1.0
"""Seconds that a cancel takes at most."""

FILTER_VALUES = 200
"""Values that one filter takes (EC2 API Reference, Filter)."""

_PART_BYTES = 1024
_DEFAULT_ERROR = ("Server.InternalError", "An internal error has occurred")

# What part of its time a task has behind it when it enters a state.
_BEGINS = (
    (0.0, "pending"),
    (0.05, "waiting-for-shutdown"),
    (0.15, "bundling"),
    (0.6, "storing"),
)
_HANGS_AT = 0.41

_logger = logging.getLogger("sandbox")


class Ec2Error(Exception):
    """What EC2 answers instead: its error code and message."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class S3Storage:
    """Where a bundle goes, as the request says it.

    Attributes:
        upload_policy: decoded once from the wire's base64.
        upload_policy_base64: the text on the wire, which is what was signed.
    """

    bucket: str
    prefix: str
    aws_access_key_id: str | None
    upload_policy: str | None
    upload_policy_signature: str | None
    upload_policy_base64: str | None

    @property
    def signed_policy(self) -> SignedPolicy | None:
        """The upload policy; None if the request says nothing of one."""
        given = (
            self.aws_access_key_id,
            self.upload_policy_base64,
            self.upload_policy_signature,
        )
        return None if given == (None, None, None) else SignedPolicy(*given)

    def described(self) -> dict[str, Any]:
        """As EC2 spells it, without what was not given."""
        members = {
            "Bucket": self.bucket,
            "Prefix": self.prefix,
            "AWSAccessKeyId": self.aws_access_key_id,
            "UploadPolicy": self.upload_policy,
            "UploadPolicySignature": self.upload_policy_signature,
        }
        return {"S3": {name: value for name, value in members.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class View:
    """A task as it reads at one moment.

    Attributes:
        progress: such as `20%`; None while EC2 says nothing.
        updated: epoch seconds.
        error: code and message of a failed task.
    """

    state: str
    progress: str | None
    updated: float
    error: tuple[str, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether the task will not change any more."""
        return self.state in {"complete", "failed"}


@dataclass(slots=True)
class BundleTask:
    """One task. Only `view` and `cancelled` change."""

    bundle_id: str
    instance_id: str
    storage: S3Storage
    started: float
    seconds: float
    outcome: str
    error: tuple[str, str]
    parts: int
    view: View
    cancelled: float | None = None
    written: list[str] = field(default_factory=list)

    def at(self, now: float) -> View:
        """How the task reads at a moment, as far as nothing outside stops it."""
        if self.cancelled is not None:
            return self._cancelled_at(now, self.cancelled)
        done = (now - self.started) / self.seconds
        if self.outcome == "hang":
            done = min(done, _HANGS_AT)
        if done >= 1:
            end = self.started + self.seconds
            if self.outcome == "failed":
                return View("failed", self.view.progress, end, self.error)
            # It reads so once its manifest is written, which is now.
            return View("complete", "100%", now)
        state = [name for begins, name in _BEGINS if done >= begins][-1]
        progress = f"{int(done * 10)}0%" if state in {"bundling", "storing"} else None
        return View(state, progress, now)

    def _cancelled_at(self, now: float, cancelled: float) -> View:
        end = cancelled + min(CANCEL_SECONDS, self.seconds)
        if now < end:
            return View("cancelling", self.view.progress, cancelled)
        error = ("Client.Cancelled", "User has requested bundling operation cancellation")
        return View("failed", self.view.progress, end, error)

    def described(self) -> dict[str, Any]:
        """As DescribeBundleTasks answers it."""
        error = self.view.error
        members = {
            "BundleId": self.bundle_id,
            "InstanceId": self.instance_id,
            "State": self.view.state,
            "StartTime": _utc(self.started),
            "UpdateTime": _utc(self.view.updated),
            "Storage": self.storage.described(),
            "Progress": self.view.progress,
            "BundleTaskError": error and {"Code": error[0], "Message": error[1]},
        }
        return {name: value for name, value in members.items() if value is not None}


class BundleTasks:
    """The bundle tasks of one account and region.

    Args:
        ec2: moto's backend, which has the instances.
        s3: moto's backend, which has the buckets.
        clock: epoch seconds.
    """

    def __init__(self, ec2: EC2Backend, s3: S3Backend, clock: Callable[[], float]) -> None:
        self.received: list[dict[str, Any]] = []
        self._ec2 = ec2
        self._s3 = s3
        self._clock = clock
        self._tasks: dict[str, BundleTask] = {}
        self._lock = threading.RLock()

    def bundle(self, instance_id: str | None, storage: S3Storage, *, dry_run: bool) -> BundleTask:
        """Start a task, and record the request, also if it fails.

        Raises:
            Ec2Error: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            request = {
                "InstanceId": instance_id,
                "Storage": storage.described(),
                "DryRun": dry_run,
                "received": _utc(self._clock()).isoformat(),
            }
            self.received.append(request)
            try:
                task = self._start(instance_id, storage, dry_run=dry_run)
            except Ec2Error as error:
                request["Error"] = error.code
                raise
            request["BundleId"] = task.bundle_id
            return task

    def describe(
        self,
        bundle_ids: Iterable[str],
        filters: Mapping[str, list[str]],
        *,
        started_by: float = inf,
    ) -> list[BundleTask]:
        """The tasks with these IDs, or all, that the filters let through.

        Args:
            started_by: epoch seconds; tasks that were started later are not listed yet.

        Raises:
            Ec2Error: an ID is not listed, or a filter is not one.
        """
        with self._lock:
            self.advance()
            tasks = list(self._tasks.values())
            listed = {task.bundle_id: task for task in tasks if task.started <= started_by}
            for bundle_id in bundle_ids:
                if bundle_id not in listed:
                    raise Ec2Error(
                        "InvalidBundleID.NotFound", f"The bundle ID '{bundle_id}' does not exist"
                    )
            wanted = [listed[id_] for id_ in bundle_ids] or list(listed.values())
            patterns = [_filter(name, values) for name, values in filters.items()]
            return [task for task in wanted if all(passes(task) for passes in patterns)]

    def cancel(self, bundle_id: str, *, started_by: float = inf) -> BundleTask:
        """Have a task end; one that is being cancelled goes on being so.

        Args:
            started_by: epoch seconds; tasks that were started later are not known yet.

        Raises:
            Ec2Error: the task is not listed, or has ended.
        """
        with self._lock:
            [task] = self.describe([bundle_id], {}, started_by=started_by)
            if task.view.ended:
                raise Ec2Error(
                    "IncorrectState",
                    f"The bundle task '{bundle_id}' has ended, it is {task.view.state}",
                )
            if task.cancelled is None:
                task.cancelled = self._clock()
                self.advance()
            return task

    def advance(self) -> None:
        """Bring tasks, instances and objects to where they are now."""
        with self._lock:
            now = self._clock()
            for task in list(self._tasks.values()):
                if not task.view.ended:
                    self._move(task, task.at(now))
                elif now >= task.view.updated + LISTED_SECONDS:
                    del self._tasks[task.bundle_id]

    def _start(self, instance_id: str | None, storage: S3Storage, *, dry_run: bool) -> BundleTask:
        if not instance_id:
            raise _missing("InstanceId")
        if not storage.bucket:
            raise _missing("Storage.S3.Bucket")
        if not storage.prefix:
            raise _missing("Storage.S3.Prefix")
        instance = self._instance(instance_id)
        self.advance()
        _check_kind(instance)
        if dry_run:
            raise Ec2Error(
                "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
            )
        self._check_state(instance)
        task = _new_task(instance, storage, self._clock(), self._tasks)
        self._tasks[task.bundle_id] = task
        return task

    def _instance(self, instance_id: str) -> Instance:
        if not re.fullmatch(r"i-[0-9a-f]{8}([0-9a-f]{9})?", instance_id):
            raise Ec2Error(
                "InvalidInstanceID.Malformed",
                f'Invalid id: "{instance_id}" (expecting "i-...")',
            )
        instance = self._ec2.get_instance_by_id(instance_id)
        if instance is None:
            raise Ec2Error(
                "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist"
            )
        return instance

    def _check_state(self, instance: Instance) -> None:
        if any(
            task.instance_id == instance.id and not task.view.ended for task in self._tasks.values()
        ):
            raise Ec2Error(
                "BundlingInProgress",
                f"The instance '{instance.id}' has a bundle task that has not ended",
            )
        if instance.state != "running":
            raise Ec2Error(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in the 'running' state",
            )

    def _move(self, task: BundleTask, view: View) -> None:
        """Do what a state brings with it, and only then let the task read so."""
        if view.state != task.view.state:
            view = self._enter(task, view)
        task.view = view

    def _enter(self, task: BundleTask, view: View) -> View:
        if view.state in {"storing", "complete"}:
            try:
                self._write(task, whole=view.state == "complete")
            except MissingBucket:
                view = _refused(view, "The specified bucket does not exist")
            except UploadRefused as refusal:
                view = _refused(view, str(refusal))
        if view.state == "failed":
            self._remove_written(task)
        self._shut_down_or_run(task, ended=view.ended, begun=view.state != "pending")
        return view

    def _write(self, task: BundleTask, *, whole: bool) -> None:
        """Write the parts, and when the bundle is whole the manifest, which comes last."""
        parts = [_part(task, number) for number in range(task.parts)]
        for number, part in enumerate(parts):
            self._put(task, f"{task.storage.prefix}.part.{number}", part)
        if whole:
            self._put(task, f"{task.storage.prefix}.manifest.xml", _manifest(task, parts))

    def _put(self, task: BundleTask, key: str, content: bytes) -> None:
        if key not in task.written:
            self._admit(task.storage, key, content)
            with requested_by(SERVICE):
                self._s3.put_object(task.storage.bucket, key, content)
            task.written.append(key)

    def _admit(self, storage: S3Storage, key: str, content: bytes) -> None:
        """Refuse an object that the request's upload policy, or its bucket, does not allow."""
        policy = storage.signed_policy
        if policy is None:
            return
        verify(policy, Upload(storage.bucket, key, len(content)), self._secret_of, self._clock())
        # moto says that it keeps a dict; what it keeps is the rule's name.
        ownership: Any = self._s3.get_bucket_ownership_controls(storage.bucket)
        if ownership == "BucketOwnerEnforced":
            raise UploadRefused("The bucket does not allow ACLs")

    def _secret_of(self, access_key_id: str) -> str | None:
        partition = get_partition(self._ec2.region_name)
        return secret_of(self._ec2.account_id, partition, access_key_id)

    def _remove_written(self, task: BundleTask) -> None:
        with requested_by(SERVICE):
            for key in task.written:
                self._s3.delete_object(task.storage.bucket, key)
        task.written.clear()

    def _shut_down_or_run(self, task: BundleTask, *, ended: bool, begun: bool) -> None:
        instance = self._ec2.get_instance_by_id(task.instance_id)
        if instance is None:
            return
        if ended and instance.state == "stopped":
            instance.start()
        elif begun and not ended and instance.state == "running":
            instance.stop()


def of(account_id: str, region: str, clock: Callable[[], float]) -> BundleTasks:
    """The bundle tasks of an account and region; moto's reset of its backend forgets them."""
    backend = ec2_backends[account_id][region]
    tasks: BundleTasks | None = vars(backend).get("bundle_tasks")
    if tasks is None:
        s3 = s3_backends[account_id][get_partition(region)]
        tasks = BundleTasks(backend, s3, clock)
        vars(backend)["bundle_tasks"] = tasks
    return tasks


def advance_all() -> None:
    """Bring the tasks of all accounts and regions to where they are now; never raises."""
    for tasks in _all():
        try:
            tasks.advance()
        except Exception:
            _logger.exception("Bundle tasks could not be advanced")


def requests_received() -> list[dict[str, Any]]:
    """Each BundleInstance request as it was received, oldest first."""
    return sorted(
        (request for tasks in _all() for request in tasks.received),
        key=lambda request: str(request["received"]),
    )


def _all() -> list[BundleTasks]:
    return [
        vars(backend)["bundle_tasks"]
        for regions in list(ec2_backends.values())
        for backend in list(regions.values())
        if "bundle_tasks" in vars(backend)
    ]


def _refused(view: View, message: str) -> View:
    """A task that failed where it was to be as viewed, since S3 refused an object."""
    return replace(view, state="failed", error=("Client.S3Error", message))


def _check_kind(instance: Instance) -> None:
    if (instance.platform or "").lower() != "windows":
        raise Ec2Error(
            "OperationNotPermitted",
            f"The instance '{instance.id}' does not run Windows. This action is not "
            "applicable for Linux/Unix instances.",
        )
    if instance.root_device_type != "instance-store":
        raise Ec2Error(
            "OperationNotPermitted",
            f"The instance '{instance.id}' is backed by Amazon EBS. This action is not "
            "applicable for Windows instances that are backed by Amazon EBS.",
        )


def _missing(parameter: str) -> Ec2Error:
    return Ec2Error("MissingParameter", f"The request must contain the parameter {parameter}")


def _new_task(
    instance: Instance, storage: S3Storage, now: float, taken: Container[str]
) -> BundleTask:
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    code, _, message = tags.get("sandbox:error", "").partition(": ")
    steered = tags.get("sandbox:bundle-id")
    return BundleTask(
        bundle_id=steered
        if steered and steered not in taken
        else f"bun-{secrets.token_hex(9)[:17]}",
        instance_id=instance.id,
        storage=storage,
        started=now,
        seconds=_seconds(tags.get("sandbox:seconds", "10")),
        outcome=_outcome(tags.get("sandbox:outcome", "complete")),
        error=(code, message) if code else _DEFAULT_ERROR,
        parts=int(steering.number(tags, "sandbox:parts", "3")),
        view=View("pending", None, now),
    )


def _seconds(text: str) -> float:
    try:
        return max(float(text), 0.001)
    except ValueError:
        raise Ec2Error(
            "InvalidParameterValue", f"The tag sandbox:seconds is no number: '{text}'"
        ) from None


def _outcome(text: str) -> str:
    if text not in {"complete", "failed", "hang"}:
        raise Ec2Error(
            "InvalidParameterValue",
            f"The tag sandbox:outcome is complete, failed or hang, not '{text}'",
        )
    return text


def _filter(name: str, values: list[str]) -> Callable[[BundleTask], bool]:
    if len(values) > FILTER_VALUES:
        raise Ec2Error(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {FILTER_VALUES}",
        )
    if name not in _FILTERED:
        raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")
    patterns = [re.compile(translate(value.replace("[", "[[]"))) for value in values]
    read = _FILTERED[name]
    return lambda task: any(pattern.fullmatch(read(task) or "") for pattern in patterns)


_FILTERED: Mapping[str, Callable[[BundleTask], str | None]] = {
    "bundle-id": lambda task: task.bundle_id,
    "error-code": lambda task: task.view.error and task.view.error[0],
    "error-message": lambda task: task.view.error and task.view.error[1],
    "instance-id": lambda task: task.instance_id,
    "progress": lambda task: task.view.progress,
    "s3-bucket": lambda task: task.storage.bucket,
    "s3-prefix": lambda task: task.storage.prefix,
    "start-time": lambda task: f"{_utc(task.started):%Y-%m-%dT%H:%M:%S.000Z}",
    "state": lambda task: task.view.state,
    "update-time": lambda task: f"{_utc(task.view.updated):%Y-%m-%dT%H:%M:%S.000Z}",
}


def _part(task: BundleTask, number: int) -> bytes:
    seed = f"{task.bundle_id}.{number}".encode()
    return (hashlib.sha256(seed).digest() * (_PART_BYTES // 32))[:_PART_BYTES]


def _manifest(task: BundleTask, parts: list[bytes]) -> bytes:
    """The manifest of a bundle, in the form of EC2's AMI tools."""
    name = task.storage.prefix.rpartition("/")[2]
    manifest = ElementTree.Element("manifest")
    _add(manifest, "version", "2007-10-10")
    bundler = ElementTree.SubElement(manifest, "bundler")
    _add(bundler, "name", "cfn-instance-bundle-sandbox")
    _add(bundler, "version", "1.0")
    machine = ElementTree.SubElement(manifest, "machine_configuration")
    _add(machine, "architecture", "x86_64")
    image = ElementTree.SubElement(manifest, "image")
    _add(image, "name", name)
    _add(image, "type", "machine")
    _add(image, "digest", hashlib.sha1(b"".join(parts)).hexdigest(), algorithm="SHA1")  # noqa: S324
    _add(image, "size", str(sum(map(len, parts))))
    _add(image, "bundled_size", str(sum(map(len, parts))))
    listed = ElementTree.SubElement(image, "parts", count=str(len(parts)))
    for number, content in enumerate(parts):
        part = ElementTree.SubElement(listed, "part", index=str(number))
        _add(part, "filename", f"{name}.part.{number}")
        _add(part, "digest", hashlib.sha1(content).hexdigest(), algorithm="SHA1")  # noqa: S324
    text: bytes = ElementTree.tostring(manifest, encoding="utf-8", xml_declaration=True)
    return text


def _add(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
