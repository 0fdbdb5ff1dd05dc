"""The objects of a bundle: its parts and its manifest, written as EC2 writes them."""

import hashlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from moto.ec2.models import EC2Backend
from moto.s3.models import S3Backend
from moto.utilities.utils import get_partition

from sandbox.ec2 import SERVICE
from sandbox.ec2.access_keys import secret_of
from sandbox.ec2.bundle_task import BundleTask, S3Storage
from sandbox.ec2.upload_policies import Upload, UploadRefused, verify
from sandbox.events.object_events import requested_by

_PART_BYTES = 1024


class BundleObjects:
    """What bundle tasks of one account and Region write.

    Args:
        ec2: moto's backend, which has the account.
        s3: moto's backend, which has the buckets.
        clock: epoch seconds.
    """

    def __init__(self, ec2: EC2Backend, s3: S3Backend, clock: Callable[[], float]) -> None:
        self._ec2 = ec2
        self._s3 = s3
        self._clock = clock

    def write(self, task: BundleTask, *, whole: bool) -> None:
        """Write the parts, and when the bundle is whole the manifest, which comes last.

        Raises:
            MissingBucket: the bucket is gone.
            UploadRefused: the upload policy, or the bucket, does not allow an object.
        """
        parts = [_part(task, number) for number in range(task.parts)]
        for number, part in enumerate(parts):
            self._put(task, f"{task.storage.prefix}.part.{number}", part)
        if whole:
            self._put(task, f"{task.storage.prefix}.manifest.xml", _manifest(task, parts))

    def remove(self, task: BundleTask) -> None:
        """Remove what the task has written."""
        with requested_by(SERVICE):
            for key in task.written:
                self._s3.delete_object(task.storage.bucket, key)
        task.written.clear()

    def _put(self, task: BundleTask, key: str, content: bytes) -> None:
        if key not in task.written:
            self._admit(task.storage, key, content)
            with requested_by(SERVICE):
                self._s3.put_object(task.storage.bucket, key, content)
            task.written.append(key)

    def _admit(self, storage: S3Storage, key: str, content: bytes) -> None:
        """Refuse an object that the request's upload policy, or its bucket, does not allow."""
        policy = storage.signed_policy
        if policy is None:
            return
        verify(policy, Upload(storage.bucket, key, len(content)), self._secret_of, self._clock())
        # moto says that it keeps a dict; what it keeps is the rule's name.
        ownership: Any = self._s3.get_bucket_ownership_controls(storage.bucket)
        if ownership == "BucketOwnerEnforced":
            raise UploadRefused("The bucket does not allow ACLs")

    def _secret_of(self, access_key_id: str) -> str | None:
        partition = get_partition(self._ec2.region_name)
        return secret_of(self._ec2.account_id, partition, access_key_id)


def _part(task: BundleTask, number: int) -> bytes:
    seed = f"{task.bundle_id}.{number}".encode()
    return (hashlib.sha256(seed).digest() * (_PART_BYTES // 32))[:_PART_BYTES]


def _manifest(task: BundleTask, parts: list[bytes]) -> bytes:
    """The manifest of a bundle, in the form of EC2's AMI tools."""
    name = task.storage.prefix.rpartition("/")[2]
    manifest = ElementTree.Element("manifest")
    _add(manifest, "version", "2007-10-10")
    bundler = ElementTree.SubElement(manifest, "bundler")
    _add(bundler, "name", "cfn-instance-bundle-sandbox")
    _add(bundler, "version", "1.0")
    machine = ElementTree.SubElement(manifest, "machine_configuration")
    _add(machine, "architecture", "x86_64")
    image = ElementTree.SubElement(manifest, "image")
    _add(image, "name", name)
    _add(image, "type", "machine")
    _add(image, "digest", hashlib.sha1(b"".join(parts)).hexdigest(), algorithm="SHA1")  # noqa: S324
    _add(image, "size", str(sum(map(len, parts))))
    _add(image, "bundled_size", str(sum(map(len, parts))))
    listed = ElementTree.SubElement(image, "parts", count=str(len(parts)))
    for number, content in enumerate(parts):
        part = ElementTree.SubElement(listed, "part", index=str(number))
        _add(part, "filename", f"{name}.part.{number}")
        _add(part, "digest", hashlib.sha1(content).hexdigest(), algorithm="SHA1")  # noqa: S324
    text: bytes = ElementTree.tostring(manifest, encoding="utf-8", xml_declaration=True)
    return text


def _add(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text
