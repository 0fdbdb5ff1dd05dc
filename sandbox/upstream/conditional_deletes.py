"""S3's DeleteObjects, of which moto ignores the ETags, says too little, and fails as a whole.

"Conditional delete evaluations only apply to the current version of the object" (Amazon S3 User
Guide, How to perform conditional deletes,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

from moto.s3.exceptions import (
    InvalidArgumentError,
    InvalidVersion,
    MissingKey,
    MissingVersion,
    S3ClientError,
)
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

_BOTH = "An ETag and a VersionId can't be given together"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an object of a DeleteObjects is not deleted. version_id: empty where none was given."""

    key: str
    version_id: str
    code: str
    message: str


_failures: ContextVar[list[Failure]] = ContextVar("failures")


@contextmanager
def enforced() -> Iterator[None]:
    """Have DeleteObjects delete an object with an ETag only if its current version has it."""
    name = "_bucket_response_delete_keys"
    with (
        patch.object(S3Backend, "delete_objects", _delete_each),
        patch.object(S3Response, name, _with_failures(getattr(S3Response, name))),
        patch.object(S3Response, "delete_object", _without_both(S3Response.delete_object)),
    ):
        yield


def _delete_each(
    s3: S3Backend, bucket: str, objects: list[dict[str, Any]], bypass_retention: bool = False
) -> tuple[list[tuple[str, str | None, str | None]], list[str]]:
    """The keys, versions and delete markers of what is deleted; failures are kept."""
    deleted: list[tuple[str, str | None, str | None]] = []
    for asked in objects:
        key, version_id = asked["Key"], asked.get("VersionId")
        try:
            _require_as_seen(s3, bucket, asked)
            _, answer = s3.delete_object(bucket, key, version_id, bypass_retention)
        except S3ClientError as error:
            # S3 says of DeleteObject only that an ID is malformed.
            refusal = MissingVersion() if isinstance(error, InvalidVersion) else error
            failure = Failure(key, version_id or "", refusal.code, refusal.message)
            _failures.get([]).append(failure)
        else:
            marker = answer.get("version-id") if answer.get("delete-marker") else None
            deleted.append((key, version_id, marker))
    return deleted, []


def _require_as_seen(s3: S3Backend, bucket: str, asked: Mapping[str, Any]) -> None:
    key, etag = asked["Key"], asked.get("ETag")
    if not etag:
        return
    if asked.get("VersionId"):
        raise InvalidArgumentError(_BOTH, "VersionId", asked["VersionId"])
    current = s3.get_object(bucket, key)
    if current is None:
        raise MissingKey(key)
    if etag.strip('"') != current.etag.strip('"'):
        why = "At least one of the pre-conditions you specified did not hold"
        raise S3ClientError("PreconditionFailed", why)


def _without_both(delete_object: Callable[[S3Response], Any]) -> Callable[[S3Response], Any]:
    @functools.wraps(delete_object)
    def answer(response: S3Response) -> Any:
        version_id = response.querystring.get("versionId", [""])[0]
        if version_id and response.headers.get("If-Match"):
            raise InvalidArgumentError(_BOTH, "versionId", version_id)
        return delete_object(response)

    return answer


def _with_failures(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(response: S3Response, *given: Any, **named: Any) -> Any:
        failures: list[Failure] = []
        token = _failures.set(failures)
        try:
            status, headers, body = respond(response, *given, **named)
        finally:
            _failures.reset(token)
        asked = ElementTree.fromstring(response.body)  # noqa: S314  a test's own request
        is_quiet = asked.findtext("{*}Quiet", "").lower() == "true"
        return status, headers, _completed(body, failures, is_quiet=is_quiet)

    return answer


def _completed(body: str | bytes, failures: list[Failure], *, is_quiet: bool) -> str:
    result = ElementTree.fromstring(body)  # noqa: S314  moto wrote it
    namespace = result.tag.partition("}")[0] + "}" if result.tag.startswith("{") else ""
    if namespace:
        ElementTree.register_namespace("", namespace.strip("{}"))
    for deleted in result.findall(f"{namespace}Deleted") if is_quiet else []:
        result.remove(deleted)
    for failure in failures:
        error = ElementTree.SubElement(result, f"{namespace}Error")
        for name, text in (
            ("Key", failure.key),
            ("VersionId", failure.version_id),
            ("Code", failure.code),
            ("Message", failure.message),
        ):
            if text:
                ElementTree.SubElement(error, f"{namespace}{name}").text = text
    return ElementTree.tostring(result, encoding="unicode")
