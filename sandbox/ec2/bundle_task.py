"""One of EC2's bundle tasks: what was asked, and how it reads at a moment."""

import secrets
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.instances import Instance

from sandbox.ec2 import steering
from sandbox.ec2.refusals import Ec2Error
from sandbox.ec2.upload_policies import SignedPolicy

CANCEL_SECONDS = 1.0
"""Seconds that a cancel takes at most."""

_DEFAULT_ERROR = ("Server.InternalError", "An internal error has occurred")

# What part of its time a task has behind it when it enters a state.
_BEGINS = (
    (0.0, "pending"),
    (0.05, "waiting-for-shutdown"),
    (0.15, "bundling"),
    (0.6, "storing"),
)

_HANGS_AT = 0.41


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
            "StartTime": utc(self.started),
            "UpdateTime": utc(self.view.updated),
            "Storage": self.storage.described(),
            "Progress": self.view.progress,
            "BundleTaskError": error and {"Code": error[0], "Message": error[1]},
        }
        return {name: value for name, value in members.items() if value is not None}


def new_task(
    instance: Instance, storage: S3Storage, now: float, taken: Container[str]
) -> BundleTask:
    """A task that starts now, steered by the tags of its instance.

    Args:
        now: epoch seconds.
        taken: the IDs of other tasks.

    Raises:
        Ec2Error: a tag has a value that it can't have.
    """
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


def utc(moment: float) -> datetime:
    """A moment in epoch seconds."""
    return datetime.fromtimestamp(moment, UTC)
