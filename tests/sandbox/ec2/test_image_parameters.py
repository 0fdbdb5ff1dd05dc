"""Parameters of Systems Manager that hold the ID of an image."""

import boto3
import pytest

from sandbox.clients import REGION
from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, code_of, create_image, known

SSM = boto3.client("ssm", region_name=REGION)
NAME, MISSING = "/images/web", "ami-0123456789abcdef0"


def put(image: str, *, overwrite: bool = False) -> int:
    answer = SSM.put_parameter(
        Name=NAME, Type="String", DataType="aws:ec2:image", Value=image, Overwrite=overwrite
    )
    return int(answer["Version"])


def stored() -> tuple[str, int]:
    parameter = SSM.get_parameter(Name=NAME)["Parameter"]
    return parameter["Value"], parameter["Version"]


def test_a_parameter_is_there_once_its_image_is_validated(moved: Clock) -> None:
    assert put(ec2.WINDOWS_EBS_IMAGE) == 1
    moved.now += 2.9
    assert code_of(SSM.get_parameter, Name=NAME) == "ParameterNotFound"
    moved.now += 0.1
    assert stored() == (ec2.WINDOWS_EBS_IMAGE, 1)
    assert put(ec2.LINUX_EBS_IMAGE, overwrite=True) == 2
    moved.now += 2.9
    assert stored() == (ec2.WINDOWS_EBS_IMAGE, 1)
    moved.now += 0.1
    assert stored() == (ec2.LINUX_EBS_IMAGE, 2)


@pytest.mark.parametrize("value", [MISSING, "web"])
def test_an_image_that_is_not_there_changes_nothing(moved: Clock, value: str) -> None:
    assert put(value) == 1
    moved.now += 100
    assert code_of(SSM.get_parameter, Name=NAME) == "ParameterNotFound"
    put(ec2.WINDOWS_EBS_IMAGE)
    moved.now += 100

    assert put(value, overwrite=True) == 2
    moved.now += 100
    assert stored() == (ec2.WINDOWS_EBS_IMAGE, 1)


def test_an_image_that_is_pending_or_deregistered_changes_nothing(
    moved: Clock, ebs_instance: str
) -> None:
    image = create_image(ebs_instance)
    put(image)
    moved.now += 100
    assert code_of(SSM.get_parameter, Name=NAME) == "ParameterNotFound"
    put(image)
    moved.now += 100
    assert stored() == (image, 1)

    EC2.deregister_image(ImageId=known(moved, image))
    put(image, overwrite=True)
    moved.now += 100
    assert stored() == (image, 1)


def test_other_parameters_are_there_at_once(moved: Clock) -> None:
    SSM.put_parameter(Name=NAME, Type="String", Value=MISSING)

    assert stored() == (MISSING, 1)
