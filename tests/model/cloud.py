"""EC2 and S3 in this process: the sandbox's models, on the parts of moto's backends that they use.

The methods call the models directly: no request is parsed, and no response is built.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from moto.s3.exceptions import MissingBucket

from sandbox.ec2 import history
from sandbox.ec2.bundle_task import BundleTask
from sandbox.ec2.bundle_tasks import BundleTasks
from sandbox.ec2.images import Images
from sandbox.ec2.store_tasks import StoreTasks

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKETS = ("images", "other-images")
WINDOWS, LINUX = "i-00000000000000001", "i-00000000000000002"
"""The suitable instance of each method."""

SHOWN_AFTER = 3.0
"""Seconds until a Describe shows a write, unless it is late."""
LATE = 9.0
"""Seconds until a late Describe shows a write. Together with the longest time that an invocation
needs for a call, this is less than `next_step.SHOWS_AFTER`."""

BUNDLE_SECONDS, IMAGE_SECONDS, STORE_SECONDS = 12, 6, 8

_image_numbers = itertools.count()


class Instance:
    def __init__(self, ec2: Ec2, id_: str, platform: str, root: str) -> None:
        self.ec2_backend = ec2
        self.id = id_
        self.platform = platform
        self.root_device_type = root
        self.root_device_name = "/dev/sda1"
        self.state = "running"
        self.virtualization_type, self.architecture, self.kernel = "hvm", "x86_64", None
        self.tags: dict[str, str] = {}
        volume = Volume(f"vol-{id_[2:]}")
        ec2.volumes[volume.id] = volume
        block = SimpleNamespace(volume_id=volume.id, delete_on_termination=True)
        self.get_block_device_mapping = [("/dev/sda1", block)] if root == "ebs" else []

    def get_tags(self) -> list[dict[str, str]]:
        return [{"key": key, "value": value} for key, value in self.tags.items()]

    def is_running(self) -> bool:
        return self.state == "running"

    def start(self) -> None:
        self.state = "running"

    def stop(self) -> None:
        self.state = "stopped"


@dataclass(frozen=True, slots=True)
class Volume:
    id: str
    size: int = 8
    volume_type: str = "gp3"


class Snapshot:
    encrypted = False

    def __init__(self, ec2: Ec2, id_: str, volume: Volume) -> None:
        self.ec2_backend, self.id, self.volume = ec2, id_, volume
        self.volume_id, self.volume_size = volume.id, volume.size
        self.status = "completed"
        self.start_time = datetime.fromtimestamp(0, UTC)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.ec2_backend.create_tags([self.id], dict(tags))

    def get_tags(self) -> list[dict[str, str]]:
        return self.ec2_backend.describe_tags({"resource-id": [self.id]})


class Ec2:
    """The parts of moto's EC2 backend that the sandbox's models use."""

    account_id, region_name = ACCOUNT, REGION

    def __init__(self) -> None:
        self.amis: dict[str, Any] = {}
        self.deleted_amis: list[str] = []
        self.snapshots: dict[str, Any] = {}
        self.volumes: dict[str, Volume] = {}
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.instances = {
            WINDOWS: Instance(self, WINDOWS, "windows", "instance-store"),
            LINUX: Instance(self, LINUX, "", "ebs"),
        }
        self._numbers = itertools.count()

    def get_instance_by_id(self, id_: str) -> Instance | None:
        return self.instances.get(id_)

    def get_instance(self, id_: str) -> Instance:
        return self.instances[id_]

    def create_volume(self, size: int, zone_name: str) -> Volume:
        volume = Volume(f"vol-{next(self._numbers):017x}", size)
        self.volumes[volume.id] = volume
        return volume

    def delete_volume(self, volume_id: str) -> None:
        del self.volumes[volume_id]

    def create_snapshot(
        self, volume_id: str, description: str, owner_id: str | None = None, from_ami: str = ""
    ) -> Snapshot:
        snapshot = Snapshot(self, f"snap-{next(self._numbers):017x}", self.volumes[volume_id])
        self.snapshots[snapshot.id] = snapshot
        return snapshot

    def delete_snapshot(self, snapshot_id: str) -> None:
        del self.snapshots[snapshot_id]
        self.tags.pop(snapshot_id, None)

    def create_tags(self, resource_ids: list[str], tags: Mapping[str, str]) -> None:
        for id_ in resource_ids:
            self.tags[id_].update(tags)

    def describe_tags(self, filters: Mapping[str, list[str]]) -> list[dict[str, str]]:
        [id_] = filters["resource-id"]
        return [{"key": key, "value": value} for key, value in self.tags.get(id_, {}).items()]

    def deregister_image(self, image_id: str) -> None:
        del self.amis[image_id]
        self.deleted_amis.append(image_id)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object. etag: unique. at: when it was written, epoch seconds."""

    key: str
    etag: str
    at: float


class S3:
    """The parts of moto's S3 backend that the models use, and the objects that the methods read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.objects: dict[tuple[str, str], S3Object] = {}
        self._clock = clock
        self._numbers = itertools.count(1)

    def get_bucket(self, name: str) -> Any:
        if name not in BUCKETS:
            raise MissingBucket(name)
        return SimpleNamespace(region_name=REGION)

    def get_object(self, bucket: str, key: str) -> S3Object | None:
        self.get_bucket(bucket)
        return self.objects.get((bucket, key))

    def put_object(self, bucket: str, key: str, content: bytes) -> S3Object:
        self.get_bucket(bucket)
        written = S3Object(key, f"etag-{next(self._numbers)}", self._clock())
        self.objects[bucket, key] = written
        return written

    def put_object_tagging(self, written: S3Object, tags: Mapping[str, str]) -> None:
        """Nothing: no tag of an object is read."""

    def delete_object(self, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key), None)


class Cloud:
    """EC2 and S3 of an account.

    Attributes:
        lag: seconds until a Describe shows a write; see `late`.
        starts: IDs of the work that was started, by the request's ID and the stage.
        bundle_tasks_by_id: all bundle tasks that were started.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lag = SHOWN_AFTER
        self.starts: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.ec2, self.s3 = Ec2(), S3(clock)
        backend: Any = self.ec2
        bucket: Any = self.s3
        self.bundle_tasks = BundleTasks(backend, bucket, clock)
        self.images = Images(backend, bucket, clock)
        self.store_tasks = StoreTasks(backend, bucket, clock)
        self.history = history.of_backend(backend)
        steers = self.ec2.instances[WINDOWS].tags
        steers["sandbox:seconds"] = str(BUNDLE_SECONDS)
        steers = self.ec2.instances[LINUX].tags
        steers["sandbox:image-seconds"] = str(IMAGE_SECONDS)
        steers["sandbox:store-seconds"] = str(STORE_SECONDS)
        self.bundle_tasks_by_id: dict[str, BundleTask] = {}
        self._numbers = itertools.count(1)

    @contextmanager
    def late(self) -> Iterator[None]:
        """Describe shows a write only after `LATE` seconds."""
        self.lag = LATE
        try:
            yield
        finally:
            self.lag = SHOWN_AFTER

    @property
    def shown(self) -> float:
        """A Describe shows what was written until then; epoch seconds."""
        return self.clock() - self.lag

    def advance(self) -> None:
        """Apply all changes of state that are due."""
        self.bundle_tasks.advance()
        self.images.advance()
        self.store_tasks.advance()

    def name_next_bundle(self) -> None:
        """Give the next bundle task an ID that is the same in each run."""
        id_ = f"bun-{next(self._numbers):017x}"
        self.ec2.instances[WINDOWS].tags["sandbox:bundle-id"] = id_

    def running(self) -> list[str]:
        """IDs of the tasks that run, and of the images that are being created."""
        return [
            *(task.bundle_id for task in self._bundling()),
            *self.images._creations,
            *(task.image_id for task in self._storing()),
        ]

    def end_now(self, *, fails: bool) -> None:
        """End all work now."""
        now = self.clock()
        for task in self._bundling():
            task.seconds = max(now - task.started, 0.001)
            task.outcome = "failed" if fails else "complete"
        creations = self.images._creations
        for id_, each in list(creations.items()):
            creations[id_] = replace(each, ends=now, fails=fails)
        for stored in self._storing():
            stored.steering = replace(
                stored.steering, seconds=max(now - stored.started, 0.001), fails=fails
            )
        self.advance()

    def failed_stores(self) -> list[str]:
        """The images of the store tasks that have failed."""
        return [task.image_id for task in self.store_tasks._tasks if task.view.state == "Failed"]

    def contents(self) -> list[str]:
        """All objects, images and snapshots."""
        objects = [f"s3://{bucket}/{key}" for bucket, key in self.s3.objects]
        return [*objects, *self.ec2.amis, *self.ec2.snapshots]

    def _bundling(self) -> list[BundleTask]:
        return [t for t in self.bundle_tasks._tasks.values() if not t.view.ended]

    def _storing(self) -> list[Any]:
        return [task for task in self.store_tasks._tasks if task.view.state == "InProgress"]


@contextmanager
def numbered_images() -> Iterator[None]:
    """Give images IDs that are the same in each run; see `restart_numbers`."""
    with patch("sandbox.ec2.image.random_ami_id", lambda: f"ami-{next(_image_numbers):017x}"):
        yield


def restart_numbers() -> None:
    """Begin again with the first image ID."""
    global _image_numbers
    _image_numbers = itertools.count(1)


def is_part(key: str, prefix: str) -> bool:
    """Whether an object is a part of the bundle with this prefix."""
    return re.fullmatch(re.escape(prefix) + r"\.part\.[0-9]+", key) is not None
