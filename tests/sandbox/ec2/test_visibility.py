"""Other calls see a write to EC2 only after a while, on a clock that the test moves."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.clients import REGION, Clients
from sandbox.ec2 import api as ec2
from sandbox.server import Server
from tests.fixtures import Clock
from tests.observing import observing

from .clients import (
    EC2,
    S3,
    code_of,
    create_image,
    described,
    error_of,
    image_of,
    known,
    snapshots_of,
    tag,
    tags_of,
)


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    """An image that is available, as all calls know."""
    tags: list[Any] = [{"ResourceType": "image", "Tags": [{"Key": "of", "Value": "web"}]}]
    made = create_image(ebs_instance, Description="Old", NoReboot=True, TagSpecifications=tags)
    moved.now += 2
    return known(moved, made)


def found(name: str, *values: str) -> list[str]:
    """The images that a filter finds."""
    filters: list[Any] = [{"Name": name, "Values": list(values)}]
    return [item["ImageId"] for item in EC2.describe_images(Filters=filters)["Images"]]


def own_snapshots() -> list[str]:
    filters: list[Any] = [{"Name": "description", "Values": ["Created by CreateImage*"]}]
    return [each["SnapshotId"] for each in EC2.describe_snapshots(Filters=filters)["Snapshots"]]


def test_a_new_image_and_its_snapshots_are_described_after_a_while(
    moved: Clock, ebs_instance: str
) -> None:
    tags: list[Any] = [{"ResourceType": "image", "Tags": [{"Key": "of", "Value": "web"}]}]
    made = create_image(ebs_instance, TagSpecifications=tags)
    moved.now += 2.9

    assert error_of(EC2.describe_images, ImageIds=[made]) == (
        "InvalidAMIID.NotFound",
        f"The image id '[{made}]' does not exist",
    )
    assert found("tag:of", "web") == found("name", "web") == found("image-id", made) == []
    assert own_snapshots() == []
    assert EC2.describe_tags(Filters=[{"Name": "resource-id", "Values": [made]}])["Tags"] == []
    moved.now += 0.1
    image = image_of(made)
    assert image["State"] == "pending"
    assert found("tag:of", "web") == found("name", "web") == [made]
    assert own_snapshots() == [each["SnapshotId"] for each in snapshots_of(image)]
    assert [each["State"] for each in snapshots_of(image)] == ["pending"]


def test_a_state_is_described_after_a_while(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_seconds="10")
    made = create_image(ebs_instance)
    moved.now += 12.9
    assert image_of(made)["State"] == "pending"
    moved.now += 0.1

    assert image_of(made)["State"] == "available"


def test_the_moment_counts_at_which_a_state_was_reached_and_not_when_somebody_asked(
    moved: Clock, ebs_instance: str
) -> None:
    tag(ebs_instance, image_seconds="10")
    made = create_image(ebs_instance)
    moved.now += 12.9
    assert found("state", "pending") == [made]
    moved.now += 0.1

    assert found("state", "pending") == []


def test_a_registered_image_is_shown_as_available_before_other_calls_know_it(
    moved: Clock,
) -> None:
    made = described(moved, EC2.register_image(Name="web")["ImageId"])
    assert image_of(made)["State"] == "available"
    tags: list[Any] = [{"Key": "of", "Value": "web"}]
    description: Any = {"Value": "New"}
    missing = ("InvalidAMIID.NotFound", f"The image id '[{made}]' does not exist")
    calls: list[tuple[Any, dict[str, Any]]] = [
        (EC2.create_tags, {"Resources": [made], "Tags": tags}),
        (EC2.delete_tags, {"Resources": [made], "Tags": tags}),
        (EC2.modify_image_attribute, {"ImageId": made, "Description": description}),
        (EC2.create_store_image_task, {"ImageId": made, "Bucket": "images"}),
        (EC2.deregister_image, {"ImageId": made}),
        (EC2.run_instances, {"ImageId": made, "MinCount": 1, "MaxCount": 1}),
    ]

    moved.now += 2.9
    assert [error_of(call, **given) for call, given in calls] == [missing] * len(calls)
    moved.now += 0.1
    EC2.create_tags(Resources=[made], Tags=tags)


def test_an_image_is_shown_as_available_before_it_can_be_used(
    moved: Clock, ebs_instance: str
) -> None:
    tag(ebs_instance, image_seconds="10")
    made = create_image(ebs_instance)
    moved.now += 15.9
    assert image_of(made)["State"] == "available"
    pending = (
        "InvalidAMIID.Unavailable",
        f"The AMI ID '{made}' is currently pending and may not be used for this operation",
    )
    description: Any = {"Value": "New"}

    assert error_of(EC2.create_store_image_task, ImageId=made, Bucket="images") == pending
    assert error_of(EC2.modify_image_attribute, ImageId=made, Description=description) == pending
    EC2.create_tags(Resources=[made], Tags=[{"Key": "of", "Value": "web"}])
    moved.now += 0.1
    EC2.modify_image_attribute(ImageId=made, Description=description)
    EC2.create_store_image_task(ImageId=made, Bucket="images")


def test_a_new_snapshot_is_not_known_to_all_calls_at_once(moved: Clock, image: str) -> None:
    [snapshot] = snapshots_of(image_of(image))
    made = EC2.create_snapshot(VolumeId=snapshot["VolumeId"])["SnapshotId"]
    moved.now += 2.9
    assert code_of(EC2.describe_snapshots, SnapshotIds=[made]) == "InvalidSnapshot.NotFound"
    moved.now += 3
    assert EC2.describe_snapshots(SnapshotIds=[made])["Snapshots"]

    missing = ("InvalidSnapshot.NotFound", f"The snapshot '{made}' does not exist.")
    tags: list[Any] = [{"Key": "of", "Value": "web"}]
    assert error_of(EC2.create_tags, Resources=[made], Tags=tags) == missing
    assert error_of(EC2.delete_snapshot, SnapshotId=made) == missing
    moved.now += 0.1
    EC2.delete_snapshot(SnapshotId=made)


def test_changes_of_an_image_are_described_after_a_while(moved: Clock, image: str) -> None:
    EC2.create_tags(
        Resources=[image], Tags=[{"Key": "of", "Value": "api"}, {"Key": "by", "Value": "me"}]
    )
    EC2.modify_image_attribute(ImageId=image, Description={"Value": "New"})
    permission: Any = {"Add": [{"Group": "all"}]}
    EC2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    moved.now += 2.9

    assert tags_of(image_of(image)) == {"of": "web"}
    assert (image_of(image)["Description"], image_of(image)["Public"]) == ("Old", False)
    assert (found("tag:of", "web"), found("tag:of", "api")) == ([image], [])
    moved.now += 0.1
    assert tags_of(image_of(image)) == {"of": "api", "by": "me"}
    assert (image_of(image)["Description"], image_of(image)["Public"]) == ("New", True)
    assert (found("tag:of", "web"), found("tag:of", "api")) == ([], [image])


def test_each_change_is_seen_in_its_turn(moved: Clock, image: str) -> None:
    seen = []
    for value in ("1", "2", "3"):
        EC2.create_tags(Resources=[image], Tags=[{"Key": "of", "Value": value}])
        seen.append(tags_of(image_of(image))["of"])
        moved.now += 2
    for _ in range(2):
        seen.append(tags_of(image_of(image))["of"])
        moved.now += 2

    assert seen == ["web", "web", "1", "2", "3"]


def test_removed_tags_are_described_for_a_while(moved: Clock, image: str) -> None:
    EC2.delete_tags(Resources=[image], Tags=[{"Key": "of"}])
    moved.now += 2.9
    assert found("tag:of", "web") == [image]
    moved.now += 0.1

    assert found("tag:of", "web") == []
    assert tags_of(image_of(image)) == {}


def test_changed_tags_of_an_instance_are_described_after_a_while(
    moved: Clock, ebs_instance: str
) -> None:
    EC2.create_tags(Resources=[ebs_instance], Tags=[{"Key": "of", "Value": "web"}])

    def instances(**asked: Any) -> list[Any]:
        reservations = EC2.describe_instances(**asked)["Reservations"]
        return [each for reservation in reservations for each in reservation["Instances"]]

    filters = [{"Name": "tag:of", "Values": ["web"]}]
    moved.now += 2.9
    [instance] = instances(InstanceIds=[ebs_instance])
    assert (tags_of(instance), instances(Filters=filters)) == ({}, [])
    moved.now += 0.1
    [instance] = instances(InstanceIds=[ebs_instance])
    assert (tags_of(instance), len(instances(Filters=filters))) == ({"of": "web"}, 1)


def test_a_deregistered_image_is_described_for_a_while(moved: Clock, image: str) -> None:
    EC2.deregister_image(ImageId=image)
    moved.now += 2.9
    assert image_of(image)["State"] == "available"
    assert found("tag:of", "web") == [image]
    assert code_of(EC2.deregister_image, ImageId=image) == "InvalidAMIID.Unavailable"
    moved.now += 0.1

    assert EC2.describe_images(Owners=["self"])["Images"] == []


def test_snapshots_are_in_use_after_their_image_has_disappeared(moved: Clock, image: str) -> None:
    [snapshot] = [each["SnapshotId"] for each in snapshots_of(image_of(image))]
    EC2.deregister_image(ImageId=image)
    moved.now += 5.9

    assert EC2.describe_images(Owners=["self"])["Images"] == []
    assert error_of(EC2.delete_snapshot, SnapshotId=snapshot) == (
        "InvalidSnapshot.InUse",
        f"The snapshot {snapshot} is currently in use by {image}",
    )
    moved.now += 0.1
    EC2.delete_snapshot(SnapshotId=snapshot)
    moved.now += 2.9
    assert own_snapshots() == [snapshot]
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.NotFound"
    moved.now += 0.1
    assert own_snapshots() == []


def test_a_bundle_task_is_listed_after_a_while(moved: Clock) -> None:
    instance = ec2.run_windows_instance_store(EC2)
    storage: Any = {"S3": {"Bucket": "images", "Prefix": "web"}}
    task = EC2.bundle_instance(InstanceId=instance, Storage=storage)["BundleTask"]["BundleId"]
    missing = "InvalidBundleID.NotFound"
    moved.now += 2.9

    assert code_of(EC2.describe_bundle_tasks, BundleIds=[task]) == missing
    assert EC2.describe_bundle_tasks()["BundleTasks"] == []
    again = code_of(EC2.bundle_instance, InstanceId=instance, Storage=storage)
    assert again == "BundlingInProgress"
    moved.now += 0.1
    assert len(EC2.describe_bundle_tasks(BundleIds=[task])["BundleTasks"]) == 1
    moved.now += 2.9
    assert code_of(EC2.cancel_bundle_task, BundleId=task) == missing
    moved.now += 0.1
    assert EC2.cancel_bundle_task(BundleId=task)["BundleTask"]["State"] == "cancelling"


def test_a_store_task_is_listed_after_a_while(moved: Clock, image: str) -> None:
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    moved.now += 2.9
    describe = EC2.describe_store_image_tasks
    again = code_of(EC2.create_store_image_task, ImageId=image, Bucket="images")

    assert again == "InvalidRequest"
    assert describe(ImageIds=[image])["StoreImageTaskResults"] == []
    assert describe()["StoreImageTaskResults"] == []
    moved.now += 0.1
    assert len(describe(ImageIds=[image])["StoreImageTaskResults"]) == 1
    assert len(describe()["StoreImageTaskResults"]) == 1


def test_a_test_that_asks_with_a_header_is_shown_what_there_is_now(
    moved: Clock, image: str, ebs_instance: str
) -> None:
    observer = observing(boto3.client("ec2", region_name=REGION))
    [snapshot] = snapshots_of(image_of(image))
    volume = snapshot["VolumeId"]
    EC2.create_tags(Resources=[image, ebs_instance], Tags=[{"Key": "of", "Value": "api"}])
    made = EC2.create_snapshot(VolumeId=volume)["SnapshotId"]
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    windows = ec2.run_windows_instance_store(EC2)
    storage: Any = {"S3": {"Bucket": "images", "Prefix": "web"}}
    task = EC2.bundle_instance(InstanceId=windows, Storage=storage)["BundleTask"]["BundleId"]

    [shown] = observer.describe_images(ImageIds=[image])["Images"]
    assert tags_of(shown) == {"of": "api"}
    [reservation] = observer.describe_instances(InstanceIds=[ebs_instance])["Reservations"]
    assert tags_of(reservation["Instances"][0]) == {"of": "api"}
    assert observer.describe_snapshots(SnapshotIds=[made])["Snapshots"]
    [storing] = observer.describe_store_image_tasks()["StoreImageTaskResults"]
    assert storing["AmiId"] == image
    [bundling] = observer.describe_bundle_tasks()["BundleTasks"]
    assert bundling["BundleId"] == task
    EC2.deregister_image(ImageId=image)
    assert observer.describe_images(Owners=["self"])["Images"] == []
    # Others, and calls that act, are as late as ever.
    assert tags_of(image_of(image)) == {"of": "web"}
    assert code_of(observer.delete_snapshot, SnapshotId=made) == "InvalidSnapshot.NotFound"


def test_nothing_is_late_where_the_delay_is_0(clock: Clock) -> None:
    with ec2.install(clock, delay=0), mock_aws():
        S3.create_bucket(Bucket="images")
        made = create_image(ec2.run_ebs_instance(EC2))
        image = image_of(made)
        EC2.create_tags(Resources=[made], Tags=[{"Key": "of", "Value": "web"}])
        assert found("tag:of", "web") == [made]
        EC2.deregister_image(ImageId=made)
        assert EC2.describe_images(Owners=["self"])["Images"] == []
        for snapshot in snapshots_of(image):
            EC2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
        assert own_snapshots() == []


@pytest.mark.parametrize(("delay", "there"), [(3600, 0), (0, 1)])
def test_a_server_takes_the_delay(delay: float, there: int) -> None:
    with Server(ec2_delay=delay) as server:
        client = Clients(server.endpoint).ec2
        client.create_image(InstanceId=ec2.run_ebs_instance(client), Name="web")
        assert len(client.describe_images(Owners=["self"])["Images"]) == there
