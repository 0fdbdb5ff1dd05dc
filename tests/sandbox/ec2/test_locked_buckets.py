"""What EC2 writes into a bucket with versions, Object Lock and a default retention."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox.ec2 import api as ec2
from sandbox.upstream import object_locks, object_versions
from tests.fixtures import Clock

from .clients import EC2, S3, create_image, known

VAULT = "vault"


@pytest.fixture
def vault(moved: Clock) -> Iterator[Clock]:
    """The clock; new objects of the bucket are retained for a day."""
    rule: Any = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    with object_locks.enforced(), object_versions.enforced():
        S3.create_bucket(Bucket=VAULT, ObjectLockEnabledForBucket=True)
        S3.put_object_lock_configuration(
            Bucket=VAULT, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
        yield moved


def locks() -> dict[str, tuple[str, int]]:
    """The mode and the days of each object."""
    listed = S3.list_objects_v2(Bucket=VAULT).get("Contents", [])
    found = {each["Key"]: S3.head_object(Bucket=VAULT, Key=each["Key"]) for each in listed}
    return {
        key: (
            each["ObjectLockMode"],
            round((each["ObjectLockRetainUntilDate"] - each["LastModified"]) / timedelta(days=1)),
        )
        for key, each in found.items()
    }


def test_the_parts_and_the_manifest_of_a_bundle_are_retained(vault: Clock) -> None:
    instance = ec2.run_windows_instance_store(EC2)
    EC2.bundle_instance(InstanceId=instance, Storage={"S3": {"Bucket": VAULT, "Prefix": "web"}})
    vault.advance(10)
    ec2.advance_all()

    written = ["web.manifest.xml", "web.part.0", "web.part.1", "web.part.2"]
    assert locks() == dict.fromkeys(written, ("GOVERNANCE", 1))


def test_a_stored_image_is_retained(vault: Clock) -> None:
    image = create_image(ec2.run_ebs_instance(EC2))
    vault.advance(2)
    EC2.create_store_image_task(ImageId=known(vault, image), Bucket=VAULT)
    vault.advance(2)
    ec2.advance_all()

    assert locks() == {f"{image}.bin": ("GOVERNANCE", 1)}


def test_what_a_failed_task_wrote_is_hidden_by_delete_markers(vault: Clock) -> None:
    instance = ec2.run_windows_instance_store(EC2)
    EC2.create_tags(Resources=[instance], Tags=[{"Key": "sandbox:outcome", "Value": "failed"}])
    EC2.bundle_instance(InstanceId=instance, Storage={"S3": {"Bucket": VAULT, "Prefix": "web"}})
    for _ in range(10):
        vault.advance(1)
        ec2.advance_all()

    [task] = EC2.describe_bundle_tasks()["BundleTasks"]
    assert task["State"] == "failed"
    listed = S3.list_object_versions(Bucket=VAULT)
    assert locks() == {}
    assert len(listed["DeleteMarkers"]) == len(listed["Versions"]) > 0
