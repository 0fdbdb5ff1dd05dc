"""Reads a bundle's objects in Amazon S3, and removes those that are certainly its own.

What is removed is named by the version of its manifest: with one, the versions that were written
are removed, whatever is on top of them. Without one, the objects are deleted, and in a bucket with
versions a delete marker is put on top of each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, takewhile
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.aws import object_locks, objects
from instance_bundle.aws.objects import Written
from instance_bundle.errors import Doubtful, UnreadableManifest, Unsuitable
from instance_bundle.request import Location
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# EC2's clock and S3's may differ by this much.
_CLOCK_SKEW = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """A manifest: the keys of the parts that it names, when it was written, and its version ID.
    One that others have written over a bundle's names none of the bundle's parts."""

    parts: frozenset[str]
    written: datetime
    version: str
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class Removal:
    """What a removal has done.

    Attributes:
        locked: what Object Lock protects; if it is a part, the manifest is kept, too.
        is_gone: the bundle is no longer there; else others have written over it, and all is kept.
    """

    locked: Sequence[str] = ()
    is_gone: bool = True


@dataclass(frozen=True, slots=True)
class _Listed:
    """An object or a version, as it was listed."""

    key: str
    written: datetime
    identifier: "ObjectIdentifierTypeDef"


def has_manifest(location: Location) -> bool:
    """Whether there is a manifest, which EC2 writes last."""
    return objects.head(location.bucket, location.manifest_key) is not None


def has_any(location: Location) -> bool:
    """Whether there is a manifest, or a key of a part. If S3 refuses to list the bucket, only the
    manifest counts.

    Raises:
        PassingFault: no answer.
    """
    if has_manifest(location):
        return True
    try:
        return any(location.is_part(each.key) for each in _listed(location, versions=False))
    except Doubtful as doubtful:
        logger.warning("There may be parts", at=location.s3_uri, why=str(doubtful))
        return False


def require_removable(location: Location, written: Written, since: str) -> None:
    """Check that the manifest shows which objects are the bundle's, that these can be listed, and
    that Object Lock protects none of their versions, before anything is removed.

    Args:
        location: where the bundle is; the caller holds its claim.
        written: its manifest, as it was written.
        since: when its task started, ISO 8601; older versions are not the bundle's.

    Raises:
        Unsuitable: it does not, or one is protected.
        PassingFault: no answer, or a refusal.
    """
    manifest = _named(location, written)
    if manifest is None or not manifest.is_own:
        return
    own = [objects.identifier(location.manifest_key, written)]
    own += _parts(location, written, manifest, since)
    if written.version:
        object_locks.require_unlocked(location.bucket, own)


def remove(location: Location, written: Written, since: str) -> Removal:
    """Remove the parts that the manifest names, then the manifest; arguments as for
    `require_removable`.

    Objects that another bundle has written there since are kept: all of them if the manifest has
    another ETag, and each part that is newer than the manifest.

    Raises:
        Unsuitable: the manifest does not show which objects are the bundle's.
        PassingFault: some of it may have been done.
    """
    manifest = _named(location, written)
    if manifest is None and written.etag:
        logger.info("There is no manifest any more", at=location.s3_uri)
        return Removal()
    if manifest is None or not manifest.is_own:
        logger.warning("The objects there are not this bundle's: kept", at=location.s3_uri)
        return Removal(is_gone=False)
    parts = objects.delete(location.bucket, _parts(location, written, manifest, since))
    if parts.locked:
        return Removal(parts.locked)
    own = objects.identifier(location.manifest_key, written)
    last = objects.delete(location.bucket, [own])
    markers = [*parts.markers, *last.markers]
    objects.log_hidden(location.bucket, location.prefix, markers, manifest.version)
    return Removal(last.locked)


def finished(location: Location, ended: str) -> Written | None:
    """The manifest of the bundle that a task has finished; None where it does not exist.

    Args:
        location: where the task wrote; the caller holds its claim.
        ended: when the task ended, ISO 8601; a newer manifest belongs to another bundle.
    """
    found = objects.head(location.bucket, location.manifest_key)
    if found is None:
        return None
    if found["LastModified"] > datetime.fromisoformat(ended) + _CLOCK_SKEW:
        logger.warning("The manifest is newer than the task's end", at=location.s3_uri)
        return None
    return Written(found["ETag"], found.get("VersionId", ""))


def remove_leftovers(location: Location, since: str, *, versions: bool) -> list[str]:
    """Remove the parts that a task left without a manifest.

    EC2 numbers them from 0. A part after a gap is another tool's, and is kept.

    Args:
        location: where the task wrote; the caller holds its claim.
        since: when the task started, ISO 8601; older objects are not from this task.
        versions: remove their versions.

    Returns:
        What Object Lock protects.
    """
    if has_manifest(location):
        return []
    started = datetime.fromisoformat(since)
    parts = [
        each
        for each in _listed(location, versions=versions)
        if location.is_part(each.key) and each.written >= started
    ]
    keys = {each.key for each in parts}
    in_order = (f"{location.part_prefix}{number}" for number in count())
    own = {*takewhile(keys.__contains__, in_order)}
    deleted = objects.delete(location.bucket, (p.identifier for p in parts if p.key in own))
    objects.log_hidden(location.bucket, location.prefix, deleted.markers)
    if kept := sorted(keys - own):
        logger.warning("Parts after a gap are kept: they may be another's", keys=kept[:10])
    return deleted.locked


def _parts(
    location: Location, written: Written, manifest: _Manifest, since: str
) -> "Iterator[ObjectIdentifierTypeDef]":
    """The parts that the manifest names, and that are not newer than it; versions neither older
    than the task."""
    versions = bool(written.version)
    started = datetime.fromisoformat(since) if versions else None
    for each in _listed(location, versions=versions):
        if each.key not in manifest.parts or each.written > manifest.written:
            continue
        if started is None or each.written >= started:
            yield each.identifier


def _listed(location: Location, *, versions: bool) -> Iterator[_Listed]:
    """What begins as the keys of parts do: the objects, or all their versions."""
    bucket, prefix = location.bucket, location.part_prefix
    if versions:
        for version in objects.listed_versions(bucket, prefix):
            written = Written(version["ETag"], version["VersionId"])
            identifier = objects.identifier(version["Key"], written)
            yield _Listed(version["Key"], version["LastModified"], identifier)
    else:
        for each in objects.listed(bucket, prefix):
            identifier = objects.identifier(each["Key"], Written(each["ETag"]))
            yield _Listed(each["Key"], each["LastModified"], identifier)


def _named(location: Location, written: Written) -> _Manifest | None:
    """The manifest, of that version; None if there is none, or it is not known which is meant."""
    found = _manifest(location, written) if written.etag else None
    if found is None:
        return None
    # Imported here, since most requests have no manifest to read.
    from instance_bundle.aws import manifest

    etag, text, at, version = found
    if etag != written.etag:
        return _Manifest(frozenset(), at, version, is_own=False)
    try:
        return _Manifest(manifest.part_keys(text, location), at, version)
    except UnreadableManifest as error:
        raise Unsuitable(
            "OnDelete",
            f"the manifest at {location.s3_uri} does not show which objects are the bundle's: "
            f"{error}. Nothing was removed. Remove them by hand, or retain the resource.",
        ) from error


def _manifest(location: Location, written: Written) -> tuple[str, bytes, datetime, str] | None:
    """The ETag of the manifest, its text (up to the largest useful size; none if it has another
    ETag), when it was written, and its version ID."""
    from instance_bundle.aws import manifest

    with aws.calling("s3:GetObject"):
        try:
            found = aws.s3().get_object(
                Bucket=location.bucket,
                Key=location.manifest_key,
                **objects.in_version(written.version),
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in objects.NOT_FOUND:
                return None
            raise
        with found["Body"] as body:
            text = body.read(manifest.LARGEST + 1) if found["ETag"] == written.etag else b""
            return found["ETag"], text, found["LastModified"], found.get("VersionId", "")
