"""Conditional deletes of S3's DeleteObjects, whose ETags moto ignores.

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

from moto.s3.models import S3Backend
from moto.s3.responses import S3Response


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an object of a DeleteObjects is not deleted."""

    key: str
    code: str
    message: str


_failures: ContextVar[list[Failure]] = ContextVar("failures")


@contextmanager
def enforced() -> Iterator[None]:
    """Have DeleteObjects delete an object with an ETag only if its current version has it."""
    name = "_bucket_response_delete_keys"
    with (
        patch.object(S3Backend, "delete_objects", _checked(S3Backend.delete_objects)),
        patch.object(S3Response, name, _with_failures(getattr(S3Response, name))),
    ):
        yield


def _checked(delete_objects: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(delete_objects)
    def delete(
        s3: S3Backend, bucket: str, objects: list[dict[str, Any]], *given: Any, **named: Any
    ) -> Any:
        failures = [_failure(s3, bucket, each) for each in objects]
        right = [each for each, failure in zip(objects, failures, strict=True) if not failure]
        _failures.get([]).extend(failure for failure in failures if failure)
        return delete_objects(s3, bucket, right, *given, **named)

    return delete


def _with_failures(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(*given: Any, **named: Any) -> Any:
        failures: list[Failure] = []
        token = _failures.set(failures)
        try:
            status, headers, body = respond(*given, **named)
        finally:
            _failures.reset(token)
        return status, headers, _added(body, failures) if failures else body

    return answer


def _failure(s3: S3Backend, bucket: str, asked: Mapping[str, Any]) -> Failure | None:
    key, etag = asked["Key"], asked.get("ETag")
    if not etag:
        return None
    if asked.get("VersionId"):
        return Failure(key, "InvalidArgument", "An ETag and a VersionId can't be given together")
    current = s3.get_object(bucket, key)
    if current is None:
        return Failure(key, "NoSuchKey", "The specified key does not exist.")
    if etag.strip('"') != current.etag.strip('"'):
        why = "At least one of the pre-conditions you specified did not hold"
        return Failure(key, "PreconditionFailed", why)
    return None


def _added(body: str | bytes, failures: list[Failure]) -> str:
    result = ElementTree.fromstring(body)  # noqa: S314  moto wrote it
    namespace = result.tag.partition("}")[0] + "}" if result.tag.startswith("{") else ""
    if namespace:
        ElementTree.register_namespace("", namespace.strip("{}"))
    for failure in failures:
        error = ElementTree.SubElement(result, f"{namespace}Error")
        for name, text in (
            ("Key", failure.key),
            ("Code", failure.code),
            ("Message", failure.message),
        ):
            ElementTree.SubElement(error, f"{namespace}{name}").text = text
    return ElementTree.tostring(result, encoding="unicode")
