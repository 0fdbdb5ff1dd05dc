"""Clients that moto answers while it is on, and what the tests of images do with them."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import REGION
from sandbox.ec2.visibility import DELAY
from tests.fixtures import Clock

# Made once, since that takes longer than most tests. What EC2 refuses is not for the SDK to say.
EC2 = boto3.client("ec2", region_name=REGION, config=Config(parameter_validation=False))
S3 = boto3.client("s3", region_name=REGION)


def described(clock: Clock, resource: str) -> str:
    """Wait until calls that describe show what was done to a resource; its ID."""
    clock.advance(DELAY)
    return resource


def known(clock: Clock, resource: str) -> str:
    """Wait until all calls know what was done to a resource; its ID."""
    clock.advance(2 * DELAY)
    return resource


def tag(resource: str, **tags: str) -> None:
    """Steer by tags: `store_seconds` is `sandbox:store-seconds`."""
    named = {f"sandbox:{name.replace('_', '-')}": value for name, value in tags.items()}
    EC2.create_tags(
        Resources=[resource],
        Tags=[{"Key": name, "Value": value} for name, value in named.items()],
    )


def create_image(instance: str, name: str = "web", **given: Any) -> str:
    return EC2.create_image(InstanceId=instance, Name=name, **given)["ImageId"]


def image_of(image_id: str) -> Any:
    [image] = EC2.describe_images(ImageIds=[image_id])["Images"]
    return image


def state_of(instance: str) -> str:
    [reservation] = EC2.describe_instances(InstanceIds=[instance])["Reservations"]
    return reservation["Instances"][0]["State"]["Name"]


def snapshots_of(image: Any) -> list[Any]:
    """The snapshots of an image as it was described; an error if one is gone."""
    ids = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]
    return list(EC2.describe_snapshots(SnapshotIds=ids)["Snapshots"])


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of the error that a call meets."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def code_of(call: Any, **arguments: Any) -> str:
    return error_of(call, **arguments)[0]


def tags_of(described: Any) -> dict[str, str]:
    return {item["Key"]: item["Value"] for item in described.get("Tags", [])}
