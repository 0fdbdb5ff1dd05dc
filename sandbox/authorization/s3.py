"""The buckets and objects of Amazon S3 that calls are about.

A missing bucket is missing for all callers: IAM is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring
from moto.s3.models import FakeBucket, s3_backends

from sandbox.authorization.call import Call
from sandbox.authorization.demand import Target


def bucket(call: Call) -> Iterator[Target]:
    """The bucket."""
    yield from _in_bucket(call.bucket)


def object_(call: Call) -> Iterator[Target]:
    """The object."""
    yield from _in_bucket(call.bucket, call.key)


def bucket_of_missing_object(call: Call) -> Iterator[Target]:
    """The bucket, where it does not have the object.

    S3 answers 404 for a missing key to those who may list its bucket, and 403 to others (Amazon S3
    API Reference, HeadObject and GetObject, Permissions).
    """
    found = _bucket(call.bucket)
    if found is not None and call.key not in found.keys:
        yield from _in_bucket(call.bucket)


def listed_objects(call: Call) -> Iterator[Target]:
    """The objects that DeleteObjects lists."""
    for member in listed(call):
        yield from _in_bucket(call.bucket, key_of(member))


def listed_objects_as_seen(call: Call) -> Iterator[Target]:
    """Those of them that are to be deleted by their ETags."""
    for member in listed(call):
        if _text(member, "ETag"):
            yield from _in_bucket(call.bucket, key_of(member))


def bucket_of_stored_image(call: Call) -> Iterator[Target]:
    """The bucket that an image is stored in."""
    yield from _in_bucket(call.parameters.get("Bucket", ""))


def stored_image(call: Call) -> Iterator[Target]:
    """The object that an image is stored as."""
    key = f"{call.parameters.get('ImageId', '')}.bin"
    yield from _in_bucket(call.parameters.get("Bucket", ""), key)


def listed(call: Call) -> list[Element]:
    """The `Object` elements of DeleteObjects."""
    return [member for member in fromstring(call.body).iter() if _is(member, "Object")]


def key_of(member: Element) -> str:
    """The key of an `Object` element."""
    return _text(member, "Key")


def _is(element: Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def _text(element: Element, name: str) -> str:
    return next((child.text or "" for child in element if _is(child, name)), "")


def _bucket(name: str) -> FakeBucket | None:
    partition, account = s3_backends.bucket_accounts.get(name, ("aws", ""))
    return s3_backends[account][partition].buckets.get(name) if account else None


def _in_bucket(name: str, key: str | None = None) -> Iterator[Target]:
    found = _bucket(name)
    if found is not None:
        resource = name if key is None else f"{name}/{key}"
        owner = ("s3:ResourceAccount", found.account_id)
        yield Target(f"arn:aws:s3:::{resource}", (owner,))
