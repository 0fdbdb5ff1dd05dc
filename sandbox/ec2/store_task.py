"""One of EC2's store image tasks: what it is to write, and how it reads at a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from sandbox.ec2.steering import Steering

_HANGS_AT = 41


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a task is to write.

    Attributes:
        tags: S3 object tags.
        content: of the object.
    """

    bucket: str
    key: str
    tags: Mapping[str, str]
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class View:
    """A task as it reads at one moment.

    Attributes:
        state: InProgress, Completed or Failed.
        percent: from 0 to 100.
        failure: why it failed.
    """

    state: str
    percent: int
    failure: str | None = None


@dataclass(slots=True)
class StoreTask:
    """One task. Only `view` changes.

    Attributes:
        number: counted from 1 in the order that the tasks were started.
        snapshots: the snapshots that are read, by ID.
        started: epoch seconds.
        stalls: the percentage that progress does not exceed while it lasts.
    """

    number: int
    image_id: str
    target: StoredObject
    snapshots: tuple[str, ...]
    started: float
    steering: Steering
    stalls: int
    view: View = field(default=View("InProgress", 0))

    def at(self, now: float) -> View:
        """How the task reads at a moment, as far as nothing outside stops it."""
        if now >= self.started + self.steering.seconds:
            if self.steering.fails:
                return View("Failed", self.view.percent, self.steering.error)
            return View("Completed", 100)
        if self.steering.seconds == inf:
            percent = min(int(now - self.started), _HANGS_AT)
        else:
            percent = int((now - self.started) / self.steering.seconds * 100)
        return View("InProgress", min(percent, self.stalls))

    def described(self) -> dict[str, Any]:
        """As DescribeStoreImageTasks answers it."""
        return {
            "AmiId": self.image_id,
            "Bucket": self.target.bucket,
            "S3objectKey": self.target.key,
            "TaskStartTime": datetime.fromtimestamp(self.started, UTC),
            "ProgressPercentage": self.view.percent,
            "StoreTaskState": self.view.state,
            "StoreTaskFailureReason": self.view.failure,
        }
