"""Buckets of other Regions and of other accounts, to which moto gives everybody access.

A request that is signed for another Region than the bucket's is answered with a redirect, and SDKs
repeat it there (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html). A bucket of
another account is denied, as long as its policy allows nothing, which the sandbox does not read.
So is one of another account than the request expects
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response

_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/s3/aws4_request")
_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message><Bucket>{bucket}</Bucket></Error>"


@contextmanager
def enforced() -> Iterator[None]:
    """Redirect requests to a bucket of another Region, and deny those of other accounts."""
    with (
        patch.object(S3Response, "_bucket_response", _at_home(S3Response._bucket_response)),
        patch.object(S3Response, "_key_response", _at_home(S3Response._key_response)),
    ):
        yield


def _at_home(respond: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(respond)
    def answer(response: S3Response, request: Any, full_url: str) -> Any:
        name = response.parse_bucket_name_from_url(request, full_url)
        bucket = _bucket(name) if name else None
        if bucket is None or _is_for_anybody(request, full_url, name):
            return respond(response, request, full_url)
        expected = request.headers.get("x-amz-expected-bucket-owner", bucket.account_id)
        if not bucket.account_id == response.current_account == expected:
            return _refused(request, 403, "AccessDenied", "Access Denied", bucket)
        signed_for = _SIGNED_FOR.search(request.headers.get("Authorization") or "")
        if signed_for and signed_for[1] != bucket.region_name:
            why = (
                "The bucket you are attempting to access must be addressed using the specified "
                "endpoint. Please send all future requests to this endpoint."
            )
            return _refused(request, 301, "PermanentRedirect", why, bucket)
        return respond(response, request, full_url)

    return answer


def _is_for_anybody(request: Any, full_url: str, name: str) -> bool:
    """Whether a request reads a bucket's Region, or creates a bucket that may exist already."""
    url = urlsplit(full_url)
    is_bucket = url.path.strip("/") in ("", name)
    return is_bucket and (
        (request.method == "GET" and url.query.startswith("location"))
        or (request.method == "PUT" and not url.query)
    )


def _bucket(name: str) -> FakeBucket | None:
    partition, account_id = s3_backends.bucket_accounts.get(name, (None, None))
    if partition is None or account_id is None:
        return None
    return s3_backends[account_id][partition].buckets.get(name)


def _refused(
    request: Any, status: int, code: str, message: str, bucket: FakeBucket
) -> tuple[int, dict[str, Any], str]:
    headers = {"x-amz-bucket-region": bucket.region_name, "content-type": "application/xml"}
    body = _ERROR.format(code=code, message=message, bucket=bucket.name)
    return status, headers, "" if request.method == "HEAD" else body
