"""The manifest of a bundle, as RegisterImage reads it."""

from dataclasses import dataclass
from xml.etree import ElementTree

from moto.ec2.exceptions import EC2ClientError
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend


@dataclass(frozen=True, slots=True)
class Manifest:
    """What RegisterImage takes from a manifest.

    Attributes:
        architecture: such as `x86_64`.
    """

    architecture: str


def read(s3: S3Backend, location: str) -> Manifest:
    """The manifest at `bucket/key`.

    Raises:
        EC2ClientError: `InvalidManifest`, in the words that EC2 was seen to use.
    """
    bucket, _, key = location.lstrip("/").partition("/")
    try:
        found = s3.get_object(bucket, key)
    except S3ClientError:
        found = None
    if found is None:
        raise EC2ClientError(
            "InvalidManifest",
            f"HTTP 404 (Not Found) response for URL http://s3.amazonaws.com:80/{location}",
        )
    return _parse(found.value)


def _parse(content: bytes) -> Manifest:
    try:
        manifest = ElementTree.fromstring(content)  # noqa: S314  a test's own bucket
    except ElementTree.ParseError:
        raise _invalid() from None
    architecture = manifest.findtext("machine_configuration/architecture")
    if manifest.tag != "manifest" or manifest.find("image/parts") is None or not architecture:
        raise _invalid()
    return Manifest(architecture)


def _invalid() -> EC2ClientError:
    return EC2ClientError("InvalidManifest", "Invalid AMI manifest")
