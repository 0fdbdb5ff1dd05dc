"""EC2's store image tasks: an image written to a bucket as one object, over time.

Tags on an image steer its next task; one that the image lacks is read from the instance that it was
made of:

* `sandbox:store-seconds`: how long it takes, 2 if absent;
* `sandbox:store-outcome`: `complete` (if absent), `failed`, or `hang`, which never ends;
* `sandbox:store-error`: why a task failed;
* `sandbox:store-stalls`: the percentage at which progress stops until the task ends.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

from moto.ec2.exceptions import DryRunClientError, EC2ClientError, InvalidNextToken
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend, s3_backends
from moto.utilities.paginator import paginate
from moto.utilities.utils import get_partition

from sandbox.ec2 import SERVICE, kept
from sandbox.ec2.image import snapshot_ids
from sandbox.ec2.image_rules import check_available, image_of
from sandbox.ec2.limits import check_storing, gigabytes
from sandbox.ec2.steering import Steering, number, tags_of
from sandbox.ec2.store_rules import (
    MAX_RESULTS,
    check_image,
    check_image_ids,
    check_page,
    not_a_bucket,
    target_of,
)
from sandbox.ec2.store_task import StoredObject, StoreTask, View
from sandbox.ec2.stored_image import StoredImage
from sandbox.events.object_events import requested_by

LISTED_SECONDS = 31 * 86400
"""Seconds that a task is listed (EC2 API Reference, DescribeStoreImageTasks)."""

_ERROR = "Internal error"
_PAGES = {
    "page": {
        "input_token": "next_token",
        "limit_key": "max_results",
        "limit_default": MAX_RESULTS,
        "unique_attribute": "number",
        "fail_on_invalid_token": InvalidNextToken,
    }
}


class StoreTasks:
    """The store image tasks of one account and region.

    Args:
        ec2: moto's backend, which has the images.
        s3: moto's backend, which has the buckets.
        clock: epoch seconds.
    """

    def __init__(self, ec2: EC2Backend, s3: S3Backend, clock: Callable[[], float]) -> None:
        self._ec2 = ec2
        self._s3 = s3
        self._clock = clock
        self._tasks: list[StoreTask] = []
        self._count = 0
        self._lock = threading.RLock()

    def create(
        self, image_id: str | None, bucket: str | None, tags: list[dict[str, str]], *, dry_run: bool
    ) -> StoreTask:
        """Start storing an image.

        Raises:
            EC2ClientError: EC2 refuses; `DryRunOperation` where it would not have.
        """
        with self._lock:
            self.advance()
            image = image_of(self._ec2, image_id)
            check_image(image)
            target = target_of(image, bucket, tags)
            self._check_bucket(target)
            if dry_run:
                raise DryRunClientError
            check_available(image)
            self._check_absent(target)
            steers = self._steers(image)
            steering = Steering.of(steers, "store", _ERROR)
            stalls = int(number(steers, "sandbox:store-stalls", "99"))
            size = gigabytes(self._ec2, snapshot_ids(image))
            check_storing(size, self._gigabytes_in_progress(), steers)
            self._count += 1
            task = StoreTask(
                number=self._count,
                image_id=image.id,
                target=replace(target, content=StoredImage.of(image).content()),
                snapshots=tuple(snapshot_ids(image)),
                started=self._clock(),
                steering=steering,
                stalls=stalls,
            )
            self._tasks.append(task)
            return task

    def describe(
        self,
        image_ids: list[str],
        filters: Mapping[str, list[str]],
        max_results: int | None,
        next_token: str | None,
        *,
        started_by: float = inf,
    ) -> tuple[list[StoreTask], str | None]:
        """The tasks of these images, or a page of those that the filters let through.

        Args:
            started_by: epoch seconds; tasks that were started later are not listed yet.

        Returns:
            The latest first, and the token of the next page.

        Raises:
            EC2ClientError: the request is not one.
        """
        with self._lock:
            self.advance()
            if not image_ids:
                check_page(filters, _FILTERED, max_results)
                page: tuple[list[StoreTask], str | None] = self.page(
                    started_by=started_by,
                    filters=filters,
                    max_results=max_results,
                    next_token=next_token,
                )
                return page
            check_image_ids(image_ids, max_results)
            listed = self._latest_first(started_by)
            return [task for task in listed if task.image_id in image_ids], None

    @paginate(pagination_model=_PAGES)
    def page(self, started_by: float, filters: Mapping[str, list[str]]) -> list[StoreTask]:
        """The tasks that the filters let through; moto cuts the page out."""
        return [
            task
            for task in self._latest_first(started_by)
            if all(_FILTERED[name](task) in values for name, values in filters.items())
        ]

    def advance(self) -> None:
        """Bring tasks and objects to where they are now."""
        with self._lock:
            now = self._clock()
            self._tasks = [task for task in self._tasks if now < task.started + LISTED_SECONDS]
            for task in self._tasks:
                if task.view.state == "InProgress":
                    self._move(task, task.at(now))

    def _gigabytes_in_progress(self) -> int:
        tasks = [task for task in self._tasks if task.view.state == "InProgress"]
        return sum(gigabytes(self._ec2, task.snapshots) for task in tasks)

    def _steers(self, image: Ami) -> dict[str, str]:
        """The tags of an image, and those of its instance that it lacks."""
        instance = self._ec2.get_instance_by_id(image.instance_id or "")
        return tags_of(instance) | tags_of(image)

    def _latest_first(self, started_by: float) -> list[StoreTask]:
        return [task for task in self._tasks[::-1] if task.started <= started_by]

    def _move(self, task: StoreTask, view: View) -> None:
        """Do what a state brings with it, and only then let the task read so."""
        missing = [id_ for id_ in task.snapshots if id_ not in self._ec2.snapshots]
        if missing:
            failure = f"The snapshot '{missing[0]}' does not exist."
            view = replace(view, state="Failed", percent=task.view.percent, failure=failure)
        if view.state == "Completed":
            try:
                self._write(task.target)
            except S3ClientError as refusal:
                view = View("Failed", task.view.percent, refusal.message)
        task.view = view

    def _write(self, target: StoredObject) -> None:
        # PutObject takes 5 GB at most, and an image may have more.
        with requested_by(SERVICE, "CompleteMultipartUpload"):
            written = self._s3.put_object(target.bucket, target.key, target.content)
        self._s3.put_object_tagging(written, dict(target.tags))

    def _check_bucket(self, target: StoredObject) -> None:
        """Refuse a bucket that the image can't be written to."""
        try:
            bucket = self._s3.get_bucket(target.bucket)
        except S3ClientError as refusal:
            raise not_a_bucket(target.bucket, refusal.message) from None
        if bucket.region_name != self._ec2.region_name:
            raise not_a_bucket(
                target.bucket, f"The bucket must be in the region {self._ec2.region_name}"
            )

    def _check_absent(self, target: StoredObject) -> None:
        """Refuse a bucket that has the image already.

        "You can't create multiple copies of an AMI in the same S3 bucket" (Amazon EC2 User Guide,
        Store and restore an AMI using S3).
        """
        present = self._s3.get_object(target.bucket, target.key)
        targets = [task.target for task in self._tasks if task.view.state == "InProgress"]
        started = any((t.bucket, t.key) == (target.bucket, target.key) for t in targets)
        if started or present is not None:
            raise EC2ClientError(
                "InvalidRequest",
                f"The object '{target.key}' already exists in the bucket '{target.bucket}', "
                "or is being stored there",
            )


def of(account_id: str, region: str, clock: Callable[[], float]) -> StoreTasks:
    """The store image tasks of an account and region."""
    ec2 = ec2_backends[account_id][region]
    s3 = s3_backends[account_id][get_partition(region)]
    return kept.of(ec2, StoreTasks, lambda: StoreTasks(ec2, s3, clock))


_FILTERED: Mapping[str, Callable[[StoreTask], str]] = {
    "bucket": lambda task: task.target.bucket,
    "task-state": lambda task: task.view.state,
}
