"""S3's events of objects, for buckets that send them to EventBridge: `Object Created`, `Object
Deleted`.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html

moto sends these to the rules of every bus, in another form, two for a multipart upload, and none
for a delete marker. It also makes up one for CreateBucket.
"""

from __future__ import annotations

import functools
import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from moto.s3 import models, notifications
from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.s3.notifications import S3NotificationEvent

from sandbox.events import service_events
from sandbox.events.bucket_notifications import sends_events

_REASONS: Mapping[str, str] = {
    S3NotificationEvent.OBJECT_CREATED_PUT_EVENT: "PutObject",
    S3NotificationEvent.OBJECT_CREATED_POST_EVENT: "POST Object",
    S3NotificationEvent.OBJECT_CREATED_COPY_EVENT: "CopyObject",
    S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT: "CompleteMultipartUpload",
}
_LOCAL = "127.0.0.1"

_sequence = itertools.count(time.time_ns())


@dataclass(frozen=True, slots=True)
class _Requester:
    """Who makes the requests. reason: what creates their objects; None as it is."""

    service: str
    reason: str | None


_requester: ContextVar[_Requester | None] = ContextVar("_requester", default=None)


@contextmanager
def requested_by(service: str, reason: str | None = None) -> Iterator[None]:
    """Say that a service of AWS's makes the requests of the context.

    Args:
        service: its principal, such as `ec2.amazonaws.com`.
        reason: the API that creates its objects, if not the one that is seen here.
    """
    token = _requester.set(_Requester(service, reason))
    try:
        yield
    finally:
        _requester.reset(token)


@contextmanager
def raised(clock: Callable[[], float]) -> Iterator[None]:
    """Raise the events of moto's objects.

    Args:
        clock: epoch seconds.
    """

    def created(account_id: str, bucket: FakeBucket, event_name: str, key: FakeKey) -> None:
        reason = _REASONS.get(event_name)
        if reason is None or (reason == "PutObject" and key.multipart is not None):
            return
        requester = _requester.get()
        if requester and requester.reason:
            reason = requester.reason
        about = {"key": key.name, "size": key.size, "etag": _etag(key), **_version(bucket, key)}
        _put(account_id, bucket, "Object Created", about, {"reason": reason}, clock())

    def deleted(bucket: FakeBucket, key: FakeKey, version_id: str | None, *, marker: bool) -> None:
        if not sends_events(bucket):
            return
        version = {"version-id": version_id} if version_id else {}
        about = {"key": key.name, "etag": _etag(key), **version}
        kind = "Delete Marker Created" if marker else "Permanently Deleted"
        why = {"reason": "DeleteObject", "deletion-type": kind}
        _put(bucket.account_id, bucket, "Object Deleted", about, why, clock())

    with ExitStack() as patches:
        for owner, name, replacement in (
            (notifications, "_send_event_bridge_message", created),
            (models, "events_send_notification", lambda **_: None),
            (S3Backend, "delete_object", _reporting(S3Backend.delete_object, deleted)),
        ):
            patches.enter_context(patch.object(owner, name, replacement))
        yield


def _put(
    account_id: str,
    bucket: FakeBucket,
    detail_type: str,
    about: Mapping[str, Any],
    why: Mapping[str, str],
    moment: float,
) -> None:
    requester = _requester.get()
    service_events.put(
        account_id,
        bucket.region_name,
        source="aws.s3",
        detail_type=detail_type,
        resources=[bucket.arn],
        detail={
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": {**about, "sequencer": f"{next(_sequence):018X}"},
            "request-id": secrets.token_hex(8).upper(),
            "requester": requester.service if requester else account_id,
            "source-ip-address": requester.service if requester else _LOCAL,
            **why,
        },
        moment=moment,
    )


def _etag(key: FakeKey) -> str:
    return str(key.etag).strip('"')


def _version(bucket: FakeBucket, key: FakeKey) -> dict[str, str]:
    return {"version-id": str(key.version_id)} if bucket.is_versioned else {}


def _reporting(delete: Callable[..., Any], deleted: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(delete)
    def delete_and_report(
        backend: S3Backend,
        bucket_name: str,
        key_name: str,
        version_id: str | None = None,
        bypass: bool = False,
    ) -> Any:
        bucket = backend.get_bucket(bucket_name)
        there = list(bucket.keys.getlist(key_name, []))
        done, answer = delete(backend, bucket_name, key_name, version_id, bypass)
        gone = [each for each in there if version_id in (None, str(each.version_id))]
        keys = [each for each in gone if isinstance(each, FakeKey)]
        if done and keys:
            marker = version_id is None and "delete-marker" in answer
            deleted(bucket, keys[-1], answer.get("version-id"), marker=marker)
        return done, answer

    return delete_and_report
