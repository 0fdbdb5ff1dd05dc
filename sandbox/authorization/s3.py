"""The buckets and objects of Amazon S3 that calls are about.

A missing bucket is missing for all callers, and one of another Region than the one that the request
is signed for is a redirect for all of them: IAM is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring
from moto.s3.models import FakeBucket, FakeDeleteMarker, s3_backends

from sandbox.authorization.call import BYPASS_RETENTION, IF_MATCH, Call
from sandbox.authorization.demand import Target


def bucket(call: Call) -> Iterator[Target]:
    """The bucket."""
    yield from _targets(call)


def object_(call: Call) -> Iterator[Target]:
    """The object."""
    yield from _targets(call, call.key, _version_id(call))


def current_object(call: Call) -> Iterator[Target]:
    """The object, where the request names no version."""
    if not _version_id(call):
        yield from object_(call)


def object_version(call: Call) -> Iterator[Target]:
    """The object, where the request names a version."""
    if _version_id(call):
        yield from object_(call)


def object_as_seen(call: Call) -> Iterator[Target]:
    """The object, where it is to be deleted by its ETag."""
    if call.headers.get(IF_MATCH, "*") != "*":
        yield from object_(call)


def object_despite_retention(call: Call) -> Iterator[Target]:
    """The object, where it is to be deleted although it may be retained."""
    if _bypasses(call):
        yield from object_(call)


def bucket_of_missing_object(call: Call) -> Iterator[Target]:
    """The bucket, where it does not have the object, or the version.

    S3 answers 404 for a missing key to those who may list its bucket, and 403 to others; it behaves
    as if an object was deleted whose current version is a delete marker (Amazon S3 API Reference,
    HeadObject and GetObject, Permissions and Versioning).
    """
    found = _bucket(call.bucket)
    if found is not None and _is_missing(found, call.key, _version_id(call)):
        yield from _targets(call)


def listed_objects(call: Call) -> Iterator[Target]:
    """The objects that DeleteObjects lists without a version."""
    for member in listed(call):
        if not version_id_of(member):
            yield from _targets(call, key_of(member))


def listed_versions(call: Call) -> Iterator[Target]:
    """The objects that it lists with a version."""
    for member in listed(call):
        if version_id := version_id_of(member):
            yield from _targets(call, key_of(member), version_id)


def listed_objects_as_seen(call: Call) -> Iterator[Target]:
    """Those of them that are to be deleted by their ETags."""
    for member in listed(call):
        if _text(member, "ETag"):
            yield from _targets(call, key_of(member), version_id_of(member))


def listed_despite_retention(call: Call) -> Iterator[Target]:
    """All of them, where they are to be deleted although they may be retained."""
    for member in listed(call) if _bypasses(call) else ():
        yield from _targets(call, key_of(member), version_id_of(member))


def bucket_of_stored_image(call: Call) -> Iterator[Target]:
    """The bucket that an image is stored in."""
    yield from _in_bucket(_bucket(call.parameters.get("Bucket", "")))


def stored_image(call: Call) -> Iterator[Target]:
    """The object that an image is stored as."""
    key = f"{call.parameters.get('ImageId', '')}.bin"
    yield from _in_bucket(_bucket(call.parameters.get("Bucket", "")), key)


def restored_image(call: Call) -> Iterator[Target]:
    """The object that an image is restored from."""
    key = str(call.parameters.get("ObjectKey", ""))
    yield from _in_bucket(_bucket(call.parameters.get("Bucket", "")), key)


def listed(call: Call) -> list[Element]:
    """The `Object` elements of DeleteObjects."""
    return [member for member in fromstring(call.body).iter() if _is(member, "Object")]


def key_of(member: Element) -> str:
    """The key of an `Object` element."""
    return _text(member, "Key")


def version_id_of(member: Element) -> str:
    """The version ID of an `Object` element; empty where it has none."""
    return _text(member, "VersionId")


def region_of(call: Call) -> str | None:
    """The Region of the bucket; None where there is no bucket."""
    found = _bucket(call.bucket)
    return found.region_name if found else None


def _is(element: Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def _text(element: Element, name: str) -> str:
    return next((child.text or "" for child in element if _is(child, name)), "")


def _bucket(name: str) -> FakeBucket | None:
    partition, account = s3_backends.bucket_accounts.get(name, ("aws", ""))
    return s3_backends[account][partition].buckets.get(name) if account else None


def _version_id(call: Call) -> str:
    return str(call.parameters.get("versionId", ""))


def _bypasses(call: Call) -> bool:
    return call.headers.get(BYPASS_RETENTION, "").lower() == "true"


def _is_missing(bucket: FakeBucket, key: str, version_id: str) -> bool:
    versions = bucket.keys.getlist(key, [])
    if version_id:
        return all(str(each.version_id) != version_id for each in versions)
    return not versions or isinstance(versions[-1], FakeDeleteMarker)


def _targets(call: Call, key: str | None = None, version_id: str = "") -> Iterator[Target]:
    found = _bucket(call.bucket)
    if found is not None and found.region_name == call.region:
        yield from _in_bucket(found, key, version_id)


def _in_bucket(
    bucket: FakeBucket | None, key: str | None = None, version_id: str = ""
) -> Iterator[Target]:
    if bucket is not None:
        resource = bucket.name if key is None else f"{bucket.name}/{key}"
        owner = ("s3:ResourceAccount", bucket.account_id)
        yield Target(f"arn:aws:s3:::{resource}", (owner,), version_id)
