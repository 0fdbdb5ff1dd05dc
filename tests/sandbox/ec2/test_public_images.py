"""The public images that EC2 has in the sandbox."""

from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY
from sandbox.ec2 import api as ec2

from .clients import EC2

# Image ID: platform, type of the root device.
IMAGES = {
    ec2.WINDOWS_EBS_IMAGE: ("windows", "ebs"),
    ec2.WINDOWS_INSTANCE_STORE_IMAGE: ("windows", "instance-store"),
    ec2.LINUX_EBS_IMAGE: (None, "ebs"),
    ec2.AMAZON_LINUX_IMAGE: (None, "ebs"),
}


def described(client: Any, **asked: Any) -> dict[str, tuple[str | None, str]]:
    return {
        image["ImageId"]: (image.get("Platform"), image["RootDeviceType"])
        for image in client.describe_images(**asked)["Images"]
    }


@pytest.mark.usefixtures("moved")
def test_the_image_that_the_examples_name_by_its_parameter_is_one() -> None:
    template = yaml_parse((REPOSITORY / "examples/pipeline/builder.yaml").read_text())
    [name] = [
        parameter["Default"]
        for parameter in template["Parameters"].values()
        if parameter["Type"] == "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    ]
    value = boto3.client("ssm", region_name="us-east-1").get_parameter(Name=name)

    assert value["Parameter"]["Value"] == ec2.AMAZON_LINUX_IMAGE


@pytest.mark.usefixtures("moved")
def test_the_sandbox_has_these_public_images() -> None:
    assert described(EC2) == IMAGES
    assert described(EC2, Owners=["amazon"]) == IMAGES


def test_moto_alone_has_the_same_images_in_each_region() -> None:
    with mock_aws():
        assert described(EC2) == IMAGES
        assert described(boto3.client("ec2", region_name="eu-west-1")) == IMAGES


def test_an_instance_of_each_image_has_its_platform_and_root(moved: object) -> None:
    for image, (platform, root) in IMAGES.items():
        run = EC2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
        [reservation] = EC2.describe_instances(InstanceIds=[run["Instances"][0]["InstanceId"]])[
            "Reservations"
        ]
        [instance] = reservation["Instances"]
        assert (instance.get("Platform"), instance["RootDeviceType"]) == (platform, root)
