"""Which images EC2 does not store."""

from typing import Any

import pytest

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, code_of, create_image, error_of, image_of, known, snapshots_of, tag


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    made = known(moved, create_image(ebs_instance, NoReboot=True))
    moved.now += 2
    return made


def refusal(image: str, **given: Any) -> tuple[str, str]:
    return error_of(EC2.create_store_image_task, ImageId=image, Bucket="images", **given)


def registered(moved: Clock, image: str, virtualization: Any) -> str:
    """Another image of the snapshots of one."""
    [snapshot] = snapshots_of(image_of(image))
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}
    made = EC2.register_image(
        Name=virtualization,
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[mapping],
        VirtualizationType=virtualization,
    )
    return known(moved, made["ImageId"])


def test_a_paravirtual_image_is_not_stored(moved: Clock, image: str) -> None:
    paravirtual = registered(moved, image, "paravirtual")
    code, message = refusal(paravirtual)

    assert (code, "paravirtual" in message) == ("InvalidParameterValue", True)
    hvm = registered(moved, image, "hvm")
    assert EC2.create_store_image_task(ImageId=hvm, Bucket="images")


def test_an_image_that_is_public_only_is_not_stored(moved: Clock) -> None:
    public = ec2.LINUX_EBS_IMAGE

    assert refusal(public) == ("AuthFailure", f"Not authorized for image:{public}")
    assert refusal(public, DryRun=True)[0] == "AuthFailure"


def test_an_image_of_others_is_not_deregistered(moved: Clock) -> None:
    public = ec2.LINUX_EBS_IMAGE
    error = error_of(EC2.deregister_image, ImageId=public)

    assert error == ("AuthFailure", f"Not authorized for image:{public}")
    assert code_of(EC2.deregister_image, ImageId=public, DryRun=True) == "AuthFailure"


def test_an_image_with_a_product_code_is_not_stored(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, product_code="bz4vuply68xrif53movwbkpnl")
    made = known(moved, create_image(ebs_instance, NoReboot=True))
    moved.now += 2

    code, message = refusal(made)
    assert (code, "product code" in message) == ("OperationNotPermitted", True)
