"""AMIs, snapshots and objects as requests make them, in moto."""

from typing import Any

import boto3

from instance_bundle.aws import images
from instance_bundle.methods import BUCKET_TAG
from instance_bundle.request import Image, RequestKey

GIB = 2**30


def bucket(name: str = "images", region: str = "us-east-1") -> None:
    """Create a bucket."""
    here: Any = {} if region == "us-east-1" else {"LocationConstraint": region}
    given = {"CreateBucketConfiguration": here} if here else {}
    boto3.client("s3", region_name=region).create_bucket(Bucket=name, **given)


def bundle_at(prefix: str, name: str = "images", storage_class: Any = "STANDARD") -> None:
    """Put a manifest of 24 bytes and two parts of 500, and two objects that are no part of it."""
    sizes = {".manifest.xml": 24, ".part.0": 500, ".part.1": 500, ".part.x": 9, ".txt": 9}
    for suffix, size in sizes.items():
        put(f"{prefix}{suffix}", size, name, storage_class)


def put(key: str, size: int, name: str = "images", storage_class: Any = "STANDARD") -> None:
    """Put an object."""
    boto3.client("s3").put_object(
        Bucket=name, Key=key, Body=b"x" * size, StorageClass=storage_class
    )


def snapshot(key: RequestKey | None, gibibytes: int = 8) -> str:
    """A snapshot of a volume, made for a request; its ID."""
    ec2 = boto3.client("ec2")
    volume = ec2.create_volume(Size=gibibytes, AvailabilityZone="us-east-1a")["VolumeId"]
    tags = images.tags(images.all_tags(Image(), key)) if key else []
    given: Any = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags}]} if tags else {}
    return ec2.create_snapshot(VolumeId=volume, **given)["SnapshotId"]


def image(key: RequestKey | None, name: str, stored_in: str = "") -> str:
    """An AMI, made for a request, and to be stored in a bucket if one is given; its ID."""
    ec2 = boto3.client("ec2")
    made = ec2.register_image(Name=name, ImageLocation=f"images/{name}.manifest.xml")["ImageId"]
    tags = images.all_tags(Image(), key) if key else {}
    stored = {BUCKET_TAG: stored_in} if stored_in else {}
    if tags:
        ec2.create_tags(Resources=[made], Tags=images.tags({**tags, **stored}))
    return made
