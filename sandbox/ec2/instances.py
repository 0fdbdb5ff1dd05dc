"""EC2's instances, where moto's differ: their roots, volumes and product codes, and their end.

Tags on an instance steer it: `sandbox:product-code` is the ID of a product code that it has, as
have the images of it that are made then.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.instances import InstanceResponse

Clock = Callable[[], float]

TERMINATED_SECONDS = 3600
"""Seconds that a terminated instance is described (EC2 API Reference, TerminateInstances)."""

_ROOT_GIGABYTES = 8
_TERMINATED = "terminated_of_sandbox"
_motos_parse = InstanceResponse._parse_block_device_mapping
_motos_reservations = InstanceBackend.all_reservations
_motos_terminate = Instance.terminate


def product_codes(tags: Mapping[str, str]) -> list[str]:
    """The IDs of the product codes of an instance with these tags."""
    code = tags.get("sandbox:product-code")
    return [code] if code else []


def install(clock: Clock) -> ExitStack:
    """Put the differences into moto's EC2, until the result is closed.

    Args:
        clock: epoch seconds.
    """
    installed = ExitStack()

    def terminate(instance: Instance) -> InstanceState:
        vars(instance).setdefault(_TERMINATED, clock())
        return _motos_terminate(instance)

    def all_reservations(ec2: Any, filters: Any = None) -> list[Any]:
        reservations = _motos_reservations(ec2, filters)
        for reservation in reservations:
            reservation.instances = [
                instance
                for instance in reservation.instances
                if clock() < vars(instance).get(_TERMINATED, clock()) + TERMINATED_SECONDS
            ]
        return [reservation for reservation in reservations if reservation.instances]

    replaced: tuple[tuple[type, str, Any], ...] = (
        (Instance, "root_device_type", _RootDeviceType()),
        (Instance, "product_codes", _ProductCodes()),
        (Instance, "setup_defaults", _set_up_root),
        (Instance, "terminate", terminate),
        (InstanceBackend, "all_reservations", all_reservations),
        (InstanceResponse, "_parse_block_device_mapping", _parse_devices),
    )
    for owner, name, replacement in replaced:
        installed.enter_context(patch.object(owner, name, replacement, create=True))
    transformers = EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER
    installed.enter_context(patch.dict(transformers, {".ProductCodes": _describe_codes}))
    return installed


class _RootDeviceType:
    """An instance's root device type is its image's; moto says `ebs` of each."""

    def __get__(self, instance: Instance | None, owner: type[Instance]) -> str:
        image = instance and instance.ec2_backend.amis.get(instance.image_id)
        return "instance-store" if image and image.root_device_type == "instance-store" else "ebs"

    def __set__(self, instance: Instance, value: str) -> None:
        """Nothing: moto's own word is not kept."""


class _ProductCodes:
    """An instance's product codes are those of its tags, at once; moto says that it has none."""

    def __get__(self, instance: Instance | None, owner: type[Instance]) -> list[str]:
        return product_codes(instance.ec2_backend.tags.get(instance.id, {})) if instance else []

    def __set__(self, instance: Instance, value: list[str]) -> None:
        """Nothing: moto's own list is not kept."""


def _describe_codes(codes: Iterable[str | dict[str, str]] | None) -> list[dict[str, str]]:
    """Product codes as EC2 describes them; moto has their IDs, and describes some of them so."""
    return [
        {"ProductCodeId": code, "ProductCodeType": "marketplace"} if isinstance(code, str) else code
        for code in codes or ()
    ]


def _set_up_root(instance: Instance) -> None:
    """A volume at the root device, if that is one; moto has one at `/dev/sda1` in any case."""
    if instance.root_device_type == "ebs":
        ec2 = instance.ec2_backend
        volume = ec2.create_volume(size=_ROOT_GIGABYTES, zone_name=instance._placement.zone)
        ec2.attach_volume(volume.id, instance.id, instance.root_device_name, True)


def _parse_devices(response: InstanceResponse) -> list[dict[str, Any]]:
    """moto's, of which the image's root volume is no part where the request says nothing of it."""
    given = response._get_param("BlockDeviceMappings", [])
    image = response.ec2_backend.amis.get(response._get_param("ImageId"))
    if given and image is not None and image.root_device_type == "ebs":
        roots = [each for each in given if each.get("DeviceName") == image.root_device_name]
        if not roots:
            roots = [{"DeviceName": image.root_device_name}]
            given[:0] = roots
        for root in roots:
            defaults = {"VolumeSize": _ROOT_GIGABYTES, "DeleteOnTermination": True}
            root["Ebs"] = defaults | root.get("Ebs", {})
    return _motos_parse(response)
