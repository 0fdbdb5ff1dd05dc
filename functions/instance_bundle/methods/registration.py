"""The AMIs that are registered from a bundle.

All AMIs of a bundle carry the ID of the request that made it; their names distinguish them.
"""

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.aws import bundle_objects, image_changes, image_removal, images
from instance_bundle.errors import (
    Denied,
    Gone,
    ImagePending,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refused,
    Unsuitable,
)
from instance_bundle.methods.method import Bundle
from instance_bundle.request import Image, Location, RequestKey
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef, RegisterImageRequestTypeDef


def registered(made: Bundle, key: RequestKey, old: Image, new: Image) -> str:
    """The AMI of a bundle as it is described now; it is registered if it does not exist.

    All AMIs of a bundle have the ID of the request that made it; their names distinguish them.

    Raises:
        NotRegistered: EC2 refuses, or the AMI failed.
        PassingFault: not known, or not available yet.
    """
    name = new.name or _made_name(made, new)
    image = _existing(made, new, name) or _seen(_register(made, key, new, name))
    if image["State"] == "pending":
        raise ImagePending(image["ImageId"])
    if image["State"] != "available":
        why = image.get("StateReason", {}).get("Message", "")
        state = f"{image['ImageId']} is {image['State']}. {why}"
        raise NotRegistered(made.physical_id, made.location.s3_uri, state)
    if new != old:
        try:
            image_changes.update([image["ImageId"]], _as_it_may_be(image, old, new), new)
        except Gone as gone:  # since it was described: another one is registered
            raise NothingDone(str(gone)) from gone
    return image["ImageId"]


def _existing(made: Bundle, image: Image, name: str) -> "ImageTypeDef | None":
    return next((each for each in _all(made) if _is(each, image, name)), None)


def _is(found: "ImageTypeDef", image: Image, name: str) -> bool:
    return found["Name"] == name and image.architecture in (None, found["Architecture"])


def _as_it_may_be(image: "ImageTypeDef", old: Image, new: Image) -> Image:
    """An AMI's current description and tags, to be compared with the new ones. Values that change
    are as the stack described them before, since EC2 may not show these yet; if an earlier Update
    registered the AMI, they are as EC2 shows them."""
    shown, is_this = images.tags_of(image), new.name is not None and old.name == new.name
    before = {
        key: old.tags.get(key)
        if is_this and old.tags.get(key) != new.tags.get(key)
        else shown.get(key)
        for key in {*old.tags, *new.tags}
    }
    is_changed = is_this and old.description != new.description
    return replace(
        old,
        description=old.description if is_changed else image.get("Description", ""),
        tags={key: value for key, value in before.items() if value is not None},
    )


def _all(made: Bundle) -> "list[ImageTypeDef]":
    """The AMIs that were registered from a bundle; a copy of an AMI has the same tags, but another
    location."""
    at = manifest_location(made.location)
    found = images.describe([images.made_for(made.made_by)])
    return [image for image in found if image["ImageLocation"] == at]


def _seen(image_id: str) -> "ImageTypeDef":
    found = images.describe([{"Name": "image-id", "Values": [image_id]}])
    if not found:
        raise PassingFault(f"the AMI {image_id} is not visible yet")
    return found[0]


def _register(made: Bundle, key: RequestKey, image: Image, name: str) -> str:
    tags = images.tags(images.all_tags(image, replace(key, request_id=made.made_by)))
    given: RegisterImageRequestTypeDef = {
        "Name": name,
        "ImageLocation": manifest_location(made.location),
        # Windows needs it; the default is paravirtual (EC2 API Reference, RegisterImage).
        "VirtualizationType": "hvm",
        "TagSpecifications": [{"ResourceType": "image", "Tags": tags}],
    }
    if image.description:
        given["Description"] = image.description
    if image.architecture is not None:
        given["Architecture"] = image.architecture
    try:
        with aws.calling("ec2:RegisterImage"):
            image_id = aws.ec2_once().register_image(**given)["ImageId"]
    except Denied as denied:
        own = denied.code == images.NAME_TAKEN and images.own_of_taken_name(name, made.made_by)
        if own and own["ImageLocation"] == given["ImageLocation"] and _is(own, image, name):
            return own["ImageId"]
        if denied.code.startswith("InvalidManifest"):
            _require_manifest(made)
        raise NotRegistered(made.physical_id, made.location.s3_uri, str(denied)) from denied
    except Refused as refused:
        raise Refused(
            NotRegistered(made.physical_id, made.location.s3_uri, str(refused))
        ) from refused
    logger.info("Registered", image_id=image_id, task_id=made.physical_id)
    return image_id


def _require_manifest(made: Bundle) -> None:
    if not bundle_objects.has_manifest(made.location):
        raise Unsuitable(
            "Image",
            f"no AMI can be registered from the bundle {made.physical_id}: somebody has removed "
            f"its manifest at {made.location.s3_uri}. Change Prefix to make another one.",
        )


def _made_name(made: Bundle, image: Image) -> str:
    """A name that is unique among the AMIs of a bundle, and the same on every retry."""
    described = asdict(image)
    del described["object_tags"]  # for the names that earlier versions made; always empty here
    text = json.dumps(described, sort_keys=True)
    distinction = hashlib.sha256(text.encode()).hexdigest()[:8]
    return images.made_name(made.location, made.made_by, f"-{distinction}")


def require_removable(made: Bundle) -> None:
    """Check that the AMIs can be deregistered."""
    for image in _all(made):
        image_removal.require_removable(image["ImageId"], [])


def deregister_all(made: Bundle) -> None:
    for image in _all(made):
        images.deregister(image["ImageId"])


def manifest_location(location: Location) -> str:
    return f"{location.bucket}/{location.manifest_key}"
