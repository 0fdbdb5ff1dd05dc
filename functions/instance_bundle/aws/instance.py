"""The instance that is to be bundled, and its volumes, as EC2 describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instance_bundle import aws
from instance_bundle.errors import Doubtful, NotAllowed, NotSuited, Unsuitable
from instance_bundle.request import MethodName
from instance_bundle.settings import Tag
from instance_bundle.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, VolumeTypeDef

_PATH = "InstanceId"
_STATES: Mapping[MethodName, tuple[str, ...]] = {
    "BundleInstance": ("running",),
    "StoreImage": ("running", "stopped"),
}
"""The states of an instance that a method accepts (EC2 API Reference, BundleInstance: an instance-
store volume is lost when the instance stops; CreateImage: "running or stopped")."""
_ENDED = ("shutting-down", "terminated")
"""A terminated instance "remains visible … for a short while", with fewer details (EC2 User Guide,
Terminate an instance)."""
_GIGABYTES = 5000
"""The size of an AMI that can be stored, before compression (EC2 User Guide, Store and restore an
AMI using S3, Limitations)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance.

    Attributes:
        id: its ID.
        is_ebs_backed: its root volume is an EBS volume, not an instance-store volume.
        is_paravirtual: its virtualization type is `paravirtual`, not `hvm`.
        is_windows: it runs Windows.
        product_codes: their IDs; images that are made of it have them, too.
        state: EC2's state, such as `running`.
        tags: its tags.
    """

    id: str
    is_ebs_backed: bool
    is_paravirtual: bool
    is_windows: bool
    product_codes: Sequence[str]
    state: str
    tags: Mapping[str, str]

    @property
    def method(self) -> MethodName | None:
        """The method that supports it, if any does (EC2 API Reference, BundleInstance; EC2 User
        Guide, Store and restore an AMI using S3, Limitations)."""
        if self.is_ebs_backed:
            return None if self.is_paravirtual else "StoreImage"
        return "BundleInstance" if self.is_windows else None

    @property
    def alternative(self) -> str:
        """What can be done if no method supports it."""
        if self.is_ebs_backed:
            return "EC2 stores no paravirtual AMIs: make one that is not stored, by CreateImage."
        return "Run the AMI tools on the instance to make its image."


def describe(instance_id: str) -> Instance:
    """Read an instance.

    Raises:
        PassingFault: no answer.
        Doubtful: EC2 refuses, or there is no such instance.
    """
    with aws.calling("ec2:DescribeInstances"):
        response = aws.ec2().describe_instances(InstanceIds=[instance_id])
    found = [each for r in response["Reservations"] for each in r.get("Instances", [])]
    if not found:
        raise Doubtful(
            Unsuitable(
                _PATH, f"there is no instance {instance_id} in the stack's account and region."
            )
        )
    return Instance(
        id=instance_id,
        is_ebs_backed=found[0].get("RootDeviceType") != "instance-store",
        is_paravirtual=found[0].get("VirtualizationType") == "paravirtual",
        is_windows=str(found[0].get("Platform", "")).lower() == "windows",
        product_codes=[code.get("ProductCodeId", "") for code in found[0].get("ProductCodes", [])],
        state=found[0].get("State", {}).get("Name", ""),
        tags={tag.get("Key", ""): tag.get("Value", "") for tag in found[0].get("Tags", [])},
    )


def require_suitable(instance_id: str, method: MethodName, tag: Tag | None) -> None:
    """Check that a method supports an instance and its volumes, and that the instance has a tag,
    before anything is done with it.

    Raises:
        NotSuited: the method does not support it; names the method that does.
        NotAllowed: it does not have the tag.
        Unsuitable: it is terminated, or its volumes are too large together.
        PassingFault: no answer.
        Doubtful: EC2 refuses, there is no such instance, or it is in another state.
    """
    instance = describe(instance_id)
    if tag is not None and instance.tags.get(tag.key) != tag.value:
        raise NotAllowed(instance_id, str(tag))
    if instance.state not in _ENDED and instance.method != method:
        raise NotSuited(instance_id, method, instance.method, instance.alternative)
    _require_state(instance, method)
    if method == "StoreImage":
        _require_size(instance_id)


def doubts(instance_id: str) -> str:
    """Why an image of the instance may not be stored, for the Reason if it was not; empty if EC2
    does not say. No page of AWS's says so of product codes, nor which keys the role may use.

    Raises:
        PassingFault: no answer.
    """
    try:
        codes = describe(instance_id).product_codes
        keys = {each.get("KmsKeyId", "") for each in _volumes(instance_id) if each["Encrypted"]}
    except Doubtful:
        return ""
    of_codes = (
        f"{instance_id} has the product codes {', '.join(codes)}, and AWS does not document "
        "whether an image with product codes can be stored."
    )
    of_keys = (
        f"volumes of {instance_id} are encrypted by {', '.join(sorted(keys))}. Unless that is "
        "AWS's own key, the application's parameter ImageKmsKeyArns must name it, and its policy "
        "allow the role to use it."
    )
    return " ".join([of_codes] * bool(codes) + [of_keys] * bool(keys))


def _require_size(instance_id: str) -> None:
    """Check that the image of all volumes can be stored; nothing if EC2 does not describe them."""
    try:
        volumes = _volumes(instance_id)
    except Doubtful as doubtful:
        logger.warning("The volumes are not known", instance_id=instance_id, why=str(doubtful))
        return
    size = sum(each["Size"] for each in volumes)
    if size > _GIGABYTES:
        raise Unsuitable(
            _PATH,
            f"the volumes of {instance_id} have {size} GB together, and EC2 stores an AMI of "
            f"{_GIGABYTES} GB at most. Detach the volumes that the image does not need.",
        )


def _volumes(instance_id: str) -> "list[VolumeTypeDef]":
    attached: FilterTypeDef = {"Name": "attachment.instance-id", "Values": [instance_id]}
    with aws.calling("ec2:DescribeVolumes"):
        pages = aws.ec2().get_paginator("describe_volumes").paginate(Filters=[attached])
        return [volume for page in pages for volume in page["Volumes"]]


def _require_state(instance: Instance, method: MethodName) -> None:
    if instance.state in _STATES[method]:
        return
    accepted = " or ".join(_STATES[method])
    why = f"{instance.id} is {instance.state}, and {method} accepts {accepted} instances."
    if instance.is_windows and not instance.is_ebs_backed and instance.state not in _ENDED:
        why += " While another bundle task bundles it, it is stopped: wait until that has ended."
    refusal = Unsuitable(_PATH, why)
    raise refusal if instance.state in _ENDED else Doubtful(refusal)
