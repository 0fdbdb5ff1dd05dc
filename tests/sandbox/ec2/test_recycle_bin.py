"""What EC2 keeps in the Recycle Bin, by retention rules."""

from typing import Any

import pytest

from sandbox.clients import REGION, Clients
from sandbox.ec2 import recycle_bin
from sandbox.ec2.recycle_bin import IMAGE, SNAPSHOT, Rule
from sandbox.server import Server
from tests.fixtures import Clock

from .clients import (
    EC2,
    code_of,
    create_image,
    described,
    error_of,
    image_of,
    known,
    snapshots_of,
    tag,
)

DAY = 86400
OF_WEB = ("of", "web")


def rule(resource_type: str, days: int = 7, **tags: Any) -> None:
    recycle_bin.of("123456789012", REGION).rules.append(Rule(resource_type, days, **tags))


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    """An image that is available, as all calls know."""
    tags: Any = [{"Key": "of", "Value": "web"}]
    made = create_image(
        ebs_instance,
        NoReboot=True,
        Description="As it was",
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    )
    moved.now += 2
    return known(moved, made)


@pytest.fixture
def snapshot(image: str) -> str:
    [found] = snapshots_of(image_of(image))
    snapshot_id: str = found["SnapshotId"]
    return snapshot_id


def images(**asked: Any) -> list[str]:
    """The images in the bin."""
    return [each["ImageId"] for each in EC2.list_images_in_recycle_bin(**asked)["Images"]]


def snapshots(**asked: Any) -> list[str]:
    """The snapshots in the bin."""
    return [each["SnapshotId"] for each in EC2.list_snapshots_in_recycle_bin(**asked)["Snapshots"]]


def remove(moved: Clock, image: str, snapshot: str) -> None:
    """Deregister an image, delete its snapshot, and wait until both are seen."""
    EC2.deregister_image(ImageId=image)
    known(moved, image)
    EC2.delete_snapshot(SnapshotId=snapshot)
    described(moved, snapshot)


def test_what_a_rule_keeps_is_not_described_and_is_in_the_bin(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(IMAGE)
    rule(SNAPSHOT)
    volume = snapshots_of(image_of(image))[0]["VolumeId"]
    remove(moved, image, snapshot)

    assert EC2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"] == []
    assert EC2.describe_images(ImageIds=[image])["Images"] == []
    assert code_of(EC2.deregister_image, ImageId=image) == "InvalidAMIID.Unavailable"
    assert code_of(EC2.describe_snapshots, SnapshotIds=[snapshot]) == "InvalidSnapshot.NotFound"
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.NotFound"
    [kept_image] = EC2.list_images_in_recycle_bin()["Images"]
    assert (kept_image["ImageId"], kept_image["Name"]) == (image, "web")
    assert kept_image["Description"] == "As it was"
    [kept_snapshot] = EC2.list_snapshots_in_recycle_bin()["Snapshots"]
    assert (kept_snapshot["SnapshotId"], kept_snapshot["VolumeId"]) == (snapshot, volume)
    assert kept_snapshot["Description"].startswith("Created by CreateImage(")


def test_what_no_rule_keeps_is_gone(moved: Clock, image: str, snapshot: str) -> None:
    remove(moved, image, snapshot)

    assert (images(), snapshots()) == ([], [])


def test_a_rule_is_about_one_type_of_resources(moved: Clock, image: str, snapshot: str) -> None:
    rule(IMAGE)
    remove(moved, image, snapshot)

    assert (images(), snapshots()) == ([image], [])


def test_what_is_kept_is_so_for_the_longest_time_of_its_rules(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(IMAGE, days=1)
    rule(IMAGE, days=2, tags=frozenset({OF_WEB}))
    rule(IMAGE, days=3, tags=frozenset({("of", "db")}))
    remove(moved, image, snapshot)
    [kept] = EC2.list_images_in_recycle_bin()["Images"]
    assert (kept["RecycleBinExitTime"] - kept["RecycleBinEnterTime"]).days == 2
    moved.now += 2 * DAY - 20
    assert images() == [image]
    moved.now += 20

    assert images() == []


def test_a_rule_leaves_out_what_has_its_tags_of_exclusion(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(SNAPSHOT, excluded=frozenset({OF_WEB}))
    remove(moved, image, snapshot)

    assert snapshots() == []


def test_deregistering_with_snapshots_says_success_of_those_that_are_kept(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(SNAPSHOT)
    answer = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)

    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    assert snapshots() == []
    described(moved, snapshot)
    assert (images(), snapshots()) == ([], [snapshot])


def test_a_snapshot_of_an_image_in_the_bin_can_be_deleted(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(IMAGE)
    EC2.deregister_image(ImageId=image)
    known(moved, image)

    EC2.delete_snapshot(SnapshotId=snapshot)


def test_the_name_of_an_image_in_the_bin_is_free(
    moved: Clock, ebs_instance: str, image: str
) -> None:
    rule(IMAGE)
    EC2.deregister_image(ImageId=image)
    known(moved, image)

    assert create_image(ebs_instance, "web")


def test_a_store_task_fails_if_its_snapshots_are_in_the_bin(
    moved: Clock, image: str, snapshot: str
) -> None:
    rule(SNAPSHOT)
    tag(image, store_seconds="100")
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    remove(moved, image, snapshot)

    [task] = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    assert task["StoreTaskState"] == "Failed"


def test_an_image_of_instance_store_is_not_kept(moved: Clock) -> None:
    rule(IMAGE)
    ec2 = recycle_bin.of("123456789012", REGION)
    made = known(moved, EC2.register_image(Name="classic")["ImageId"])
    ec2._ec2.amis[made].root_device_type = "instance-store"
    EC2.deregister_image(ImageId=made)
    described(moved, made)

    assert images() == []


def test_the_bin_is_listed_by_ids_and_pages(moved: Clock, ebs_instance: str, image: str) -> None:
    rule(IMAGE)
    other = create_image(ebs_instance, "other", NoReboot=True)
    known(moved, other)
    for each in (image, other):
        EC2.deregister_image(ImageId=each)
    assert images() == []
    described(moved, other)

    assert images(ImageIds=[other]) == [other]
    first = EC2.list_images_in_recycle_bin(MaxResults=1)
    assert [each["ImageId"] for each in first["Images"]] == [image]
    assert images(MaxResults=1, NextToken=first["NextToken"]) == [other]
    missing = "ami-0123456789abcdef0"
    code, message = error_of(EC2.list_images_in_recycle_bin, ImageIds=[other, missing])
    assert (code, missing in message) == ("InvalidAMIID.NotFound", True)
    missing = "snap-0123456789abcdef0"
    code = code_of(EC2.list_snapshots_in_recycle_bin, SnapshotIds=[missing])
    assert code == "InvalidSnapshot.NotFound"
    assert code_of(EC2.list_images_in_recycle_bin, DryRun=True) == "DryRunOperation"


def test_rules_are_created_by_recycle_bins_own_api() -> None:
    with Server(ec2_delay=0) as server:
        clients = Clients(server.endpoint)
        made = clients.client("rbin").create_rule(
            ResourceType="EC2_IMAGE",
            RetentionPeriod={"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
            ResourceTags=[{"ResourceTagKey": "of", "ResourceTagValue": "web"}],
        )
        tags: Any = [{"ResourceType": "image", "Tags": [{"Key": "of", "Value": "web"}]}]
        ec2 = clients.ec2
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
        image = ec2.register_image(
            Name="web", BlockDeviceMappings=[mapping], TagSpecifications=tags
        )["ImageId"]
        ec2.deregister_image(ImageId=image)
        kept = ec2.list_images_in_recycle_bin()["Images"]
        code = code_of(
            clients.client("rbin").create_rule,
            ResourceType="EBS_VOLUME",
            RetentionPeriod={"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
        )

    assert (made["ResourceType"], made["Status"]) == ("EC2_IMAGE", "available")
    assert [each["ImageId"] for each in kept] == [image]
    assert code == "ValidationException"
