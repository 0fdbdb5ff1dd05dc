"""Reads objects in Amazon S3 and their versions, and deletes what is as it was read.

With versions, a deletion without a VersionId puts a delete marker on top, and keeps the version; a
deletion with one can't name an ETag too (Amazon S3 User Guide, Deleting object versions from a
versioning-enabled bucket, and How to perform conditional deletes).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.aws.refusals import meaning
from instance_bundle.errors import Gone, PassingFault
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import (
        HeadObjectOutputTypeDef,
        ObjectIdentifierTypeDef,
        ObjectTypeDef,
        ObjectVersionTypeDef,
    )

NULL = "null"
"""The version ID of what is written while versioning is not enabled."""

NOT_FOUND = {404, 405}
"""The statuses if there is no object, or the version is a delete marker (Amazon S3 API Reference,
HeadObject, Versioning)."""

# What S3 answers if an object no longer has the given ETag, or the version can't be there.
_NOT_AS_SEEN = {"NoSuchKey", "NoSuchVersion", "PreconditionFailed"}

_KEYS_A_CALL = 1000
"""Keys that one DeleteObjects call takes (Amazon S3 API Reference)."""


@dataclass(frozen=True, slots=True)
class Written:
    """An object as it was written; this distinguishes it from what is written there later.

    Attributes:
        etag: its ETag; empty where that could not be read.
        version: its version ID; empty if the bucket had no versions.
    """

    etag: str
    version: str = ""

    def removed_as(self, *, versions: bool) -> "Written":
        """What is to be removed: the version, or the object if it still has the ETag."""
        return self if versions else Written(self.etag)


class InVersion(TypedDict, total=False):
    """A parameter of calls that read an object."""

    VersionId: str


@dataclass(slots=True)
class Deleted:
    """What a deletion did.

    Attributes:
        markers: version IDs of the delete markers that S3 put, one for each object.
        locked: the keys of versions that Object Lock protects: they are still there.
    """

    markers: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)


def read(bucket: str, key: str, version: str = "") -> Written | None:
    """The object, or one version of it; None where there is none."""
    found = head(bucket, key, version)
    return Written(found["ETag"], found.get("VersionId", "")) if found else None


def find(bucket: str, key: str, written: Written) -> Written | None:
    """The object that was written, with its version ID; None if it is gone.

    Where the version ID is not known, the object has it that has the ETag. Others may have put a
    newer version or a delete marker on top. Without an ETag, any object with this key is meant.
    """
    found = read(bucket, key, written.version)
    if found is not None and found.etag == (written.etag or found.etag):
        return found
    if written.version:
        return None
    for each in listed_versions(bucket, key):
        if each["Key"] == key and each["ETag"] == (written.etag or each["ETag"]):
            return Written(each["ETag"], each["VersionId"])
    return None


def head(bucket: str, key: str, version: str = "") -> "HeadObjectOutputTypeDef | None":
    """What S3 says about an object, or one version of it; None where there is none."""
    with aws.calling("s3:HeadObject"):
        try:
            return aws.s3().head_object(Bucket=bucket, Key=key, **in_version(version))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in NOT_FOUND:
                return None
            raise


def in_version(version: str) -> InVersion:
    """The parameter that names a version, if one is named."""
    return {"VersionId": version} if version else {}


def listed(bucket: str, prefix: str) -> "Iterator[ObjectTypeDef]":
    """The objects whose keys begin with the prefix; none if there is no bucket."""
    pages = aws.s3().get_paginator("list_objects_v2")
    with aws.calling("s3:ListObjectsV2"):
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                yield from page.get("Contents", [])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


def listed_versions(bucket: str, prefix: str) -> "Iterator[ObjectVersionTypeDef]":
    """All versions of these objects, without delete markers, the newest of each key first. In a
    bucket without versions each has the version ID `null`."""
    pages = aws.s3().get_paginator("list_object_versions")
    with aws.calling("s3:ListObjectVersions"):
        try:
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                yield from page.get("Versions", [])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


def delete(bucket: str, objects: "Iterable[ObjectIdentifierTypeDef]") -> Deleted:
    """Delete versions for good, and objects without a version if they still have their ETags.

    Raises:
        PassingFault: some of it may have been done.
        Denied: S3 refuses.
    """
    done, left = Deleted(), iter(objects)
    while chunk := list(islice(left, _KEYS_A_CALL)):
        _delete_chunk(bucket, chunk, done)
    return done


def identifier(key: str, written: Written) -> "ObjectIdentifierTypeDef":
    """An object to delete: by its version if that is known, else by its ETag."""
    if written.version:
        return {"Key": key, "VersionId": written.version}
    return {"Key": key, "ETag": written.etag}


def remove(bucket: str, key: str, written: Written) -> list[str]:
    """Remove an object, or its version, if it is there as it was written; without an ETag, whatever
    has this key. Returns the key if Object Lock protects it."""
    found = read(bucket, key, written.version)
    if found is None or found.etag != (written.etag or found.etag):
        return []
    deleted = delete(bucket, [identifier(key, Written(found.etag, written.version))])
    log_hidden(bucket, key, deleted.markers, found.version)
    return deleted.locked


def log_hidden(bucket: str, prefix: str, markers: list[str], version: str = "") -> None:
    """Log once that versions of deleted objects are kept, below the delete markers that were put.

    A marker `null` replaces the version `null`, and hides others (Amazon S3 User Guide, Deleting
    objects from versioning-suspended buckets).

    Args:
        bucket: their bucket.
        prefix: what their keys begin with.
        markers: the version IDs of the markers.
        version: the version ID of one of the objects; empty if it is not known.
    """
    is_hidden = version not in ("", NULL)
    if kept := sum(is_hidden or marker != NULL for marker in markers):
        logger.warning(
            "Versions are kept: the application's parameter AllowVersionDeletion is false",
            objects=kept,
            version=version,
            shown_by=f"aws s3api list-object-versions --bucket {bucket} --prefix {prefix}",
        )


def _delete_chunk(bucket: str, objects: "list[ObjectIdentifierTypeDef]", done: Deleted) -> None:
    try:
        with aws.calling("s3:DeleteObjects"):
            answer = aws.s3().delete_objects(Bucket=bucket, Delete={"Objects": objects})
    except Gone as gone:
        logger.info("The bucket is gone", bucket=bucket, why=gone.code)
        return
    for error in answer.get("Errors", []):
        code, key, message = error.get("Code", ""), error.get("Key", ""), error.get("Message", "")
        if code in _NOT_AS_SEEN:
            logger.info("An object has changed and stays, or is gone", key=key)
        elif "object lock" in message.lower():
            done.locked.append(key)
        else:
            raise meaning("s3:DeleteObjects", code, f"{message} ({key})")
    named = [each["Key"] for each in (*answer.get("Deleted", []), *answer.get("Errors", []))]
    if missing := {each["Key"] for each in objects} - {*named}:
        raise PassingFault(f"S3 does not say whether it deleted {sorted(missing)[:10]}")
    for each in answer.get("Deleted", []):
        if "DeleteMarkerVersionId" in each and "VersionId" not in each:
            done.markers.append(each["DeleteMarkerVersionId"])
