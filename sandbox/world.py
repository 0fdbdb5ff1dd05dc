"""What a new sandbox holds: a bucket, and an instance of each kind."""

from dataclasses import dataclass

from sandbox.clients import Clients
from sandbox.ec2 import api as ec2

BUCKET = "instance-bundles"


@dataclass(frozen=True, slots=True)
class World:
    """What there is to try the application on.

    Attributes:
        bucket: an empty bucket for bundles.
        instance_id: a running Windows instance with an instance-store root volume.
        ebs_instance_id: a running instance with an EBS root volume.
    """

    bucket: str
    instance_id: str
    ebs_instance_id: str


def make(clients: Clients) -> World:
    """Make the bucket and run the instances."""
    clients.s3.create_bucket(Bucket=BUCKET)
    return World(
        bucket=BUCKET,
        instance_id=ec2.run_windows_instance_store(clients.ec2),
        ebs_instance_id=ec2.run_ebs_instance(clients.ec2),
    )
