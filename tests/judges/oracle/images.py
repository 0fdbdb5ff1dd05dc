"""Direct calls of EC2 and Recycle Bin, each with all that it answers."""

import uuid
from typing import Any

from sandbox.clients import Clients
from sandbox.instances import run_like
from sandbox.world import BUCKET
from tests.stacks.support import wait_for

from .refused import refused

ID = "ami-0123456789abcdef0"


def drive(clients: Clients, ebs_instance: str, instance: str) -> None:
    """Call each operation, and have each refuse something."""
    ec2: Any = clients.ec2
    _bundles(clients, instance)
    [ours] = run_like(ec2, ebs_instance, {"image_seconds": "0", "store_seconds": "0"})
    ec2.describe_instance_status(IncludeAllInstances=True)
    image = _image(clients, ours)
    _attributes(clients, image)
    _stores(clients, image)
    _snapshots(clients, ours)
    copied = ec2.copy_image(SourceImageId=image, SourceRegion="us-east-1", Name="Copied")
    ec2.deregister_image(ImageId=copied["ImageId"])
    _bin(clients, image)
    ec2.stop_instances(InstanceIds=[ours])
    ec2.start_instances(InstanceIds=[ours])
    ec2.terminate_instances(InstanceIds=[ours])
    refusals: dict[str, dict[str, Any]] = {
        "create_image": {"InstanceId": "i-0123456789abcdef0", "Name": "None"},
        "describe_images": {"ImageIds": [ID]},
        "deregister_image": {"ImageId": ID},
        "create_store_image_task": {"ImageId": ID, "Bucket": BUCKET},
        "describe_store_image_tasks": {"MaxResults": 1, "ImageIds": [ID]},
        "lock_snapshot": {"SnapshotId": "snap-0123456789abcdef0", "LockMode": "governance"},
        "bundle_instance": {
            "InstanceId": ebs_instance,
            "Storage": {"S3": {"Bucket": BUCKET, "Prefix": "a"}},
        },
        "cancel_bundle_task": {"BundleId": "bun-01234567"},
        "describe_bundle_tasks": {"BundleIds": ["bun-01234567"]},
    }
    for call, request in refusals.items():
        refused(ec2, call, **request)


def _bundles(clients: Clients, instance: str) -> None:
    ec2: Any = clients.ec2
    [ours] = run_like(ec2, instance, {"outcome": "hang"})
    storage = {"S3": {"Bucket": BUCKET, "Prefix": uuid.uuid4().hex}}
    refused(ec2, "bundle_instance", InstanceId=ours, Storage=storage, DryRun=True)
    task = ec2.bundle_instance(InstanceId=ours, Storage=storage)["BundleTask"]
    ec2.cancel_bundle_task(BundleId=task["BundleId"])
    ec2.describe_bundle_tasks()
    [failing] = run_like(ec2, instance, {"outcome": "failed", "seconds": "0"})
    ec2.bundle_instance(InstanceId=failing, Storage=storage)
    ec2.describe_bundle_tasks()


def _image(clients: Clients, instance: str) -> str:
    ec2: Any = clients.ec2
    tags = [{"Key": "a", "Value": "b"}]
    image = ec2.create_image(
        InstanceId=instance,
        Name=uuid.uuid4().hex,
        Description="An image",
        TagSpecifications=[
            {"ResourceType": "image", "Tags": tags},
            {"ResourceType": "snapshot", "Tags": tags},
        ],
    )["ImageId"]

    def is_available() -> bool | None:
        [found] = ec2.describe_images(ImageIds=[image])["Images"]
        return True if found["State"] == "available" else None

    wait_for(is_available, "the image")
    ec2.describe_images(Owners=["self"])
    return str(image)


def _attributes(clients: Clients, image: str) -> None:
    ec2: Any = clients.ec2
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "Changed"})
    for name in ("description", "launchPermission", "deregistrationProtection"):
        ec2.describe_image_attribute(ImageId=image, Attribute=name)
    ec2.enable_image_deregistration_protection(ImageId=image)
    refused(ec2, "deregister_image", ImageId=image)
    ec2.disable_image_deregistration_protection(ImageId=image)
    ec2.disable_image(ImageId=image)
    ec2.describe_images(ImageIds=[image], IncludeDisabled=True)
    ec2.enable_image(ImageId=image)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "c", "Value": "d"}])
    ec2.describe_tags()
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "c"}])


def _stores(clients: Clients, image: str) -> None:
    ec2: Any = clients.ec2
    key = ec2.create_store_image_task(ImageId=image, Bucket=BUCKET)["ObjectKey"]

    def is_stored() -> bool | None:
        [task] = ec2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
        return True if task["StoreTaskState"] == "Completed" else None

    wait_for(is_stored, "the image to be stored")
    restored = ec2.create_restore_image_task(Bucket=BUCKET, ObjectKey=key, Name=uuid.uuid4().hex)
    ec2.describe_images(ImageIds=[restored["ImageId"]])


def _snapshots(clients: Clients, instance: str) -> None:
    ec2: Any = clients.ec2
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    volume = found["Instances"][0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.describe_snapshots(SnapshotIds=[snapshot])
    registered = ec2.register_image(
        Name=uuid.uuid4().hex,
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]
    refused(ec2, "delete_snapshot", SnapshotId=snapshot)
    ec2.deregister_image(ImageId=registered, DeleteAssociatedSnapshots=False)
    ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    ec2.describe_locked_snapshots()
    refused(ec2, "delete_snapshot", SnapshotId=snapshot)
    ec2.unlock_snapshot(SnapshotId=snapshot)
    locked = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.lock_snapshot(SnapshotId=locked, LockMode="compliance", LockDuration=1, CoolOffPeriod=1)
    ec2.describe_locked_snapshots(SnapshotIds=[locked])
    ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=snapshot)
    ec2.create_snapshots(InstanceSpecification={"InstanceId": instance})
    ec2.delete_snapshot(SnapshotId=snapshot)


def _bin(clients: Clients, image: str) -> None:
    ec2: Any = clients.ec2
    rbin = clients.client("rbin")
    period = {"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"}
    for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
        rbin.create_rule(
            RetentionPeriod=period,
            ResourceType=kind,
            Description="Kept",
            Tags=[{"Key": "a", "Value": "b"}],
            ResourceTags=[{"ResourceTagKey": "a", "ResourceTagValue": "b"}],
        )
    refused(
        rbin,
        "create_rule",
        RetentionPeriod=period | {"RetentionPeriodValue": 366},
        ResourceType=kind,
    )
    ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert ec2.list_images_in_recycle_bin()["Images"]
    assert ec2.list_snapshots_in_recycle_bin()["Snapshots"]
