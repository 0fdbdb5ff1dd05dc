"""The bucket that a bundle is written to: whether it exists, and is in this Region."""

from botocore.exceptions import ClientError

from instance_bundle import aws
from instance_bundle.aws.advice import PERMISSION_CODES
from instance_bundle.errors import Denied, Doubtful, Unsuitable

_PATH = "Storage.S3.Bucket"


def require_here(bucket: str) -> None:
    """Check that a bucket exists and is in this Region, before anything is made for it.

    S3 answers 403 both for a bucket of another account and for one that the caller may not list
    (Amazon S3 API Reference, HeadBucket): that decides nothing.

    Raises:
        Unsuitable: it is in another Region.
        PassingFault: no answer.
        Doubtful: it does not exist, or not yet.
    """
    client = aws.s3()
    try:
        found = _region(bucket)
    except Doubtful as doubtful:
        if _is_denial(doubtful):
            return
        raise
    here = client.meta.region_name
    if found != here:
        raise Unsuitable(
            _PATH,
            f"{bucket} is in {found}, and EC2 writes to buckets in the instance's Region only. "
            f"Name a bucket in {here}.",
        )


def denial(bucket: str) -> str:
    """Why it is not known whether a bucket exists, for the Reason of what failed; empty if it is
    known.

    Raises:
        PassingFault: no answer.
    """
    try:
        _region(bucket)
    except Doubtful as doubtful:
        return str(doubtful) if _is_denial(doubtful) else ""
    return ""


def _is_denial(doubtful: Doubtful) -> bool:
    refusal = doubtful.refusal
    return isinstance(refusal, Denied) and refusal.code in PERMISSION_CODES


def _region(bucket: str) -> str:
    """The Region of a bucket: the SDK follows S3's redirect to it."""
    with aws.calling("s3:HeadBucket"):
        try:
            return aws.s3().head_bucket(Bucket=bucket)["BucketRegion"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            missing = f"there is no bucket {bucket}. Check the name, or create the bucket first."
            raise Doubtful(Unsuitable(_PATH, missing)) from error
