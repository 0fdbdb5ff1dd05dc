"""EC2's rules for what a request may say of an image: its ID, its name, its tags."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.exceptions import (
    EC2ClientError,
    EmptyTagSpecError,
    InvalidAMIIdError,
    InvalidTaggableResourceType,
    MalformedAMIIdError,
    MissingParameterError,
    TagLimitExceeded,
    UnvailableAMIIdError,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.utils import convert_tag_spec

TAGS = 50
"""Tags that a resource may have (Amazon EC2 User Guide, Tag restrictions)."""

TAG_KEY, TAG_VALUE = 127, 256
"""Characters that a tag's key and value may have (EC2 API Reference, Tag)."""

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")


@dataclass(frozen=True, slots=True)
class NewImage:
    """What a request says of the image that it asks for.

    Attributes:
        description: None if there is none.
        image_tags: what the image is tagged with.
        snapshot_tags: what each of its snapshots is tagged with.
    """

    name: str
    description: str | None = None
    image_tags: Mapping[str, str] = field(default_factory=dict)
    snapshot_tags: Mapping[str, str] = field(default_factory=dict)


def image_of(ec2: EC2Backend, image_id: str | None) -> Ami:
    """The image with an ID.

    Raises:
        EC2ClientError: there is none, as EC2 says it.
    """
    if not image_id:
        raise MissingParameterError("imageId")
    if not image_id.startswith("ami-"):
        raise MalformedAMIIdError([image_id])
    if image_id in ec2.deleted_amis:
        raise UnvailableAMIIdError(image_id)
    if image_id not in ec2.amis:
        raise InvalidAMIIdError(image_id)
    return ec2.amis[image_id]


def check_owner(image: Ami) -> None:
    """Refuse an image of another account.

    Raises:
        EC2ClientError: in the words that DeregisterImage was seen to use
            (https://github.com/cloudcaptainsh/cloudcaptain/issues/66).
    """
    if image.owner_id != image.ec2_backend.account_id:
        raise EC2ClientError("AuthFailure", f"Not authorized for image:{image.id}")


def check_available(image: Ami) -> None:
    """Refuse an image in a state in which it can't be used, as one that is pending.

    Raises:
        EC2ClientError: in the words that ModifyImageAttribute was seen to use
            (https://github.com/SUSE-Enceladus/ec2imgutils/issues/45).
    """
    if image.state != "available":
        raise EC2ClientError(
            "InvalidAMIID.Unavailable",
            f"The AMI ID '{image.id}' is currently {image.state} and may not be used for this "
            "operation",
        )


def check_name(ec2: EC2Backend, name: str) -> None:
    """Refuse a name that no image can have, or that one of the account's has.

    Raises:
        EC2ClientError: in the words that EC2 was seen to use.
    """
    if not name:
        raise MissingParameterError("name")
    if not _NAME.fullmatch(name):
        raise EC2ClientError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, "
            "numbers, '(', ')', '.', '-', '/' and '_'",
        )
    for image in list(ec2.amis.values()):
        if image.name == name and image.owner_id == ec2.account_id:
            raise EC2ClientError(
                "InvalidAMIName.Duplicate",
                f"AMI name {name} is already in use by AMI {image.id}",
            )


def tags_in(
    specifications: list[dict[str, Any]], resource_types: Collection[str]
) -> dict[str, dict[str, str]]:
    """The tags that a request's TagSpecifications hold, for each of the types of resources.

    Raises:
        EC2ClientError: they hold another type, or tags that EC2 does not take.
    """
    for specification in specifications:
        resource_type = specification.get("ResourceType", "null")
        if resource_type not in resource_types:
            raise InvalidTaggableResourceType(resource_type)
        if not specification.get("Tags"):
            raise EmptyTagSpecError
        check_tags(specification["Tags"])
    tags = {name: dict[str, str]() for name in resource_types} | convert_tag_spec(specifications)
    if any(len(of_type) > TAGS for of_type in tags.values()):
        raise TagLimitExceeded
    return tags


def check_tags(tags: Sequence[Mapping[str, str]], of_key: str = "") -> None:
    """Refuse tags that no resource can have, with their keys and values as a request has them.

    Args:
        of_key: what is said before that a key is reserved, with `{}` for the key.

    Raises:
        EC2ClientError: EC2 does not take them.
    """
    keys = [tag.get("Key", "") for tag in tags]
    if len(keys) > TAGS:
        raise TagLimitExceeded
    for key in keys:
        if keys.count(key) > 1:
            # In the words of CreateSnapshot
            # (https://github.com/cloud-custodian/cloud-custodian/issues/3792).
            raise EC2ClientError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"{of_key.format(key)}Tag keys starting with 'aws:' are reserved for internal use",
            )
        if not key:
            # https://github.com/aws/aws-cli/issues/3283
            raise EC2ClientError(
                "InvalidParameterValue",
                "Value ( '' ) for parameter Tag key is invalid. Tag key cannot be null or empty.",
            )
        if len(key) > TAG_KEY:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Tag key exceeds the maximum length of {TAG_KEY} characters",
            )
        if len(value) > TAG_VALUE:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Tag value exceeds the maximum length of {TAG_VALUE} characters",
            )
