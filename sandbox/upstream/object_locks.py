"""Object Lock, of which moto lacks GetObjectRetention, the refusals, and the default retention of
objects that services write.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html. Errors are as LocalStack
recorded them of AWS
(https://github.com/localstack/localstack/blob/main/tests/aws/services/s3/test_s3.snapshot.json).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.s3.exceptions import (
    InvalidArgumentError,
    MethodNotAllowed,
    MissingKey,
    MissingVersion,
    S3ClientError,
)
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend
from moto.s3.responses import S3Response

from sandbox.upstream.object_versions import Locked, version_of

_BYPASS = "x-amz-bypass-governance-retention"
_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"

_Answer = tuple[int, dict[str, Any], Any]


@contextmanager
def enforced() -> Iterator[None]:
    """Lock versions of objects, and answer their locks, as S3 does.

    What locked versions are kept from, `object_versions` enforces; its context is entered later.
    """
    delete_keys = "_bucket_response_delete_keys"
    with ExitStack() as patches:
        for owner, name, replacement in (
            (S3Backend, "put_object", _locking(S3Backend.put_object)),
            (S3Backend, "put_object_lock_configuration", _configure),
            (S3Response, "_bucket_response_put", _keeping_state(S3Response._bucket_response_put)),
            (S3Response, "_key_response_get", _reading(S3Response._key_response_get)),
            (S3Response, "put_object_retention", _changing(S3Response.put_object_retention)),
            (S3Response, "put_object_legal_hold", _holding(S3Response.put_object_legal_hold)),
            (S3Response, "delete_object", _checking_bypass(S3Response.delete_object)),
            (S3Response, delete_keys, _checking_bypass(getattr(S3Response, delete_keys))),
        ):
            patches.enter_context(patch.object(owner, name, replacement))
        yield


def _locking(put_object: Callable[..., FakeKey]) -> Callable[..., FakeKey]:
    @functools.wraps(put_object)
    def put(s3: S3Backend, bucket_name: str, *given: Any, **named: Any) -> FakeKey:
        bucket = s3.get_bucket(bucket_name)
        if bucket.has_default_lock and not named.get("lock_mode"):
            named["lock_mode"] = bucket.default_lock_mode
            named["lock_until"] = bucket.default_retention()
        return put_object(s3, bucket_name, *given, **named)

    return put


def _configure(
    s3: S3Backend,
    bucket_name: str,
    lock_enabled: bool,  # noqa: ARG001  it can't be disabled
    mode: str | None = None,
    days: int | None = None,
    years: int | None = None,
) -> None:
    """moto refuses a bucket that has objects."""
    bucket = s3.get_bucket(bucket_name)
    bucket.object_lock_enabled = True
    bucket.default_lock_mode = mode
    bucket.default_lock_days, bucket.default_lock_years = days or 0, years or 0


def _keeping_state(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(response: S3Response, request: Any, name: str, query: dict[str, Any]) -> Any:
        if "object-lock" in query and not response.backend.get_bucket(name).is_versioned:
            return _refused(
                409,
                "InvalidBucketState",
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            )
        if (
            "versioning" in query
            and b"<Status>Enabled</Status>" not in response.body
            and response.backend.get_bucket(name).object_lock_enabled
        ):
            return _refused(
                409,
                "InvalidBucketState",
                "An Object Lock configuration is present on this bucket, so the versioning state "
                "cannot be changed.",
            )
        return respond(response, request, name, query)

    return answer


def _reading(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(response: S3Response, query: dict[str, Any], key_name: str) -> Any:
        if not {"retention", "legal-hold"} & query.keys():
            return respond(response, query, key_name)
        bucket = response.backend.get_bucket(response.bucket_name)
        _require_object_lock(bucket)
        found = _object(bucket, key_name, query.get("versionId", [None])[0], "GET")
        if "retention" in query and found.lock_mode:
            until = {"Mode": found.lock_mode, "RetainUntilDate": _moment(found.lock_until)}
            response.data["Action"] = "GetObjectRetention"
            return response.serialized(ActionResult({"Retention": until}))
        if "legal-hold" in query and found.lock_legal_status:
            response.data["Action"] = "GetObjectLegalHold"
            return response.serialized(
                ActionResult({"LegalHold": {"Status": found.lock_legal_status}})
            )
        return _refused(
            404,
            "NoSuchObjectLockConfiguration",
            "The specified object does not have a ObjectLock configuration",
        )

    return answer


def _changing(put_retention: Callable[[S3Response], Any]) -> Callable[[S3Response], Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html"""

    @functools.wraps(put_retention)
    def answer(response: S3Response) -> Any:
        found = _object_to_lock(response)
        mode, until = response._mode_until_from_body()
        now = utcnow().replace(tzinfo=UTC)
        if until and _moment(until) <= now:
            why = "The retain until date must be in the future!"
            raise InvalidArgumentError(why, "RetainUntilDate", until)
        bypasses = found.lock_mode == "GOVERNANCE" and _bypass(response) == "true"
        if found.lock_mode and _moment(found.lock_until) > now and not bypasses:
            is_longer = bool(until) and _moment(until) >= _moment(found.lock_until)
            if mode != found.lock_mode or not is_longer:
                raise Locked
        return put_retention(response)

    return answer


def _holding(put_hold: Callable[[S3Response], Any]) -> Callable[[S3Response], Any]:
    @functools.wraps(put_hold)
    def answer(response: S3Response) -> Any:
        _object_to_lock(response)
        return put_hold(response)

    return answer


def _checking_bypass(respond: Callable[..., Any]) -> Callable[..., Any]:
    """https://github.com/hashicorp/terraform-provider-aws/issues/34066"""

    @functools.wraps(respond)
    def answer(response: S3Response, *given: Any, **named: Any) -> Any:
        bucket = response.backend.get_bucket(response.bucket_name)
        if (bypass := _bypass(response)) and not bucket.object_lock_enabled:
            why = f"{_BYPASS} is only applicable to Object Lock enabled buckets."
            raise InvalidArgumentError(why, _BYPASS, bypass)
        return respond(response, *given, **named)

    return answer


def _bypass(response: S3Response) -> str:
    return str(response.headers.get(_BYPASS, "")).lower()


def _object_to_lock(response: S3Response) -> FakeKey:
    bucket = response.backend.get_bucket(response.bucket_name)
    _require_object_lock(bucket)
    version_id = response.querystring.get("versionId", [None])[0]
    return _object(bucket, response.parse_key_name(), version_id, "PUT")


def _require_object_lock(bucket: FakeBucket) -> None:
    if not bucket.object_lock_enabled:
        raise S3ClientError("InvalidRequest", "Bucket is missing Object Lock Configuration")


def _object(bucket: FakeBucket, key: str, version_id: str | None, method: str) -> FakeKey:
    found = version_of(bucket, key, version_id)
    if isinstance(found, FakeDeleteMarker):
        raise MethodNotAllowed(method, "DeleteMarker")
    if found is None:
        raise MissingVersion(key, version_id) if version_id else MissingKey(key)
    kept: FakeKey = found
    return kept


def _moment(text: str | None) -> datetime:
    moment = datetime.fromisoformat(text or "")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refused(status: int, code: str, message: str) -> _Answer:
    body = _ERROR.format(code=code, message=message)
    return status, {"content-type": "application/xml"}, body
