"""Object Lock: retention and legal holds of versions that are to be deleted."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.aws import objects
from instance_bundle.errors import Doubtful, Unsuitable
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_READ = 200
"""Of how many versions the locks are read: S3 lists none, and each read takes some 20 ms. A
bucket's default retention locks all alike."""

_SHOWN = 3

_NO_OBJECT_LOCK = "InvalidRequest"
"""S3's code if the bucket is missing an Object Lock configuration
(https://github.com/localstack/localstack/blob/main/tests/aws/services/s3/test_s3.snapshot.json)."""


def require_unlocked(bucket: str, versions: "Sequence[ObjectIdentifierTypeDef]") -> None:
    """Check that versions can be deleted, before anything is.

    Raises:
        Unsuitable: one is protected.
        PassingFault: no answer.
    """
    if _may_be_locked(bucket, versions[0]):
        require_none([lock for each in versions[:_READ] for lock in _locks(bucket, each)])


def require_none(locked: Sequence[str], done: str = "nothing was removed") -> None:
    """Refuse what Object Lock protects.

    Args:
        locked: what it protects, for a person.
        done: what was done.

    Raises:
        Unsuitable: there is some.
    """
    if locked:
        more = f", and {len(locked) - _SHOWN} more" if len(locked) > _SHOWN else ""
        raise Unsuitable(
            "OnDelete",
            f"Object Lock protects {'; '.join(locked[:_SHOWN])}{more}, and {done}. "
            "Wait until then, or remove the retention or legal hold, and delete again; or retain "
            "the resource.",
        )


def log_kept(locked: Sequence[str]) -> None:
    """Log what Object Lock protects, and is left of work that has failed."""
    if locked:
        logger.warning("Object Lock protects leftovers: kept", objects=locked[:10])


def _may_be_locked(bucket: str, of: "ObjectIdentifierTypeDef") -> bool:
    """Whether the bucket has Object Lock, for all that is known: S3 says so of any of its objects,
    to those who may read retentions."""
    try:
        with aws.calling("s3:GetObjectRetention"):
            try:
                aws.s3().get_object_retention(
                    Bucket=bucket, Key=of["Key"], VersionId=of.get("VersionId", "")
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == _NO_OBJECT_LOCK:
                    return False
                raise
    except Doubtful:
        pass
    return True


def _locks(bucket: str, of: "ObjectIdentifierTypeDef") -> Iterator[str]:
    """The locks of a version: S3 shows each to those who may read it (Amazon S3 API Reference,
    HeadObject, x-amz-object-lock-mode and x-amz-object-lock-legal-hold)."""
    found = objects.head(bucket, of["Key"], of.get("VersionId", ""))
    if found is None:
        return
    what = f"s3://{bucket}/{of['Key']} (version {of.get('VersionId')})"
    until = found.get("ObjectLockRetainUntilDate")
    if until is not None and until > datetime.now(UTC):
        yield f"{what} until {until:%Y-%m-%dT%H:%M:%SZ} (mode {found.get('ObjectLockMode')})"
    if found.get("ObjectLockLegalHoldStatus") == "ON":
        yield f"{what} until its legal hold is removed"
