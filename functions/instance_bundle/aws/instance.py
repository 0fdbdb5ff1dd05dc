"""The instance that is to be bundled, as EC2 describes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from instance_bundle import aws
from instance_bundle.errors import Doubtful, NotAllowed, NotSuited, Unsuitable
from instance_bundle.request import MethodName
from instance_bundle.settings import Tag

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


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance.

    Attributes:
        id: its ID.
        is_ebs_backed: its root volume is an EBS volume, not an instance-store volume.
        is_windows: it runs Windows.
        state: EC2's state, such as `running`.
        tags: its tags.
    """

    id: str
    is_ebs_backed: bool
    is_windows: bool
    state: str
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
        raise Doubtful(
            Unsuitable(
                _PATH, f"there is no instance {instance_id} in the stack's account and region."
            )
        )
    return Instance(
        id=instance_id,
        is_ebs_backed=found[0].get("RootDeviceType") != "instance-store",
        is_windows=str(found[0].get("Platform", "")).lower() == "windows",
        state=found[0].get("State", {}).get("Name", ""),
        tags={tag.get("Key", ""): tag.get("Value", "") for tag in found[0].get("Tags", [])},
    )


def require_suitable(instance_id: str, method: MethodName, tag: Tag | None) -> None:
    """Check that a method supports an instance, and that the instance has a tag, before anything is
    done with it.

    Raises:
        NotSuited: the method does not support it; names the method that does.
        NotAllowed: it does not have the tag.
        Unsuitable: it is terminated.
        PassingFault: no answer.
        Doubtful: EC2 refuses, there is no such instance, or it is in another state.
    """
    instance = describe(instance_id)
    if tag is not None and instance.tags.get(tag.key) != tag.value:
        raise NotAllowed(instance_id, str(tag))
    if instance.state not in _ENDED and instance.method != method:
        raise NotSuited(instance_id, method, instance.method)
    _require_state(instance, method)


def _require_state(instance: Instance, method: MethodName) -> None:
    if instance.state in _STATES[method]:
        return
    accepted = " or ".join(_STATES[method])
    refusal = Unsuitable(
        _PATH, f"{instance.id} is {instance.state}, and {method} accepts {accepted} instances."
    )
    raise refusal if instance.state in _ENDED else Doubtful(refusal)
