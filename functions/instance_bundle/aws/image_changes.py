"""Changes an AMI and its snapshots in place; what is gone is left out."""

from collections.abc import Callable, Mapping, Sequence

from instance_bundle import aws
from instance_bundle.aws import images
from instance_bundle.aws.advice import PERMISSION_CODES
from instance_bundle.errors import Denied, Gone, Refused
from instance_bundle.request import Image


def update(ids: Sequence[str], old: Image, new: Image) -> None:
    """Set the description of an AMI, and the tags of the AMI and its snapshots; snapshots that are
    gone are left out.

    Args:
        ids: the AMI's ID, and those of its snapshots.
        old: as the stack described it before; tags that it did not name are left alone.
        new: as the stack describes it now.

    Raises:
        Gone: the AMI is gone.
        PassingFault: some of it may have been done; it can be repeated.
    """
    if new.description != old.description:
        _change(ids[:1], lambda image: _describe(image[0], new.description))
    if new.tags == old.tags:
        return
    if new.tags:
        _change(ids, lambda some: _tag(some, new.tags))
    removed = [key for key in old.tags if key not in new.tags]
    if removed:
        _change(ids, lambda some: _untag(some, removed))


def _describe(image_id: str, description: str) -> None:
    with aws.calling("ec2:ModifyImageAttribute"):
        aws.ec2().modify_image_attribute(ImageId=image_id, Description={"Value": description})


def _tag(ids: Sequence[str], plain: Mapping[str, str]) -> None:
    with aws.calling("ec2:CreateTags"):
        aws.ec2().create_tags(Resources=ids, Tags=images.tags(plain))


def _untag(ids: Sequence[str], keys: Sequence[str]) -> None:
    with aws.calling("ec2:DeleteTags"):
        aws.ec2().delete_tags(Resources=ids, Tags=[{"Key": key} for key in keys])


def _change(ids: Sequence[str], change: Callable[[Sequence[str]], None]) -> None:
    """Change AMIs and snapshots together; if one is gone, change each one separately."""
    try:
        change(ids)
    except Gone as gone:
        if len(ids) == 1:
            images.require_gone(ids[0], gone)
            if ids[0].startswith("ami-"):
                raise
            return
        for each in ids:
            _change([each], change)
    except Refused as refused:
        _after_refusal(ids, change, refused)


def _after_refusal(
    ids: Sequence[str], change: Callable[[Sequence[str]], None], refused: Refused
) -> None:
    """Leave out what is gone: it has no tags either, so EC2 may refuse it as not permitted."""
    denied = refused.refusal
    if not isinstance(denied, Denied) or denied.code not in PERMISSION_CODES:
        raise refused
    images.require_tags(ids, denied)
    if all(map(images.is_listed, ids)):
        raise refused
    if len(ids) > 1:
        for each in ids:
            _change([each], change)
    elif ids[0].startswith("ami-"):
        raise Gone(denied.call, denied.code, denied.message) from refused
