"""Versions of objects, of which moto loses all where versioning is suspended.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html. Answers that no page has are
as LocalStack recorded them of AWS
(https://github.com/localstack/localstack/blob/main/tests/aws/services/s3/test_s3_api.snapshot.json).
moto's version IDs are UUIDs; what is none, AWS's IDs included, is malformed here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.core.utils import rfc_1123_datetime
from moto.s3 import notifications
from moto.s3.exceptions import (
    InvalidVersion,
    MethodNotAllowed,
    MissingKey,
    S3ClientError,
)
from moto.s3.models import (
    FakeBucket,
    FakeDeleteMarker,
    FakeKey,
    FakeTableStorageBucket,
    S3Backend,
)
from moto.s3.notifications import S3NotificationEvent
from moto.s3.responses import S3Response
from moto.s3.utils import _VersionedKeyStore

NULL = "null"
"""The version ID of what is written while versioning is not enabled."""

_VERSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST_PAGE = 1000
_OF_OBJECTS = frozenset({"tagging", "retention", "legal-hold"})
"""Subresources that a delete marker has not."""

_Respond = Callable[..., tuple[int, dict[str, Any], Any]]

_kept: ContextVar[list[Any]] = ContextVar("_kept")


class Locked(S3ClientError):
    """A version is locked by its retention or a legal hold."""

    def __init__(self) -> None:
        super().__init__("AccessDenied", "Access Denied because object protected by object lock.")


@contextmanager
def enforced() -> Iterator[None]:
    """Keep versions, and answer them, as S3 does."""
    with ExitStack() as patches:
        for owner, name, replacement in (
            (_VersionedKeyStore, "setlist", _with_kept(_VersionedKeyStore.setlist)),
            (S3Backend, "put_object", _keeping(S3Backend.put_object)),
            (S3Backend, "delete_object", _deleting(S3Backend.delete_object)),
            (S3Backend, "list_object_versions", _listed),
            (S3Response, "_key_response_get", _reading(S3Response._key_response_get)),
            (S3Response, "get_object", _with_version(S3Response.get_object)),
            (S3Response, "head_object", _heading(S3Response.head_object)),
        ):
            patches.enter_context(patch.object(owner, name, replacement))
        yield


def version_of(bucket: FakeBucket, key: str, version_id: str | None) -> Any:
    """A version, the current one if no ID is given: an object, a delete marker, or None.

    Raises:
        InvalidVersion: the ID is malformed.
    """
    versions = bucket.keys.getlist(key, [])
    if not version_id:
        return versions[-1] if versions else None
    if version_id != NULL and not _VERSION_ID.fullmatch(version_id):
        raise InvalidVersion(version_id)
    return next((each for each in versions if str(each.version_id) == version_id), None)


def _with_kept(setlist: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(setlist)
    def set_versions(store: _VersionedKeyStore, key: str, versions: list[Any]) -> None:
        setlist(store, key, [*_kept.get([]), *versions])

    return set_versions


def _keeping(put_object: Callable[..., FakeKey]) -> Callable[..., FakeKey]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html"""

    @functools.wraps(put_object)
    def put(s3: S3Backend, bucket_name: str, key_name: str, *given: Any, **named: Any) -> FakeKey:
        bucket = s3.get_bucket(bucket_name)
        token = _kept.set([] if bucket.is_versioned else _all_but_null(bucket, key_name))
        try:
            return put_object(s3, bucket_name, key_name, *given, **named)
        finally:
            _kept.reset(token)

    return put


def _deleting(delete_object: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(delete_object)
    def delete(
        s3: S3Backend,
        bucket_name: str,
        key_name: str,
        version_id: str | None = None,
        bypass: bool | str = False,
    ) -> tuple[bool, dict[str, Any]]:
        bucket = s3.get_bucket(bucket_name)
        has_versions = bucket.versioning_status is not None
        if isinstance(bucket, FakeTableStorageBucket) or not (has_versions or version_id):
            done: tuple[bool, dict[str, Any]] = delete_object(s3, bucket_name, key_name)
            return done
        if not version_id:
            marker = _add_marker(bucket, key_name)
            return True, {"version-id": marker.version_id, "delete-marker": "true"}
        found = version_of(bucket, key_name, version_id)
        if isinstance(found, FakeKey) and found.is_locked(str(bypass).lower() == "true"):
            raise Locked
        if found is not None:
            _remove(bucket, found)
        answer = {"version-id": version_id} if has_versions else {}
        if isinstance(found, FakeDeleteMarker):
            answer["delete-marker"] = "true"
        return True, answer

    return delete


def _add_marker(bucket: FakeBucket, key: str) -> FakeDeleteMarker:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectsfromVersioningSuspendedBuckets.html"""
    named: Any = SimpleNamespace(name=key)
    marker = FakeDeleteMarker(named)
    versions = bucket.keys.getlist(key, [])
    if not bucket.is_versioned:
        marker._version_id = NULL
        versions = _all_but_null(bucket, key)
    bucket.keys.setlist(key, [*versions, marker])
    return marker


def _remove(bucket: FakeBucket, version: Any) -> None:
    left = [each for each in bucket.keys.getlist(version.name) if each is not version]
    bucket.keys.setlist(version.name, left)
    if not left:
        bucket.keys.pop(version.name)
        event = S3NotificationEvent.OBJECT_REMOVED_DELETE_EVENT
        notifications.send_event(bucket.account_id, event, bucket, version)


def _all_but_null(bucket: FakeBucket, key: str) -> list[Any]:
    return [each for each in bucket.keys.getlist(key, []) if str(each.version_id) != NULL]


class _Listed:
    """A version as ListObjectVersions shows it."""

    def __init__(self, version: Any, *, is_latest: bool) -> None:
        self._version = version
        self.is_latest = is_latest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._version, name)


def _listed(
    s3: S3Backend,
    bucket_name: str,
    delimiter: str | None = None,
    key_marker: str | None = None,
    max_keys: int | None = None,
    prefix: str = "",
    version_id_marker: str | None = None,
) -> tuple[list[Any], list[str], list[Any], str | None, str | None]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
    size = min(_LARGEST_PAGE if max_keys is None else max_keys, _LARGEST_PAGE)
    bucket = s3.get_bucket(bucket_name)
    entries = _entries(bucket, prefix or "", delimiter, key_marker or "", version_id_marker)
    page: list[tuple[str, _Listed | None]] = []
    last: tuple[str | None, str | None] = (None, None)
    for name, version in entries if size else ():
        if len(page) == size:
            key, ended = page[-1]
            last = key, ended.version_id if ended else None
            break
        page.append((name, version))
    versions = [version for _, version in page if version]
    return (
        [each for each in versions if not isinstance(each._version, FakeDeleteMarker)],
        [name for name, version in page if version is None],
        [each for each in versions if isinstance(each._version, FakeDeleteMarker)],
        *last,
    )


def _entries(
    bucket: FakeBucket,
    prefix: str,
    delimiter: str | None,
    key_marker: str,
    version_id_marker: str | None,
) -> Iterator[tuple[str, _Listed | None]]:
    """The versions after the markers, newest first in the order of their keys; for keys with the
    delimiter, their common prefix, once and without a version."""
    grouped = ""
    for key in sorted(key for key in dict(bucket.keys) if key.startswith(prefix)):
        before, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
        if found and delimiter:
            group = f"{prefix}{before}{found}"
            if group not in (grouped, key_marker) and group > key_marker:
                yield group, None
            grouped = group
            continue
        versions = bucket.keys.getlist(key, [])[::-1]
        start = 0
        if key == key_marker:
            ids = [str(each.version_id) for each in versions]
            start = ids.index(version_id_marker) + 1 if version_id_marker in ids else len(ids)
        elif key < key_marker:
            continue
        for place, version in enumerate(versions[start:], start):
            yield key, _Listed(version, is_latest=place == 0)


def _reading(respond: _Respond) -> _Respond:
    @functools.wraps(respond)
    def answer(response: S3Response, query: dict[str, Any], key_name: str) -> Any:
        version_id = query.get("versionId", [None])[0]
        response._set_action("KEY", "GET", query)
        bucket = response.backend.get_bucket(response.bucket_name)
        found = version_of(bucket, key_name, version_id)
        if not isinstance(found, FakeDeleteMarker):
            return respond(response, query, key_name)
        is_current = not (version_id or _OF_OBJECTS & query.keys())
        error: S3ClientError = (
            MissingKey(key_name) if is_current else MethodNotAllowed("GET", "DeleteMarker")
        )
        status, headers, body = response.serialized(ActionResult(error))
        return status, {**headers, **_of_marker(found)}, body

    return answer


def _with_version(get_object: _Respond) -> _Respond:
    """moto leaves out the version ID `null`."""

    @functools.wraps(get_object)
    def answer(response: S3Response) -> Any:
        status, headers, body = get_object(response)
        bucket = response.backend.get_bucket(response.bucket_name)
        if bucket.versioning_status is not None:
            headers.setdefault("x-amz-version-id", NULL)
        return status, headers, body

    return answer


def _heading(head_object: _Respond) -> _Respond:
    """moto refuses all version IDs where versioning is not enabled; it is asked for GetObject."""

    @functools.wraps(head_object)
    def answer(
        response: S3Response,
        bucket_name: str,
        query: dict[str, Any],
        key_name: str,
        headers: dict[str, Any],
    ) -> Any:
        version_id = query.get("versionId", [None])[0]
        bucket = response.backend.get_bucket(bucket_name)
        try:
            found = version_of(bucket, key_name, version_id)
        except InvalidVersion:
            return 400, {}, ""
        if isinstance(found, FakeDeleteMarker):
            return (405 if version_id else 404), _of_marker(found), ""
        if bucket.is_versioned or not version_id:
            status, own, body = head_object(response, bucket_name, query, key_name, headers)
        else:
            try:
                status, own, _ = response.get_object()
            except S3ClientError as error:
                status, own, _ = response.serialized(ActionResult(error))
            body = ""
        if found is not None and bucket.versioning_status is not None:
            own.setdefault("x-amz-version-id", found.version_id)
        return status, own, body

    return answer


def _of_marker(marker: FakeDeleteMarker) -> dict[str, str]:
    return {
        "x-amz-delete-marker": "true",
        "x-amz-version-id": marker.version_id,
        "last-modified": rfc_1123_datetime(marker.last_modified),
    }
