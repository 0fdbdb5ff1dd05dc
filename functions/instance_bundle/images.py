"""AMIs: known by the request that they were made for, changed in place, and deregistered.

EC2 has no client token for making or registering an AMI: each carries a request's ID as a tag, from
its creation on.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.errors import Denied, NothingDone, PassingFault
from instance_bundle.properties import Image, Location

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        ImageTypeDef,
        TagTypeDef,
    )

REQUEST_TAG = "cfn-instance-bundle:request-id"
"""The tag by which an AMI, and what it is made of, are known for a request's."""

NAME_TAKEN = "InvalidAMIName.Duplicate"
"""EC2's code where another AMI of the account and region has the name."""

_LONGEST_NAME = 128
_GONE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"}


def see(filters: "list[FilterTypeDef]") -> "list[ImageTypeDef]":
    """The account's own AMIs that the filters let through, disabled ones included: they have their
    names still.

    Raises:
        PassingFault: no answer.
        Denied: EC2 refuses.
    """
    with aws.calling("ec2:DescribeImages"):
        return aws.ec2().describe_images(Owners=["self"], Filters=filters, IncludeDisabled=True)[
            "Images"
        ]


def made_for(request_id: str) -> "FilterTypeDef":
    """The filter that lets through what was made for a request."""
    return {"Name": f"tag:{REQUEST_TAG}", "Values": [request_id]}


def named(name: str) -> "FilterTypeDef":
    """The filter that lets through the AMI of a name, which is unique in account and region."""
    return {"Name": "name", "Values": [name]}


def is_made_for(image: "ImageTypeDef", request_id: str) -> bool:
    """Whether an AMI carries a request's tag."""
    return tags_of(image).get(REQUEST_TAG) == request_id


def own_of_taken_name(name: str, request_id: str) -> "ImageTypeDef | None":
    """The request's own AMI by which a name is taken, the answer to an earlier call lost; None
    where the name is another's.

    Raises:
        PassingFault: not known yet, since the AMI is too young to be seen.
    """
    try:
        found = see([named(name)])
    except (Denied, NothingDone) as error:
        raise PassingFault(str(error)) from error
    if not found:
        raise PassingFault(f"the AMI that has the name {name} can't be seen yet")
    return next((image for image in found if is_made_for(image, request_id)), None)


def made_name(location: Location, request_id: str, distinction: str = "") -> str:
    """A name that no other AMI has: in the characters that a name may have, and no more of them
    (EC2 API Reference, CreateImage)."""
    prefix = location.prefix
    text = prefix if prefix.endswith(request_id) else f"{prefix}/{request_id}"
    return re.sub(r"[^A-Za-z0-9()\[\] ./'@_-]", "-", text + distinction)[-_LONGEST_NAME:]


def amend(image_ids: Collection[str], old: Image, new: Image) -> None:
    """Set the description of an AMI, and the tags of it and of what it is made of.

    Args:
        image_ids: the AMI's ID, and those of its snapshots.
        old: as the stack described it before; tags that it did not name are another's.
        new: as the stack describes it now.

    Raises:
        PassingFault: some of it may have been done; repeating it does no harm.
        Denied: EC2 refuses.
    """
    resources = list(image_ids)
    if new.description != old.description:
        with aws.calling("ec2:ModifyImageAttribute"):
            aws.ec2().modify_image_attribute(
                ImageId=resources[0], Description={"Value": new.description}
            )
    if new.tags == old.tags:
        return
    if new.tags:
        with aws.calling("ec2:CreateTags"):
            aws.ec2().create_tags(Resources=resources, Tags=tags(new.tags))
    removed: list[TagTypeDef] = [{"Key": key} for key in old.tags if key not in new.tags]
    if removed:
        with aws.calling("ec2:DeleteTags"):
            aws.ec2().delete_tags(Resources=resources, Tags=removed)


def deregister(image_id: str) -> None:
    """Deregister an AMI; one that is gone is no error.

    Raises:
        PassingFault: it may have been done.
        Denied: EC2 refuses.
    """
    with ignoring_what_is_gone(), aws.calling("ec2:DeregisterImage"):
        aws.ec2().deregister_image(ImageId=image_id)


@contextmanager
def ignoring_what_is_gone() -> Iterator[None]:
    """Let be a refusal that says that an AMI or a snapshot is not there."""
    try:
        yield
    except Denied as denied:
        if denied.code not in _GONE:
            raise


def all_tags(image: Image, request_id: str) -> Mapping[str, str]:
    """The tags that the stack asks for, and the request's."""
    return {**image.tags, REQUEST_TAG: request_id}


def tags(plain: Mapping[str, str]) -> "list[TagTypeDef]":
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in plain.items()]


def tags_of(image: "ImageTypeDef") -> Mapping[str, str]:
    """An AMI's tags."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in image.get("Tags", [])}
