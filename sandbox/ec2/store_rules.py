"""EC2's rules for what a request may say of storing images.

Each refusal is moto's EC2ClientError.
"""

import re
from collections.abc import Collection, Mapping

from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidParameterCombination,
    MalformedAMIIdError,
    MissingParameterError,
)
from moto.ec2.models.amis import Ami

from sandbox.ec2.image_rules import check_owner
from sandbox.ec2.store_task import StoredObject

IMAGE_IDS = 20
"""Images that one call asks for (EC2 API Reference, DescribeStoreImageTasks)."""

MAX_RESULTS = 200
"""Tasks on a page (EC2's API model, DescribeStoreImageTasksRequestMaxResults)."""

OBJECT_TAGS, OBJECT_TAG_KEY, OBJECT_TAG_VALUE = 10, 128, 256
"""Tags that an object may have, and their characters (EC2 API Reference, S3ObjectTag). S3 has fewer
characters than EC2 (Amazon S3 User Guide, Categorizing your objects using tags)."""

_OBJECT_TAG = re.compile(r"[\w .:/=+\-@]*")


def check_image(image: Ami) -> None:
    """Refuse an image that can't be stored (Amazon EC2 User Guide, Store and restore an AMI using
    S3, Limitations). No page says that of product codes, and none that images with them can."""
    if image.root_device_type == "instance-store":
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The image '{image.id}' is not backed by Amazon EBS. Only EBS-backed AMIs can be "
            "stored",
        )
    account = {"UserId": image.ec2_backend.account_id}
    if account not in image.launch_permissions:
        check_owner(image)
    if image.virtualization_type == "paravirtual":
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The image '{image.id}' is paravirtual. Paravirtual AMIs can't be stored",
        )
    if image.product_codes:
        raise EC2ClientError(
            "OperationNotPermitted", f"The image '{image.id}' has a product code, and is not stored"
        )


def target_of(image: Ami, bucket: str | None, tags: list[dict[str, str]]) -> StoredObject:
    """What a request asks for, refused where no bucket has it."""
    if not bucket:
        raise MissingParameterError("bucket")
    object_tags = {tag["Key"]: tag.get("Value", "") for tag in tags}
    if len(object_tags) < len(tags):
        raise EC2ClientError(
            "InvalidParameterValue", "Cannot provide multiple Tags with the same key"
        )
    _check_object_tags(object_tags)
    return StoredObject(bucket=bucket, key=f"{image.id}.bin", tags=object_tags)


def _check_object_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > OBJECT_TAGS:
        raise EC2ClientError(
            "InvalidParameterValue", f"Object tags cannot be greater than {OBJECT_TAGS}"
        )
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise EC2ClientError(
                "InvalidParameterValue", "Your TagKey cannot be prefixed with aws:"
            )
        is_in_alphabet = _OBJECT_TAG.fullmatch(key) and _OBJECT_TAG.fullmatch(value)
        is_short = 0 < len(key) <= OBJECT_TAG_KEY and len(value) <= OBJECT_TAG_VALUE
        if not (is_short and is_in_alphabet):
            raise EC2ClientError(
                "InvalidParameterValue", "The TagKey or the TagValue you have provided is invalid"
            )


def not_a_bucket(bucket: str, why: str) -> EC2ClientError:
    """The error for a bucket that an image can't be written to."""
    return EC2ClientError("InvalidParameterValue", f"Invalid value '{bucket}' for bucket. {why}")


def check_page(filters: Collection[str], known: Collection[str], max_results: int | None) -> None:
    """Refuse filters that are not known, and a page that is too small or too large."""
    for name in filters:
        if name not in known:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    if max_results is not None and not 1 <= max_results <= MAX_RESULTS:
        raise EC2ClientError(
            "InvalidMaxResults",
            f"Invalid value '{max_results}' for maxResults. It is from 1 to {MAX_RESULTS}",
        )


def check_image_ids(image_ids: list[str], max_results: int | None) -> None:
    """Refuse image IDs that are no IDs, too many, or asked for by pages."""
    if max_results is not None:
        raise InvalidParameterCombination(
            "The parameter imageIds cannot be used with the parameter maxResults"
        )
    if len(image_ids) > IMAGE_IDS:
        raise EC2ClientError(
            "InvalidParameterValue", f"Up to {IMAGE_IDS} image IDs can be included in a request"
        )
    malformed = [image_id for image_id in image_ids if not image_id.startswith("ami-")]
    if malformed:
        raise MalformedAMIIdError(malformed)
