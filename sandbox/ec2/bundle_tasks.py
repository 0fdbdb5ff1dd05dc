"""EC2's bundle tasks, as EC2 keeps them: one an instance, moved on by a clock.

Instances and their tags are moto's, and so are the buckets that bundles are written to. Tags on an
instance steer its next task:

* `sandbox:seconds`: how long it takes, 10 if absent;
* `sandbox:outcome`: `complete` (if absent), `failed`, or `hang`, which ends only by its cancel;
* `sandbox:error`: `Code: message` of a task that fails;
* `sandbox:bundle-id`: its ID, unless a task has it already;
* `sandbox:parts`: how many parts it writes, 3 if absent.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import Instance
from moto.s3.exceptions import MissingBucket
from moto.s3.models import S3Backend, s3_backends
from moto.utilities.utils import get_partition

from sandbox.ec2.bundle_filters import filter_of
from sandbox.ec2.bundle_objects import BundleObjects
from sandbox.ec2.bundle_task import BundleTask, S3Storage, View, new_task, utc
from sandbox.ec2.refusals import Ec2Error, missing
from sandbox.ec2.upload_policies import UploadRefused

LISTED_SECONDS = 3600
"""Seconds that a task is listed after its end; AWS says only "for a limited time"."""

_logger = logging.getLogger("sandbox")


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
        self._objects = BundleObjects(ec2, s3, clock)
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
                "received": utc(self._clock()).isoformat(),
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
            patterns = [filter_of(name, values) for name, values in filters.items()]
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
            raise missing("InstanceId")
        if not storage.bucket:
            raise missing("Storage.S3.Bucket")
        if not storage.prefix:
            raise missing("Storage.S3.Prefix")
        instance = self._instance(instance_id)
        self.advance()
        _check_kind(instance)
        if dry_run:
            raise Ec2Error(
                "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
            )
        self._check_state(instance)
        task = new_task(instance, storage, self._clock(), self._tasks)
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
                self._objects.write(task, whole=view.state == "complete")
            except MissingBucket:
                view = _refused(view, "The specified bucket does not exist")
            except UploadRefused as refusal:
                view = _refused(view, str(refusal))
        if view.state == "failed":
            self._objects.remove(task)
        self._shut_down_or_run(task, ended=view.ended, begun=view.state != "pending")
        return view

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
