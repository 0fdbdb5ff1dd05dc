"""The instance that is to be bundled, as EC2 describes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from instance_bundle import aws
from instance_bundle.errors import Doubtful, NoInstance, NotAllowed, NotSuited
from instance_bundle.request import MethodName
from instance_bundle.settings import Tag


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance.

    Attributes:
        id: its ID.
        is_ebs_backed: its root volume is an EBS volume, not an instance-store volume.
        is_windows: it runs Windows.
        tags: its tags.
    """

    id: str
    is_ebs_backed: bool
    is_windows: bool
    tags: Mapping[str, str]

    @property
    def method(self) -> MethodName | None:
        """The method that supports it, if any does (EC2 API Reference, BundleInstance)."""
        if self.is_ebs_backed:
            return "StoreImage"
        return "BundleInstance" if self.is_windows else None


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
        raise Doubtful(NoInstance(instance_id))
    return Instance(
        id=instance_id,
        is_ebs_backed=found[0].get("RootDeviceType") != "instance-store",
        is_windows=str(found[0].get("Platform", "")).lower() == "windows",
        tags={tag.get("Key", ""): tag.get("Value", "") for tag in found[0].get("Tags", [])},
    )


def require_suitable(instance_id: str, method: MethodName, tag: Tag | None) -> None:
    """Check that a method supports an instance, and that the instance has a tag, before anything is
    done with it.

    Raises:
        NotSuited: the method does not support it; names the method that does.
        NotAllowed: it does not have the tag.
        PassingFault: no answer.
        Doubtful: EC2 refuses, or there is no such instance.
    """
    instance = describe(instance_id)
    if tag is not None and instance.tags.get(tag.key) != tag.value:
        raise NotAllowed(instance_id, str(tag))
    if instance.method != method:
        raise NotSuited(instance_id, method, instance.method)
