"""The methods, on the sandbox's models instead of calls of EC2 and S3.

A step of a method that removes several things can fail between two of them (`Cut`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from instance_bundle import methods
from instance_bundle.aws import images as images_of_aws
from instance_bundle.aws.refusals import meaning
from instance_bundle.errors import InstanceBundleError, PassingFault
from instance_bundle.methods import Bundle, Task, Work, Written, known, utc
from instance_bundle.methods.method import Phase, parsed
from instance_bundle.methods.store_task import BUCKET_TAG
from instance_bundle.request import Image, Location, RequestKey, Target
from instance_bundle.settings import Limits
from sandbox.ec2.bundle_task import BundleTask, S3Storage
from sandbox.ec2.image_rules import NewImage
from sandbox.ec2.refusals import Ec2Error
from tests.model.cloud import Cloud, is_part

_SKEW = 5


@dataclass
class Cut:
    """Has a step that removes several things fail after the first of them, if it is armed."""

    is_armed: bool = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Have the next step fail."""
        self.is_armed = True
        try:
            yield
        finally:
            self.is_armed = False

    def here(self) -> None:
        """Fail here, between two of the things, if it is armed.

        Raises:
            PassingFault: the step fails.
        """
        if self.is_armed:
            self.is_armed = False
            raise PassingFault("the connection was lost between two removals")


@contextmanager
def _calling(call: str) -> Iterator[None]:
    try:
        yield
    except Ec2Error as error:
        raise meaning(call, error.code, error.message, 400) from error
    except EC2ClientError as error:
        raise meaning(call, error.code, error.message, 400) from error


class BundleInstance(methods.BundleInstance):
    """`Method: BundleInstance`, without an AMI."""

    def __init__(self, cloud: Cloud, cut: Cut) -> None:
        super().__init__(Limits())
        self._cloud, self._cut = cloud, cut

    def dry_run(self, work: Work) -> None:
        self._call(work, dry_run=True)

    def start(self, work: Work) -> Task:
        try:
            task = self._call(work, dry_run=False)
        except InstanceBundleError as refused:
            own = (
                self.find(work.target, work.since) if "BundlingInProgress" in str(refused) else None
            )
            if own is None:
                raise
            return own
        self._cloud.starts[work.target.request_id, "bundle"].append(task.id)
        return task

    def find(self, target: Target, since: float) -> Task | None:
        filters = {"instance-id": [target.instance_id]}
        found = self._cloud.bundle_tasks.describe([], filters, started_by=self._cloud.shown)
        ours = [
            task
            for task in found
            if Location(task.storage.bucket, task.storage.prefix) == target.location
            and task.started >= since - _SKEW
        ]
        return _bundle_task(max(ours, key=lambda task: task.started)) if ours else None

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        filters = {"bundle-id": list(task_ids)}
        found = self._cloud.bundle_tasks.describe([], filters, started_by=self._cloud.shown)
        return {task.bundle_id: _bundle_task(task) for task in found}

    def cancel(self, task_id: str) -> bool:
        task = known(self.describe([task_id]).get(task_id))
        if task is None or task.phase != "running" or task.state == "cancelling":
            return task is not None and task.phase == "running"
        with _calling("ec2:CancelBundleTask"):
            self._cloud.bundle_tasks.cancel(task_id)
        return True

    def update_image(
        self, made: Bundle, key: RequestKey, old: Image | None, new: Image | None
    ) -> str:
        return ""

    def hint(self, target: Target) -> str:
        return ""

    def is_taken(self, location: Location) -> bool:
        return self.has_finished(location) or any(
            bucket == location.bucket and is_part(key, location.prefix)
            for bucket, key in self._cloud.s3.objects
        )

    def has_finished(self, location: Location) -> bool:
        return (location.bucket, location.manifest_key) in self._cloud.s3.objects

    def finished(self, location: Location, task: Task) -> Written | None:
        manifest = self._cloud.s3.objects.get((location.bucket, location.manifest_key))
        if manifest is None or manifest.at > parsed(task.updated) + _SKEW:
            return None
        return Written(manifest.etag)

    def removable(self, made: Bundle) -> Bundle:
        return made

    def remove(self, made: Bundle) -> bool:
        self._remove(made.location, made.etag)
        return bool(made.etag)

    def remove_leftovers(self, target: Target, task: Task) -> None:
        location = target.location
        written = self.finished(location, task) if task.phase == "complete" else None
        if written is not None:
            self._remove(location, written.etag)
        elif not self.has_finished(location):
            self._remove_parts(location, parsed(task.started), self._cloud.clock())

    def _remove(self, location: Location, etag: str) -> None:
        manifest = self._cloud.s3.objects.get((location.bucket, location.manifest_key))
        if manifest is None or manifest.etag != etag:
            return
        self._remove_parts(location, 0, manifest.at)
        self._cut.here()
        self._cloud.s3.delete_object(location.bucket, location.manifest_key)

    def _remove_parts(self, location: Location, since: float, until: float) -> None:
        for bucket, key in list(self._cloud.s3.objects):
            written = self._cloud.s3.objects[bucket, key]
            is_own = bucket == location.bucket and is_part(key, location.prefix)
            if is_own and since <= written.at <= until:
                self._cloud.s3.delete_object(bucket, key)
                self._cut.here()

    def _call(self, work: Work, *, dry_run: bool) -> Task:
        location = work.target.location
        storage = S3Storage(location.bucket, location.prefix, None, None, None, None)
        self._cloud.name_next_bundle()
        with _calling("ec2:BundleInstance"):
            task = self._cloud.bundle_tasks.bundle(
                work.properties.instance_id, storage, dry_run=dry_run
            )
        self._cloud.bundle_tasks_by_id[task.bundle_id] = task
        return _bundle_task(task)


class StoreImage(methods.StoreImage):
    """`Method: StoreImage`."""

    def __init__(self, cloud: Cloud, cut: Cut) -> None:
        super().__init__(Limits())
        self._cloud, self._cut = cloud, cut

    def hint(self, target: Target) -> str:
        return ""

    def dry_run(self, work: Work) -> None:
        self._create(work, dry_run=True)

    def start(self, work: Work) -> Task:
        try:
            image_id = self._create(work, dry_run=False)
        except InstanceBundleError as refused:
            if images_of_aws.NAME_TAKEN not in str(refused):
                raise
            named = [i for i in self._shown().amis.values() if i.name == _name(work)]
            if not named:
                raise PassingFault("the AMI can't be seen yet") from refused
            own = [image for image in named if self._request_of(image) == work.target.request_id]
            if not own:
                raise
            return self._image_task(own[0], None)
        self._cloud.starts[work.target.request_id, "image"].append(image_id)
        now = utc(self._cloud.clock())
        return Task(image_id, "running", "pending", "0%", now, now, image_id=image_id)

    def find(self, target: Target, since: float) -> Task | None:
        ids = [
            id_ for id_, i in self._shown().amis.items() if self._request_of(i) == target.request_id
        ]
        return known(self.describe(ids[:1]).get(ids[0])) if ids else None

    def describe(self, task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        shown, tasks = self._shown(), {}
        for id_ in task_ids:
            if id_ in shown.amis:
                stored, _ = self._cloud.store_tasks.describe(
                    [id_], {}, None, None, started_by=self._cloud.shown
                )
                tasks[id_] = self._image_task(shown.amis[id_], stored[0] if stored else None)
        return tasks

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        if seen.state != "available":
            return seen
        if last.state == "storing":
            return last
        try:
            with _calling("ec2:CreateStoreImageTask"):
                self._cloud.store_tasks.create(
                    seen.id, work.target.location.bucket, [], dry_run=False
                )
        except InstanceBundleError:
            now = known(self.describe([seen.id]).get(seen.id, seen))
            if now is None or now.state == "available":
                raise
            return now
        self._cloud.starts[work.target.request_id, "store"].append(seen.id)
        return _with(seen, "running", "storing", "50%")

    def cancel(self, task_id: str) -> bool:
        task = known(self.describe([task_id]).get(task_id))
        if task is None or task.phase != "running":
            return False
        if task.state != "storing":
            self._deregister(task_id)
        return True

    def update_image(
        self, made: Bundle, key: RequestKey, old: Image | None, new: Image | None
    ) -> str:
        image = self._cloud.ec2.amis.get(made.physical_id)
        if image is not None:
            image.description = (new or Image()).description
        return made.physical_id

    def finished(self, location: Location, task: Task) -> Written | None:
        etag = self._etag(location.bucket, task.id)
        return Written(etag) if etag else None

    def removable(self, made: Bundle) -> Bundle:
        return made

    def remove(self, made: Bundle) -> bool:
        self._remove_image(made.physical_id, made.made_by)
        found = self._etag(made.location.bucket, made.physical_id)
        if found is not None and found == (made.etag or found):
            self._cut.here()
            self._cloud.s3.delete_object(made.location.bucket, f"{made.physical_id}.bin")
        return True

    def remove_leftovers(self, target: Target, task: Task) -> None:
        self._remove_image(task.id, target.request_id)
        if self._etag(target.location.bucket, task.id) is not None:
            self._cut.here()
            self._cloud.s3.delete_object(target.location.bucket, f"{task.id}.bin")

    def _etag(self, bucket: str, image_id: str) -> str | None:
        found = self._cloud.s3.objects.get((bucket, f"{image_id}.bin"))
        return found.etag if found else None

    def _remove_image(self, image_id: str, request_id: str) -> None:
        self._deregister(image_id)
        self._cut.here()
        ec2 = self._cloud.ec2
        used = {
            device.snapshot.id
            for id_, image in ec2.amis.items()
            if id_ != image_id
            for device in image.devices
        }
        for snapshot_id in list(ec2.snapshots):
            tags = ec2.tags.get(snapshot_id, {})
            if tags.get(images_of_aws.REQUEST_TAG) == request_id and snapshot_id not in used:
                ec2.delete_snapshot(snapshot_id)

    def _deregister(self, image_id: str) -> None:
        if image_id in self._cloud.ec2.amis:
            self._cloud.images.deregister(image_id, delete_snapshots=False, dry_run=False)

    def _create(self, work: Work, *, dry_run: bool) -> str:
        tags = images_of_aws.all_tags(Image(), work.key)
        new = NewImage(
            _name(work),
            (work.properties.image or Image()).description,
            {**tags, BUCKET_TAG: work.target.location.bucket},
            tags,
        )
        with _calling("ec2:CreateImage"):
            image = self._cloud.images.create(
                work.properties.instance_id, new, no_reboot=False, dry_run=dry_run
            )
        snapshots = [device.snapshot.id for device in image.devices]
        self._cloud.history.note_new([image.id, *snapshots], self._cloud.clock())
        return str(image.id)

    def _shown(self) -> Any:
        self._cloud.advance()
        return self._cloud.history.at(self._cloud.shown)

    def _request_of(self, image: Any) -> str:
        return str(self._cloud.ec2.tags[image.id].get(images_of_aws.REQUEST_TAG, ""))

    def _image_task(self, image: Any, stored: Any) -> Task:
        now, created = utc(self._cloud.clock()), utc(image.creation_date.timestamp())
        task = Task(image.id, "running", image.state, "0%", created, now, image_id=image.id)
        if stored is None:
            match image.state:
                case "pending":
                    return task
                case "available":
                    return _with(task, "running", "available", "50%")
            return replace(task, phase="failed", state="failed", error_code=image.state)
        match stored.view.state:
            case "Completed":
                return _with(task, "complete", "complete", "100%")
            case "Failed":
                return replace(task, phase="failed", state="failed", error_code="StoreTaskFailed")
        return _with(task, "running", "storing", f"{50 + stored.view.percent // 2}%")


def _name(work: Work) -> str:
    given = (work.properties.image or Image()).name
    return given or images_of_aws.made_name(work.target.location, work.target.request_id)


def _with(task: Task, phase: Phase, state: str, progress: str) -> Task:
    return replace(task, phase=phase, state=state, progress=progress)


def _bundle_task(task: BundleTask) -> Task:
    phases: Mapping[str, Phase] = {"complete": "complete", "failed": "failed"}
    view = task.view
    code, message = view.error or ("", "")
    return Task(
        id=task.bundle_id,
        phase=phases.get(view.state, "running"),
        state=view.state,
        progress=view.progress or "",
        started=utc(datetime.fromtimestamp(task.started, UTC).timestamp()),
        updated=utc(view.updated),
        error_code=code,
        error_message=message,
    )
