"""EC2's rules for images that are restored from a bucket, on a clock that the test moves."""

from typing import Any

import boto3
import pytest

from sandbox.ec2.visibility import DELAY
from tests.fixtures import Clock

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
def stored(moved: Clock, ebs_instance: str) -> str:
    """The key of an image that was stored, and deregistered with its snapshots."""
    specifications = [
        {"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]}
        for kind in ("image", "snapshot")
    ]
    image = known(
        moved,
        create_image(
            ebs_instance, NoReboot=True, Description="A server", TagSpecifications=specifications
        ),
    )
    moved.now += 2
    key: str = EC2.create_store_image_task(ImageId=image, Bucket="images")["ObjectKey"]
    moved.now += 3
    EC2.describe_store_image_tasks()
    EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    known(moved, image)
    return key


def restore(key: str, **given: Any) -> str:
    restored: str = EC2.create_restore_image_task(Bucket="images", ObjectKey=key, **given)[
        "ImageId"
    ]
    return restored


def test_a_stored_image_is_restored_with_new_snapshots_after_its_deregistration(
    moved: Clock, stored: str
) -> None:
    restored = described(moved, restore(stored, Name="web-restored"))
    pending = image_of(restored)
    snapshots = snapshots_of(pending)
    moved.now += 2
    image = image_of(restored)

    assert f"{restored}.bin" != stored
    assert [pending["State"], *(each["State"] for each in snapshots)] == ["pending", "pending"]
    assert [image["State"], *(each["State"] for each in snapshots_of(image))] == [
        "available",
        "completed",
    ]
    assert (image["Name"], image["Description"]) == ("web-restored", "A server")
    assert (image["RootDeviceType"], image["Public"]) == ("ebs", False)
    assert tags_of(image) == {"of": "image"}
    [snapshot] = snapshots_of(image)
    assert (tags_of(snapshot), snapshot["Encrypted"]) == ({"of": "snapshot"}, False)
    moved.now += 2 * DELAY
    run = EC2.run_instances(ImageId=restored, MinCount=1, MaxCount=1)
    assert run["Instances"][0]["ImageId"] == restored


def test_without_a_name_it_has_that_of_the_original_and_a_name_is_had_once(
    moved: Clock, stored: str
) -> None:
    assert image_of(known(moved, restore(stored)))["Name"] == "web"

    assert code_of(restore, key=stored) == "InvalidAMIName.Duplicate"
    assert code_of(restore, key=stored, Name="web") == "InvalidAMIName.Duplicate"
    assert code_of(restore, key=stored, Name="?") == "InvalidAMIName.Malformed"


def test_tags_of_the_request_are_added(moved: Clock, stored: str) -> None:
    specifications = [
        {"ResourceType": kind, "Tags": [{"Key": "by", "Value": "me"}]}
        for kind in ("image", "snapshot")
    ]

    image = image_of(known(moved, restore(stored, TagSpecifications=specifications)))

    assert tags_of(image) == {"of": "image", "by": "me"}
    assert [tags_of(each) for each in snapshots_of(image)] == [{"of": "snapshot", "by": "me"}]


def test_what_is_not_a_stored_image_is_not_restored(moved: Clock, stored: str) -> None:
    S3.put_object(Bucket="images", Key="other.bin", Body=b"{}")
    elsewhere = boto3.client("s3", region_name="eu-west-1")
    elsewhere.create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )

    def refused(**request: Any) -> str:
        code, message = error_of(EC2.create_restore_image_task, Name="new", **request)
        return f"{code}: {message}"

    assert "does not exist" in refused(Bucket="images", ObjectKey="missing.bin")
    assert "not a stored image" in refused(Bucket="images", ObjectKey="other.bin")
    assert "does not exist" in refused(Bucket="missing", ObjectKey=stored)
    assert "must be in the region" in refused(Bucket="elsewhere", ObjectKey=stored)
    assert refused(Bucket="images").startswith("MissingParameter")
    assert refused(ObjectKey=stored).startswith("MissingParameter")


def test_a_copy_of_the_object_is_restored_too(moved: Clock, stored: str) -> None:
    S3.copy_object(Bucket="images", Key="copy", CopySource={"Bucket": "images", "Key": stored})

    assert image_of(known(moved, restore("copy")))["Name"] == "web"


def test_a_dry_run_restores_nothing(moved: Clock, stored: str) -> None:
    assert code_of(restore, key=stored, DryRun=True) == "DryRunOperation"
    assert EC2.describe_images(Owners=["self"])["Images"] == []


def test_a_stored_tag_lets_the_restored_image_fail(moved: Clock, ebs_instance: str) -> None:
    image = known(moved, create_image(ebs_instance, NoReboot=True))
    moved.now += 2
    tag(image, restore_outcome="failed", restore_error="Client.Own: it was a test")
    key = EC2.create_store_image_task(ImageId=image, Bucket="images")["ObjectKey"]
    moved.now += 3

    restored = described(moved, restore(key, Name="again"))
    moved.now += 3

    assert image_of(restored)["State"] == "failed"
    assert image_of(restored)["StateReason"]["Code"] == "Client.Own"
