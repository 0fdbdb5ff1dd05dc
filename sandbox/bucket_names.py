"""The names of buckets: those of today, and those that us-east-1 took before March 1, 2018.

moto only counts their characters. A tag of CreateBucket, `sandbox:created`, with a date such as
`2018-02-28`, makes a bucket that is so old.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

from moto.s3.exceptions import BucketAlreadyExists, InvalidBucketName
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.s3.responses import S3Response

_CREATED = "sandbox:created"
_STRICT_SINCE = "2018-03-01"

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_NAME = re.compile(
    r".*\.\..*|\d+\.\d+\.\d+\.\d+|(xn--|sthree-|amzn-s3-demo-).*"
    r"|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)"
)
_OLD_NAME = re.compile(r"[A-Za-z0-9._-]{3,255}")

_is_old: ContextVar[bool] = ContextVar("_is_old")


@contextmanager
def enforced() -> Iterator[None]:
    """Refuse names that S3 refuses, and make old buckets where a tag says so."""
    with (
        patch.object(S3Response, "_bucket_response_put", _dated(S3Response._bucket_response_put)),
        patch.object(S3Backend, "create_bucket", _checked(S3Backend.create_bucket)),
    ):
        yield


def _dated(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(response: S3Response, request: Any, name: str, query: dict[str, Any]) -> Any:
        token = _is_old.set(not query and _created(response.body) < _STRICT_SINCE)
        try:
            return respond(response, request, name, query)
        finally:
            _is_old.reset(token)

    return answer


def _created(body: bytes) -> str:
    """When a bucket was created, by the tag; else the day from which names are strict."""
    configuration = ElementTree.fromstring(body) if body else None  # noqa: S314  a test's own
    for tag in configuration.iterfind("{*}Tags/{*}Tag") if configuration is not None else ():
        if tag.findtext("{*}Key") == _CREATED:
            return tag.findtext("{*}Value", _STRICT_SINCE)
    return _STRICT_SINCE


def _checked(create_bucket: Callable[..., FakeBucket]) -> Callable[..., FakeBucket]:
    @functools.wraps(create_bucket)
    def create(s3: S3Backend, bucket_name: str, region_name: str, **named: Any) -> FakeBucket:
        if _is_old.get(False) and region_name == "us-east-1":
            return _create_old(s3, bucket_name)
        if not _NAME.fullmatch(bucket_name) or _NO_NAME.fullmatch(bucket_name):
            raise InvalidBucketName
        return create_bucket(s3, bucket_name, region_name, **named)

    return create


def _create_old(s3: S3Backend, name: str) -> FakeBucket:
    if not _OLD_NAME.fullmatch(name):
        raise InvalidBucketName
    if name in s3_backends.bucket_accounts:
        raise BucketAlreadyExists(name)
    bucket = FakeBucket(name, s3.account_id, "us-east-1")  # type: ignore[abstract]  # moto does it
    s3.buckets[name] = bucket
    return bucket
