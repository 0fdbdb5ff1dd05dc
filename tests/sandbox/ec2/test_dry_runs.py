"""Dry runs: EC2 checks what a request says and names, and changes nothing.

That it asks for permission first, tests of authorization show.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, S3, code_of, create_image, image_of, known, snapshots_of, state_of, tag

STORAGE: Any = {"S3": {"Bucket": "images", "Prefix": "web"}}


def dry_run(call: Any, **arguments: Any) -> str:
    """The code of the answer to a dry run."""
    return code_of(call, **arguments, DryRun=True)


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    """An image that is available, as all calls know."""
    made = create_image(ebs_instance, NoReboot=True)
    moved.now += 2
    return known(moved, made)


@pytest.fixture
def snapshot(image: str) -> str:
    [found] = snapshots_of(image_of(image))
    snapshot_id: str = found["SnapshotId"]
    return snapshot_id


def test_a_dry_run_that_would_have_succeeded_has_status_412(
    image: str, snapshot: str, ebs_instance: str
) -> None:
    classic = ec2.run_windows_instance_store(EC2)
    calls: Any = [
        (EC2.deregister_image, {"ImageId": image}),
        (EC2.create_image, {"InstanceId": ebs_instance, "Name": "other"}),
        (EC2.create_store_image_task, {"ImageId": image, "Bucket": "images"}),
        (EC2.bundle_instance, {"InstanceId": classic, "Storage": STORAGE}),
        (EC2.describe_store_image_tasks, {}),
    ]
    for call, arguments in calls:
        with pytest.raises(ClientError) as refused:
            call(**arguments, DryRun=True)
        assert refused.value.response["Error"]["Code"] == "DryRunOperation"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_a_dry_run_changes_nothing(
    moved: Clock, ebs_instance: str, image: str, snapshot: str
) -> None:
    classic = ec2.run_windows_instance_store(EC2)
    loose = EC2.create_snapshot(VolumeId=snapshots_of(image_of(image))[0]["VolumeId"])["SnapshotId"]
    known(moved, loose)
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    tags: Any = [{"Key": "of", "Value": "web"}]

    answers = [
        dry_run(EC2.deregister_image, ImageId=image, DeleteAssociatedSnapshots=True),
        dry_run(EC2.delete_snapshot, SnapshotId=loose),
        dry_run(EC2.create_image, InstanceId=ebs_instance, Name="other"),
        dry_run(EC2.create_store_image_task, ImageId=image, Bucket="images"),
        dry_run(EC2.bundle_instance, InstanceId=classic, Storage=STORAGE),
        dry_run(EC2.create_tags, Resources=[image, snapshot], Tags=tags),
        dry_run(EC2.register_image, Name="other", BlockDeviceMappings=[mapping]),
    ]
    moved.now += 100

    assert answers == ["DryRunOperation"] * 7
    [left] = EC2.describe_images(Owners=["self"])["Images"]
    assert (left["ImageId"], left["State"], left["Tags"]) == (image, "available", [])
    ids = {each["SnapshotId"] for each in EC2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert {snapshot, loose} <= ids
    assert EC2.describe_store_image_tasks()["StoreImageTaskResults"] == []
    assert EC2.describe_bundle_tasks()["BundleTasks"] == []
    assert S3.list_objects_v2(Bucket="images")["KeyCount"] == 0
    assert (state_of(ebs_instance), state_of(classic)) == ("running", "running")


def test_a_dry_run_finds_what_is_missing(moved: Clock, image: str) -> None:
    no_image, no_instance = "ami-0123456789abcdef0", "i-0123456789abcdef0"
    no_snapshot = "snap-0123456789abcdef0"
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": no_snapshot}}
    tags: Any = [{"Key": "of", "Value": "web"}]
    store = EC2.create_store_image_task
    asked = {"InstanceId": no_instance}

    assert dry_run(EC2.deregister_image, ImageId=no_image) == "InvalidAMIID.NotFound"
    assert dry_run(EC2.delete_snapshot, SnapshotId=no_snapshot) == "InvalidSnapshot.NotFound"
    assert dry_run(EC2.create_image, **asked, Name="other") == "InvalidInstanceID.NotFound"
    assert dry_run(EC2.bundle_instance, **asked, Storage=STORAGE) == "InvalidInstanceID.NotFound"
    assert dry_run(store, ImageId=no_image, Bucket="images") == "InvalidAMIID.NotFound"
    assert dry_run(store, ImageId=image, Bucket="nowhere") == "InvalidParameterValue"
    assert dry_run(EC2.create_tags, Resources=[no_image], Tags=tags) == "InvalidAMIID.NotFound"
    register = dry_run(EC2.register_image, Name="other", BlockDeviceMappings=[mapping])
    assert register == "InvalidSnapshot.NotFound"


def test_a_dry_run_finds_what_a_request_may_not_say(
    moved: Clock, ebs_instance: str, image: str
) -> None:
    tags: Any = [{"Key": "aws:of", "Value": "web"}]

    assert dry_run(EC2.create_tags, Resources=[image], Tags=tags) == "InvalidParameterValue"
    assert dry_run(EC2.create_image, InstanceId=ebs_instance, Name="w:") == (
        "InvalidAMIName.Malformed"
    )
    assert dry_run(EC2.create_image, InstanceId=ebs_instance, Name="web") == (
        "InvalidAMIName.Duplicate"
    )


def test_a_dry_run_does_not_see_that_an_image_is_protected(moved: Clock, image: str) -> None:
    EC2.enable_image_deregistration_protection(ImageId=image)

    assert dry_run(EC2.deregister_image, ImageId=image) == "DryRunOperation"
    assert code_of(EC2.deregister_image, ImageId=image) == "OperationNotPermitted"


def test_a_dry_run_does_not_see_that_a_snapshot_is_in_use_or_locked(
    moved: Clock, image: str, snapshot: str
) -> None:
    assert dry_run(EC2.delete_snapshot, SnapshotId=snapshot) == "DryRunOperation"
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"
    EC2.deregister_image(ImageId=image)
    known(moved, image)
    EC2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)

    assert dry_run(EC2.delete_snapshot, SnapshotId=snapshot) == "DryRunOperation"
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "OperationNotPermitted"


def test_a_dry_run_does_not_see_what_an_instance_is_doing(moved: Clock, ebs_instance: str) -> None:
    classic = ec2.run_windows_instance_store(EC2)
    EC2.bundle_instance(InstanceId=classic, Storage=STORAGE)
    bundle: Any = {"InstanceId": classic, "Storage": STORAGE}
    EC2.terminate_instances(InstanceIds=[ebs_instance])
    make: Any = {"InstanceId": ebs_instance, "Name": "web"}

    assert dry_run(EC2.bundle_instance, **bundle) == "DryRunOperation"
    assert code_of(EC2.bundle_instance, **bundle) == "BundlingInProgress"
    assert dry_run(EC2.create_image, **make) == "DryRunOperation"
    assert code_of(EC2.create_image, **make) == "InvalidParameterValue"


def test_a_dry_run_does_not_see_limits(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, pending_limit="0")
    make: Any = {"InstanceId": ebs_instance, "Name": "web"}

    assert dry_run(EC2.create_image, **make) == "DryRunOperation"
    assert code_of(EC2.create_image, **make) == "PendingSnapshotLimitExceeded"


def test_a_dry_run_does_not_see_why_an_image_is_not_stored(
    moved: Clock, ebs_instance: str, image: str
) -> None:
    store = EC2.create_store_image_task
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    tag(ebs_instance, image_outcome="hang")
    pending = known(moved, create_image(ebs_instance, "never"))

    assert dry_run(store, ImageId=image, Bucket="images") == "DryRunOperation"
    assert code_of(store, ImageId=image, Bucket="images") == "InvalidRequest"
    assert dry_run(store, ImageId=pending, Bucket="images") == "DryRunOperation"
    assert code_of(store, ImageId=pending, Bucket="images") == "InvalidAMIID.Unavailable"
