"""New instances in a sandbox, like an existing one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import TagTypeDef


def run_like(
    ec2: "EC2Client", instance_id: str, steering: Mapping[str, str], count: int = 1
) -> list[str]:
    """Run instances of the image of another.

    Args:
        ec2: a client of the sandbox.
        instance_id: the other instance.
        steering: of their tasks, by tags that README.md describes: `image_seconds` is the tag
            `sandbox:image-seconds`.
        count: how many.

    Returns:
        Their IDs.
    """
    [like] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    tags: list[TagTypeDef] = [
        {"Key": f"sandbox:{name.replace('_', '-')}", "Value": value}
        for name, value in steering.items()
    ]
    run = ec2.run_instances(
        ImageId=like["Instances"][0]["ImageId"],
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}] if tags else [],
    )
    return [instance["InstanceId"] for instance in run["Instances"]]
