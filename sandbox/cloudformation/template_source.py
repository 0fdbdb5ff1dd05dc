"""Templates that are objects in S3."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote, urlsplit

from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from sandbox.cloudformation import published_templates, template_limits
from sandbox.cloudformation.intrinsics import invalid


def from_s3(url: str, account: str, region: str) -> str:
    """The template that the URL names, in the path or the virtual-host style, on any host, or that
    of an application in the Serverless Application Repository."""
    published = published_templates.body_of(url)
    if published is not None:
        return published
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    if host == "localhost" or host.startswith(("s3.", "s3-")) or _is_address(host):
        bucket, _, key = path.partition("/")
    else:
        bucket, key = host.split(".s3")[0], path
    buckets = s3_backends[account][get_partition(region)]
    stored = buckets.get_object(bucket, key) if bucket in buckets.buckets else None
    if stored is None:
        raise invalid(f"S3 error: The specified key does not exist: {url}")
    body = bytes(stored.value)
    template_limits.check_object(body)
    return body.decode()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
