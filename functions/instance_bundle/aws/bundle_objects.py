"""Reads a bundle's objects in Amazon S3, and removes those that are certainly its own."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.aws.refusals import meaning
from instance_bundle.errors import Doubtful, Gone, UnreadableManifest, Unsuitable
from instance_bundle.request import Location
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import (
        HeadObjectOutputTypeDef,
        ObjectIdentifierTypeDef,
        ObjectTypeDef,
    )

# EC2's clock and S3's may differ by this much.
_CLOCK_SKEW = timedelta(seconds=5)

# What S3 answers if an object no longer has the given ETag.
_NOT_AS_SEEN = {"NoSuchKey", "PreconditionFailed"}

_KEYS_A_CALL = 1000
"""Keys that one DeleteObjects call takes (Amazon S3 API Reference)."""


def manifest_etag(location: Location) -> str | None:
    """The ETag of the manifest, which EC2 writes last; None where there is none."""
    return etag_of(location.bucket, location.manifest_key)


def has_any(location: Location) -> bool:
    """Whether there is a manifest, or a key of a part. If S3 refuses to list the bucket, only the
    manifest counts.

    Raises:
        PassingFault: no answer.
    """
    if manifest_etag(location) is not None:
        return True
    try:
        return any(location.is_part(each["Key"]) for each in _listed(location))
    except Doubtful as doubtful:
        logger.warning("There may be parts", at=location.s3_uri, why=str(doubtful))
        return False


def require_removable(location: Location, etag: str) -> None:
    """Check that the manifest shows which objects are the bundle's, and that these can be listed,
    before anything is removed.

    Raises:
        Unsuitable: it does not.
        PassingFault: no answer, or a refusal.
    """
    if _named(location, etag) is not None:
        next(_listed(location), None)


def remove(location: Location, etag: str) -> None:
    """Remove the parts that the manifest names, then the manifest.

    Objects that another bundle has written there since are kept: all of them if the manifest has
    another ETag, and each part that is newer than the manifest.

    Raises:
        Unsuitable: the manifest does not show which objects are the bundle's.
        PassingFault: some of it may have been done.
    """
    found = _named(location, etag)
    if found is None:
        logger.warning("The objects there are not this bundle's: kept", at=location.s3_uri)
        return
    named, written = found
    parts = (part for part in _listed(location) if part["Key"] in named)
    _delete(location.bucket, (part for part in parts if part["LastModified"] <= written))
    remove_object(location.bucket, location.manifest_key, etag)


def finished(location: Location, ended: str) -> str | None:
    """The ETag of the bundle that a task has finished; None where it does not exist.

    Args:
        location: where the task wrote; the caller holds its claim.
        ended: when the task ended, ISO 8601; a newer manifest belongs to another bundle.
    """
    found = _head(location.bucket, location.manifest_key)
    if found is None:
        return None
    if found["LastModified"] > datetime.fromisoformat(ended) + _CLOCK_SKEW:
        logger.warning("The manifest is newer than the task's end", at=location.s3_uri)
        return None
    return found["ETag"]


def remove_leftovers(location: Location, since: str) -> None:
    """Remove the parts that a task left without a manifest.

    EC2 numbers them from 0. A part after a gap is another tool's, and is kept.

    Args:
        location: where the task wrote; the caller holds its claim.
        since: when the task started, ISO 8601; older objects are not from this task.
    """
    if manifest_etag(location) is not None:
        return
    started = datetime.fromisoformat(since)
    parts = {
        part["Key"]: part
        for part in _listed(location)
        if location.is_part(part["Key"]) and part["LastModified"] >= started
    }
    in_order = (f"{location.part_prefix}{number}" for number in count())
    own = list(takewhile(parts.__contains__, in_order))
    _delete(location.bucket, [parts[key] for key in own])
    kept = sorted({*parts} - {*own})
    if kept:
        logger.warning("Parts after a gap are kept: they may be another's", keys=kept[:10])


def etag_of(bucket: str, key: str) -> str | None:
    """The ETag of an object; None where there is no object."""
    found = _head(bucket, key)
    return found["ETag"] if found else None


def remove_object(bucket: str, key: str, etag: str) -> None:
    """Remove an object, if it has this ETag."""
    _delete(bucket, [{"Key": key, "ETag": etag}])


def _head(bucket: str, key: str) -> "HeadObjectOutputTypeDef | None":
    with aws.calling("s3:HeadObject"):
        try:
            return aws.s3().head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise


def _named(location: Location, etag: str) -> tuple[frozenset[str], datetime] | None:
    """The keys of the parts that the manifest names, and when it was written; None if there is no
    manifest with this ETag."""
    found = _manifest(location, etag) if etag else None
    if found is None:
        return None
    # Imported here, since most requests have no manifest to read.
    from instance_bundle.aws import manifest

    text, written = found
    try:
        return manifest.part_keys(text, location), written
    except UnreadableManifest as error:
        raise Unsuitable(
            "OnDelete",
            f"the manifest at {location.s3_uri} does not show which objects are the bundle's: "
            f"{error}. Nothing was removed. Remove them by hand, or retain the resource.",
        ) from error


def _manifest(location: Location, etag: str) -> tuple[bytes, datetime] | None:
    """The manifest if it has this ETag, up to the largest useful size, and when it was written."""
    from instance_bundle.aws import manifest

    with aws.calling("s3:GetObject"):
        try:
            found = aws.s3().get_object(Bucket=location.bucket, Key=location.manifest_key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        with found["Body"] as body:
            if found["ETag"] != etag:
                return None
            return body.read(manifest.LARGEST + 1), found["LastModified"]


def _listed(location: Location) -> "Iterator[ObjectTypeDef]":
    pages = aws.s3().get_paginator("list_objects_v2")
    with aws.calling("s3:ListObjectsV2"):
        try:
            for page in pages.paginate(Bucket=location.bucket, Prefix=location.part_prefix):
                yield from page.get("Contents", [])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


def _delete(bucket: str, objects: "Iterator[ObjectTypeDef] | Sequence[ObjectTypeDef]") -> None:
    left = iter(objects)
    while chunk := list(islice(left, _KEYS_A_CALL)):
        _delete_chunk(bucket, [{"Key": item["Key"], "ETag": item["ETag"]} for item in chunk])


def _delete_chunk(bucket: str, objects: "Collection[ObjectIdentifierTypeDef]") -> None:
    """Remove objects as they were listed; one that has changed in the meantime is kept."""
    try:
        with aws.calling("s3:DeleteObjects"):
            answer = aws.s3().delete_objects(
                Bucket=bucket, Delete={"Objects": list(objects), "Quiet": True}
            )
    except Gone as gone:
        logger.info("The bucket is gone", bucket=bucket, why=gone.code)
        return
    for error in answer.get("Errors", []):
        code, key = error.get("Code", ""), error.get("Key", "")
        if code not in _NOT_AS_SEEN:
            raise meaning("s3:DeleteObjects", code, f"{error.get('Message', '')} ({key})")
        logger.info("An object has changed and stays, or is gone", key=key)
