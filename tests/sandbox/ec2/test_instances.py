"""What EC2 says of instances: their volumes, their product codes, and how long of one that is
terminated."""

from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from sandbox.clients import REGION
from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, code_of, create_image, error_of, image_of, known, snapshots_of, tag

HOUR = 3600


def run(image: str, **given: Any) -> str:
    launched = EC2.run_instances(ImageId=image, MinCount=1, MaxCount=1, **given)
    return launched["Instances"][0]["InstanceId"]


def described_instance(instance: str) -> Any:
    [reservation] = EC2.describe_instances(InstanceIds=[instance])["Reservations"]
    return reservation["Instances"][0]


def volumes_of(instance: str) -> dict[str, Any]:
    """The volumes of an instance, by the names of its devices."""
    devices = {
        mapping["Ebs"]["VolumeId"]: mapping["DeviceName"]
        for mapping in described_instance(instance)["BlockDeviceMappings"]
    }
    attached: Any = [{"Name": "attachment.instance-id", "Values": [instance]}]
    volumes = EC2.describe_volumes(Filters=attached)["Volumes"]
    assert {volume["VolumeId"] for volume in volumes} == {*devices}
    return {devices[volume["VolumeId"]]: volume for volume in volumes}


@pytest.mark.parametrize("image", [ec2.WINDOWS_EBS_IMAGE, ec2.LINUX_EBS_IMAGE])
def test_an_instance_has_a_volume_at_its_root_device(moved: Clock, image: str) -> None:
    instance = run(image)

    root = described_instance(instance)["RootDeviceName"]
    assert {name: volume["Size"] for name, volume in volumes_of(instance).items()} == {root: 8}


def test_an_instance_of_instance_store_has_no_volume(moved: Clock) -> None:
    assert volumes_of(ec2.run_windows_instance_store(EC2)) == {}


def test_the_volumes_of_an_instance_are_those_of_its_launch(moved: Clock) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/5a4db0f0-0000-4000-8000-000000000000"
    mappings: Any = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 500}},
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {"VolumeSize": 30, "Encrypted": True, "KmsKeyId": key},
        },
    ]
    instance = run(ec2.LINUX_EBS_IMAGE, BlockDeviceMappings=mappings)
    volumes = volumes_of(instance)
    image = known(moved, create_image(instance, NoReboot=True))
    moved.now += 2
    devices = {each["DeviceName"]: each["Ebs"] for each in image_of(image)["BlockDeviceMappings"]}
    snapshots = {each["VolumeId"]: each for each in snapshots_of(image_of(image))}

    assert {name: volume["Size"] for name, volume in volumes.items()} == {
        "/dev/xvda": 30,
        "/dev/sdf": 500,
    }
    root, data = volumes["/dev/xvda"], volumes["/dev/sdf"]
    assert (root["Encrypted"], root["KmsKeyId"]) == (True, key)
    assert (data["Encrypted"], data.get("KmsKeyId")) == (False, None)
    assert devices["/dev/xvda"]["Encrypted"] is True
    assert devices["/dev/sdf"]["Encrypted"] is False
    assert devices["/dev/sdf"]["VolumeSize"] == 500
    assert snapshots[root["VolumeId"]]["KmsKeyId"] == key
    assert "KmsKeyId" not in snapshots[data["VolumeId"]]


def test_a_launch_that_names_no_root_volume_or_no_size_takes_the_images(moved: Clock) -> None:
    added: Any = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20}}]
    encrypted: Any = [{"DeviceName": "/dev/sda1", "Ebs": {"Encrypted": True}}]

    first = volumes_of(run(ec2.WINDOWS_EBS_IMAGE, BlockDeviceMappings=added))
    second = volumes_of(run(ec2.WINDOWS_EBS_IMAGE, BlockDeviceMappings=encrypted))

    assert {name: volume["Size"] for name, volume in first.items()} == {
        "/dev/sda1": 8,
        "/dev/sdf": 20,
    }
    [root] = second.values()
    assert (root["Size"], root["Encrypted"]) == (8, True)


def test_an_instance_and_its_image_have_the_product_code_of_a_tag(
    moved: Clock, ebs_instance: str
) -> None:
    assert described_instance(ebs_instance)["ProductCodes"] == []
    tag(ebs_instance, product_code="bz4vuply68xrif53movwbkpnl")
    image = known(moved, create_image(ebs_instance, NoReboot=True))
    tag(ebs_instance, product_code="")
    codes = [{"ProductCodeId": "bz4vuply68xrif53movwbkpnl", "ProductCodeType": "marketplace"}]

    assert described_instance(ebs_instance)["ProductCodes"] == []
    assert image_of(image)["ProductCodes"] == codes
    attribute = EC2.describe_image_attribute(ImageId=image, Attribute="productCodes")
    assert attribute["ProductCodes"] == codes
    tag(ebs_instance, product_code="bz4vuply68xrif53movwbkpnl")
    assert described_instance(ebs_instance)["ProductCodes"] == codes
    wanted: Any = [{"Name": "product-code", "Values": ["bz4vuply68xrif53movwbkpnl"]}]
    [found] = EC2.describe_images(Owners=["self"], Filters=wanted)["Images"]
    assert found["ImageId"] == image


def become(instance: str, state: str) -> None:
    """Have an instance be in a state that takes AWS a while, and moto no time."""
    found = ec2_backends["123456789012"][REGION].get_instance(instance)
    found._state.name = state


@pytest.mark.parametrize("state", ["running", "stopping", "stopped"])
def test_an_image_is_made_of_an_instance_that_runs_or_is_stopped(
    moved: Clock, ebs_instance: str, state: str
) -> None:
    become(ebs_instance, state)

    assert create_image(ebs_instance, NoReboot=True)


@pytest.mark.parametrize("state", ["pending", "shutting-down", "terminated"])
def test_no_image_is_made_of_an_instance_in_another_state(
    moved: Clock, ebs_instance: str, state: str
) -> None:
    become(ebs_instance, state)

    code = code_of(EC2.create_image, InstanceId=ebs_instance, Name="web")
    assert code == "InvalidParameterValue"


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped", "shutting-down"])
def test_only_an_instance_that_runs_is_bundled(moved: Clock, state: str) -> None:
    classic = ec2.run_windows_instance_store(EC2)
    become(classic, state)
    storage: Any = {"S3": {"Bucket": "images", "Prefix": "web"}}

    code = code_of(EC2.bundle_instance, InstanceId=classic, Storage=storage)
    assert code == "IncorrectInstanceState"


def test_a_terminated_instance_is_described_for_an_hour(moved: Clock, ebs_instance: str) -> None:
    other = ec2.run_ebs_instance(EC2)
    EC2.terminate_instances(InstanceIds=[ebs_instance])
    moved.now += HOUR - 1
    terminated = described_instance(ebs_instance)
    assert terminated["State"]["Name"] == "terminated"
    assert terminated["BlockDeviceMappings"] == []
    make: Any = {"InstanceId": ebs_instance, "Name": "web"}
    code, message = error_of(EC2.create_image, **make)
    assert (code, "not in state" in message) == ("InvalidParameterValue", True)
    moved.now += 1

    gone = "InvalidInstanceID.NotFound"
    assert code_of(EC2.describe_instances, InstanceIds=[ebs_instance]) == gone
    assert code_of(EC2.create_image, **make) == gone
    ids = [
        instance["InstanceId"]
        for reservation in EC2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]
    assert ids == [other]


def test_a_terminated_instance_is_not_bundled(moved: Clock) -> None:
    classic = ec2.run_windows_instance_store(EC2)
    EC2.terminate_instances(InstanceIds=[classic])
    bundle: Any = {
        "InstanceId": classic,
        "Storage": {"S3": {"Bucket": "images", "Prefix": "web"}},
    }

    assert code_of(EC2.bundle_instance, **bundle) == "IncorrectInstanceState"
    moved.now += HOUR
    assert code_of(EC2.bundle_instance, **bundle) == "InvalidInstanceID.NotFound"
