"""Finds AMIs by the request that they were made for, and deregisters them.

EC2 has no client token for creating or registering an AMI, so each has a request's ID as a tag from
its creation on.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws.advice import PERMISSION_CODES
from instance_bundle.errors import (
    Denied,
    Gone,
    NameTaken,
    NothingDone,
    PassingFault,
    Paused,
    Refused,
    Unsuitable,
)
from instance_bundle.request import Image, Location, RequestKey
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        ImageTypeDef,
        TagTypeDef,
    )

REQUEST_TAG = "cfn-instance-bundle:request-id"
"""The tag of an AMI and its snapshots that says for which request they were made."""

STACK_TAG = "cfn-instance-bundle:stack-id"
STACK_NAME_TAG = "cfn-instance-bundle:stack-name"
LOGICAL_ID_TAG = "cfn-instance-bundle:logical-id"
"""The tags that say, years later, which resource they were made for."""

NAME_TAKEN = "InvalidAMIName.Duplicate"
"""EC2's code if another AMI of the account and region has the name."""

_LONGEST_NAME = 128


def describe(filters: "list[FilterTypeDef]") -> "list[ImageTypeDef]":
    """The account's own AMIs that match the filters, including disabled ones, which still use their
    names.

    Raises:
        PassingFault: no answer, or a refusal.
    """
    with aws.calling("ec2:DescribeImages"):
        return aws.ec2().describe_images(Owners=["self"], Filters=filters, IncludeDisabled=True)[
            "Images"
        ]


def snapshots(filters: "list[FilterTypeDef]") -> list[str]:
    """The IDs of the account's own snapshots that match the filters.

    Raises:
        PassingFault: no answer, or a refusal.
    """
    with aws.calling("ec2:DescribeSnapshots"):
        pages = (
            aws.ec2()
            .get_paginator("describe_snapshots")
            .paginate(OwnerIds=["self"], Filters=filters)
        )
        return [snapshot["SnapshotId"] for page in pages for snapshot in page["Snapshots"]]


def snapshots_in(image: "ImageTypeDef") -> list[str]:
    """The IDs of the snapshots that an AMI is made of."""
    mappings = image.get("BlockDeviceMappings", [])
    found = [mapping.get("Ebs", {}).get("SnapshotId", "") for mapping in mappings]
    return [each for each in found if each]


def snapshots_of(image_id: str, request_id: str, recorded: Collection[str]) -> list[str]:
    """The snapshots of an AMI: those that were recorded, and those in its block device mappings.

    If nothing was recorded and the AMI is gone, they are those that have the request's tag and that
    EC2 describes as created for the AMI ("Created by CreateImage(i-…) for ami-…", EC2 User Guide,
    Deregister an AMI): the tag alone may be on anything.
    """
    mapped = {
        each
        for image in describe([{"Name": "image-id", "Values": [image_id]}])
        for each in snapshots_in(image)
    }
    found = {*recorded, *mapped}
    return sorted(found or snapshots_created_for(image_id, request_id))


def snapshots_created_for(image_id: str, request_id: str) -> list[str]:
    """The IDs of the snapshots that have a request's tag and were created for an AMI."""
    described: FilterTypeDef = {
        "Name": "description",
        "Values": [f"Created by CreateImage(*) for {image_id}*"],
    }
    return snapshots([made_for(request_id), described])


def with_request_tag(snapshot_ids: Sequence[str]) -> list[str]:
    """Those of the snapshots that are there and have the tag with which the role may delete them.

    Raises:
        PassingFault: no answer, or a refusal.
    """
    if not snapshot_ids:
        return []
    tagged: FilterTypeDef = {"Name": "tag-key", "Values": [REQUEST_TAG]}
    return snapshots([{"Name": "snapshot-id", "Values": snapshot_ids}, tagged])


def require_tags(ids: Sequence[str], denied: Denied) -> None:
    """Check, after a refusal, that AMIs and snapshots have the tag by which the role may use them;
    those that are gone are left out.

    Raises:
        Unsuitable: some have lost it, so that a retry can't succeed.
    """
    if denied.code not in PERMISSION_CODES:
        return
    lost = [each for each in ids if is_listed(each) and not has_request_tag(each)]
    if lost:
        raise Unsuitable(
            "Image",
            f"{', '.join(lost)} is without the tag {REQUEST_TAG}, by which the role may use it: "
            f"somebody has removed the tag, and {denied.call} was refused. Add the tag again, then "
            "repeat the operation.",
        ) from denied


def has_request_tag(resource_id: str) -> bool:
    """Whether an AMI or a snapshot has the tag by which the role may change it."""
    return is_listed(resource_id, [{"Name": "tag-key", "Values": [REQUEST_TAG]}])


def made_for(request_id: str) -> "FilterTypeDef":
    """The filter that matches what was made for a request."""
    return {"Name": f"tag:{REQUEST_TAG}", "Values": [request_id]}


def named(name: str) -> "FilterTypeDef":
    """The filter that matches the AMI with a name, which is unique in account and region."""
    return {"Name": "name", "Values": [name]}


def is_made_for(image: "ImageTypeDef", request_id: str) -> bool:
    """Whether an AMI has a request's tag."""
    return tags_of(image).get(REQUEST_TAG) == request_id


def own_of_taken_name(name: str, request_id: str) -> "ImageTypeDef | None":
    """The AMI that has a name that is taken, if it is the request's own from an earlier call whose
    answer was lost; None if it is another's.

    Raises:
        PassingFault: not known yet, since the AMI is too new to be visible.
    """
    try:
        found = describe([named(name)])
    except NothingDone as error:  # true only of the read; the call before it may have made the AMI
        raise PassingFault(str(error)) from error
    if not found:
        raise PassingFault(f"the AMI that has the name {name} is not visible yet")
    return next((image for image in found if is_made_for(image, request_id)), None)


def require_free_name(name: str, request_id: str) -> None:
    """Check that no AMI has a name, before anything is done for one; the request's own may.

    Raises:
        NameTaken: another AMI has it.
        PassingFault: no answer, or a refusal.
    """
    for image in describe([named(name)]):
        if not is_made_for(image, request_id):
            raise NameTaken(name, image["ImageId"])


def made_name(location: Location, request_id: str, distinction: str = "") -> str:
    """A name that no other AMI has, within the characters and length that EC2 allows (EC2 API
    Reference, CreateImage)."""
    prefix = location.prefix
    text = prefix if prefix.endswith(request_id) else f"{prefix}/{request_id}"
    return re.sub(r"[^A-Za-z0-9()\[\] ./'@_-]", "-", text + distinction)[-_LONGEST_NAME:]


def require_gone(resource_id: str, gone: Gone) -> None:
    """Check that what EC2 does not find is gone, and not only too new to be visible everywhere.

    Raises:
        Unsuitable: it is an AMI that is disabled.
        Refused: EC2 still lists it.
    """
    disabled: FilterTypeDef = {"Name": "state", "Values": ["disabled"]}
    if resource_id.startswith("ami-") and is_listed(resource_id, [disabled]):
        raise Unsuitable(
            "Image",
            f"the AMI {resource_id} is disabled: {gone.call} was refused. Enable it, then repeat "
            "the operation.",
        ) from gone
    if is_listed(resource_id):
        raise Refused(gone) from gone
    logger.info("It is gone already", resource_id=resource_id, call=gone.call)


def is_listed(resource_id: str, filters: "Sequence[FilterTypeDef]" = ()) -> bool:
    """Whether EC2 lists an AMI, or a snapshot, that also matches the filters."""
    if resource_id.startswith("ami-"):
        return bool(describe([{"Name": "image-id", "Values": [resource_id]}, *filters]))
    return bool(snapshots([{"Name": "snapshot-id", "Values": [resource_id]}, *filters]))


def deregister(
    image_id: str, *, with_snapshots: bool = False, dry_run: bool = False
) -> Mapping[str, str]:
    """Deregister an AMI; one that is gone is no error.

    Args:
        image_id: its ID.
        with_snapshots: EC2 also deletes its snapshots, but not those that another AMI uses.
        dry_run: only ask; if EC2 would do it, it is Denied with the code `DryRunOperation`.

    Returns:
        The return code of each snapshot, such as `success` (EC2 API Reference,
        DeleteSnapshotReturnCode).

    Raises:
        PassingFault: it may have been done.
        Denied: EC2 refuses.
    """
    with _gone_is_done(image_id), aws.calling("ec2:DeregisterImage"):
        answer = aws.ec2().deregister_image(
            ImageId=image_id, DeleteAssociatedSnapshots=with_snapshots, DryRun=dry_run
        )
        results = answer.get("DeleteSnapshotResults", [])
        return {each.get("SnapshotId", ""): each.get("ReturnCode", "") for each in results}
    return {}


def delete_snapshot(snapshot_id: str, *, dry_run: bool = False) -> None:
    """Delete a snapshot; one that is gone is no error. After its AMI was deregistered, a snapshot
    is still in use for a while (https://github.com/boto/boto/issues/3019).

    Args:
        snapshot_id: its ID.
        dry_run: only ask; if EC2 would do it, it is Denied with the code `DryRunOperation`.

    Raises:
        PassingFault: it may have been done, or the snapshot is in use.
        Denied: EC2 refuses.
    """
    with _gone_is_done(snapshot_id), aws.calling("ec2:DeleteSnapshot"):
        aws.ec2().delete_snapshot(SnapshotId=snapshot_id, DryRun=dry_run)


@contextmanager
def _gone_is_done(resource_id: str) -> Iterator[None]:
    try:
        yield
    except Gone as gone:
        require_gone(resource_id, gone)
    except Refused as refused:
        # While the application is paused, EC2 is not asked.
        if not isinstance(refused.refusal, Paused) or is_listed(resource_id):
            raise
    except Denied as denied:
        # The role may only change what has the tag, and what is gone has no tags.
        if denied.code not in PERMISSION_CODES or is_listed(resource_id):
            if resource_id.startswith("ami-"):
                require_tags([resource_id], denied)
            raise


def all_tags(image: Image, key: RequestKey) -> Mapping[str, str]:
    """The tags that the stack asks for, and those that show what made it, years later."""
    return {
        **image.tags,
        REQUEST_TAG: key.request_id,
        STACK_TAG: key.stack_id,
        STACK_NAME_TAG: key.stack_name,
        LOGICAL_ID_TAG: key.logical_id,
    }


def tags(plain: Mapping[str, str]) -> "list[TagTypeDef]":
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in plain.items()]


def tags_of(image: "ImageTypeDef") -> Mapping[str, str]:
    """An AMI's tags."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in image.get("Tags", [])}
