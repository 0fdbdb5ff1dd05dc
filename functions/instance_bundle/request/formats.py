"""The formats that `properties.schema.json` names: of buckets, keys and upload policies."""

import ipaddress
import json
import re

from instance_bundle.request import upload_policy

LONGEST_PREFIX = 900
"""Bytes: the prefix is in three attributes, and an answer has at most 4,096 bytes in all."""

LONGEST_BUCKET = 63
"""Characters of the name of a bucket that is not from before March 1, 2018."""

_BUCKET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{1,61})[a-z0-9]")
_OLD_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{3,255}")
_RESERVED_BUCKET_PREFIXES = ("xn--", "sthree-")
_RESERVED_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def is_old_bucket_name(value: str) -> bool:
    """Whether a bucket can have a name only if it was created in us-east-1 before March 1, 2018 (S3
    User Guide, General purpose bucket naming rules)."""
    return _BUCKET_NAME.fullmatch(value) is None or ".." in value


def _is_bucket_name(value: str) -> bool:
    """S3 User Guide, General purpose bucket naming rules; also those of before March 1, 2018."""
    return (
        _OLD_BUCKET_NAME.fullmatch(value) is not None
        and not value.startswith(_RESERVED_BUCKET_PREFIXES)
        and not value.endswith(_RESERVED_BUCKET_SUFFIXES)
        and not _is_ip_address(value)
    )


def _is_ip_address(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_key_prefix(value: str) -> bool:
    """S3 User Guide, Naming Amazon S3 objects."""
    try:
        escaped = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return (
        0 < len(escaped) - len('""') <= LONGEST_PREFIX
        and re.search(r"[\x00-\x1f\x7f]", value) is None
        and not _climbs_out(value)
    )


def _climbs_out(key: str) -> bool:
    depth = 0
    for segment in key.split("/")[:-1]:
        depth += {"..": -1, "": 0, ".": 0}.get(segment, 1)
        if depth < 0:
            return True
    return False


def _is_upload_policy(value: str) -> bool:
    try:
        return isinstance(json.loads(upload_policy.read_document(value)), dict)
    except (ValueError, RecursionError):
        return False


FORMATS = {
    "s3-bucket-name": _is_bucket_name,
    "s3-key-prefix": _is_key_prefix,
    "upload-policy": _is_upload_policy,
}
"""The formats that the schema names, in addition to its patterns."""
