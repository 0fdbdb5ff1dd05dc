"""What others can do to an image and its snapshots: protect, disable and lock them.

It is stored on moto's images and snapshots, so that it is deleted with them.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from sandbox.ec2.image_rules import check_available, image_of

COOLDOWN_SECONDS = 24 * 3600
"""How long protection goes on after it was disabled, if it has a cooldown (EC2 API Reference,
EnableImageDeregistrationProtection)."""

_HOUR, _DAY = 3600, 86400
_PROTECTION, _LOCK = "deregistration_protection_of_sandbox", "lock_of_sandbox"

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Protection:
    """An image's protection from deregistration.

    Attributes:
        ends: epoch seconds; infinite until it is disabled.
    """

    with_cooldown: bool
    ends: float = inf

    def described(self) -> str:
        """As DescribeImages answers it."""
        if self.ends < inf:
            return "disabled"
        return "enabled-with-cooldown" if self.with_cooldown else "enabled-without-cooldown"


@dataclass(frozen=True, slots=True)
class Lock:
    """A snapshot's lock.

    Attributes:
        mode: `governance`, or `compliance`, which nobody unlocks.
        days: how long it lasts.
        created: epoch seconds, as all moments here.
        cooled_off: until when a lock in compliance mode can be taken away.
        hours: from `created` to `cooled_off`.
    """

    mode: str
    days: int
    created: float
    ends: float
    cooled_off: float
    hours: int

    def state(self, now: float) -> str:
        """The lock's state at a moment, in EC2's words."""
        if now >= self.ends:
            return "expired"
        cooling = self.mode == "compliance" and now < self.cooled_off
        return "compliance-cooloff" if cooling else self.mode

    def described(self, snapshot_id: str, now: float) -> dict[str, Any]:
        """As LockSnapshot and DescribeLockedSnapshots answer it."""
        cooling = {
            "CoolOffPeriod": self.hours,
            "CoolOffPeriodExpiresOn": datetime.fromtimestamp(self.cooled_off, UTC),
        }
        return {
            "SnapshotId": snapshot_id,
            "LockState": self.state(now),
            "LockDuration": self.days,
            "LockCreatedOn": datetime.fromtimestamp(self.created, UTC),
            "LockExpiresOn": datetime.fromtimestamp(self.ends, UTC),
            "LockDurationStartTime": datetime.fromtimestamp(self.created, UTC),
            **(cooling if self.hours else {}),
        }


def install(clock: Clock) -> ExitStack:
    """Put the calls into moto's EC2, until the result is closed."""
    installed = ExitStack()
    images: dict[str, Callable[[AmisResponse, Ami], object]] = {
        "enable_image_deregistration_protection": _protect,
        "disable_image_deregistration_protection": lambda _, image: _unprotect(image, clock()),
        "disable_image": _disable,
        "enable_image": _enable,
    }
    for name, action in images.items():
        answer = _about_image(action)
        installed.enter_context(patch.object(AmisResponse, name, answer, create=True))
    snapshots: dict[str, Callable[[ElasticBlockStore, Snapshot], dict[str, Any]]] = {
        "lock_snapshot": lambda response, snapshot: _lock(response, snapshot, clock()),
        "unlock_snapshot": lambda _, snapshot: _unlock(snapshot, clock()),
    }
    for name, locking in snapshots.items():
        answer = _about_snapshot(locking)
        installed.enter_context(patch.object(ElasticBlockStore, name, answer, create=True))
    locked = _describing_locks(clock)
    installed.enter_context(
        patch.object(ElasticBlockStore, "describe_locked_snapshots", locked, create=True)
    )
    described = property(lambda image: protection_of(image).described())
    installed.enter_context(patch.object(Ami, "deregistration_protection", described, create=True))
    return installed


def check_deregistration(image: Ami, now: float) -> None:
    """Refuse to deregister an image that is protected.

    Raises:
        EC2ClientError: with a code that is not documented.
    """
    if now < protection_of(image).ends:
        raise EC2ClientError(
            "OperationNotPermitted",
            f"The AMI '{image.id}' has deregistration protection and can't be deregistered",
        )


def check_deletion(ec2: EC2Backend, snapshot_id: str, now: float) -> None:
    """Refuse to delete a snapshot that is locked.

    Raises:
        EC2ClientError: with a code that is not documented.
    """
    lock = _lock_of(ec2.snapshots.get(snapshot_id))
    if lock is not None and now < lock.ends:
        raise EC2ClientError(
            "OperationNotPermitted", f"The snapshot '{snapshot_id}' is locked and can't be deleted"
        )


def _about_image(action: Callable[[AmisResponse, Ami], object]) -> Callable[[Any], ActionResult]:
    def answer(response: AmisResponse) -> ActionResult:
        image = image_of(response.ec2_backend, response._get_param("ImageId"))
        response.error_on_dryrun()
        return ActionResult({"Return": action(response, image)})

    return answer


def _about_snapshot(
    action: Callable[[ElasticBlockStore, Snapshot], dict[str, Any]],
) -> Callable[[Any], ActionResult]:
    def answer(response: ElasticBlockStore) -> ActionResult:
        snapshot = response.ec2_backend.snapshots.get(response._get_param("SnapshotId"))
        if snapshot is None:
            raise InvalidSnapshotIdError
        response.error_on_dryrun()
        return ActionResult(action(response, snapshot))

    return answer


def _describing_locks(clock: Clock) -> Callable[[Any], ActionResult]:
    def answer(response: ElasticBlockStore) -> ActionResult:
        response.error_on_dryrun()
        asked = response._get_param("SnapshotIds", [])
        found = response.ec2_backend.describe_snapshots(snapshot_ids=asked)
        filters = response._filters_from_querystring()
        _check_filters(filters)
        states = filters.get("lock-state")
        locks = [(snapshot, lock) for snapshot in found if (lock := _lock_of(snapshot))]
        described = [
            {"OwnerId": snapshot.owner_id, **lock.described(snapshot.id, clock())}
            for snapshot, lock in locks
            if states is None or lock.state(clock()) in states
        ]
        return ActionResult({"Snapshots": described})

    return answer


def _check_filters(filters: Iterable[str]) -> None:
    for name in filters:
        if name != "lock-state":
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")


def protection_of(image: Ami) -> Protection:
    """The protection of an image; one that has ended, if it had none."""
    protection: Protection = vars(image).get(_PROTECTION, Protection(False, ends=-inf))
    return protection


def _protect(response: AmisResponse, image: Ami) -> str:
    with_cooldown = bool(response._get_bool_param("WithCooldown", False))
    vars(image)[_PROTECTION] = Protection(with_cooldown)
    return protection_of(image).described()


def _unprotect(image: Ami, now: float) -> str:
    before = protection_of(image)
    if before.ends == inf:
        ends = now + (COOLDOWN_SECONDS if before.with_cooldown else 0)
        vars(image)[_PROTECTION] = Protection(before.with_cooldown, ends)
    return protection_of(image).described()


def _disable(_: AmisResponse, image: Ami) -> bool:
    check_available(image)
    image.state = "disabled"
    image.launch_permissions.clear()
    return True


def _enable(_: AmisResponse, image: Ami) -> bool:
    if image.state != "disabled":
        raise EC2ClientError("IncorrectState", f"The image '{image.id}' is not disabled")
    image.state = "available"
    return True


def _lock_of(snapshot: Snapshot | None) -> Lock | None:
    return None if snapshot is None else vars(snapshot).get(_LOCK)


def _lock(response: ElasticBlockStore, snapshot: Snapshot, now: float) -> dict[str, Any]:
    mode = response._get_param("LockMode")
    if mode not in {"governance", "compliance"}:
        raise EC2ClientError("InvalidParameterValue", f"Invalid value '{mode}' for lockMode")
    days = int(response._get_param("LockDuration", 1))
    hours = int(response._get_param("CoolOffPeriod", 0))
    before = _lock_of(snapshot)
    if before is not None and before.ends > now + days * _DAY:
        _check_unlocking(snapshot, before, now)
    lock = Lock(mode, days, now, now + days * _DAY, now + hours * _HOUR, hours)
    vars(snapshot)[_LOCK] = lock
    return lock.described(snapshot.id, now)


def _unlock(snapshot: Snapshot, now: float) -> dict[str, Any]:
    lock = _lock_of(snapshot)
    if lock is not None:
        _check_unlocking(snapshot, lock, now)
        del vars(snapshot)[_LOCK]
    return {"SnapshotId": snapshot.id}


def _check_unlocking(snapshot: Snapshot, lock: Lock, now: float) -> None:
    if lock.mode == "compliance" and lock.cooled_off <= now < lock.ends:
        raise EC2ClientError(
            "OperationNotPermitted",
            f"The snapshot '{snapshot.id}' is locked in compliance mode",
        )
