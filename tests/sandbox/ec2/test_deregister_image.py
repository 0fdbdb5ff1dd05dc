"""What goes with an image that is deregistered, and what stays."""

import pytest

from tests.fixtures import Clock

from .clients import EC2, S3, code_of, create_image, image_of, known, snapshots_of, tag


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    made = create_image(ebs_instance)
    moved.now += 2
    return known(moved, made)


def test_snapshots_stay_unless_they_are_to_be_deleted(moved: Clock, image: str) -> None:
    described = image_of(image)
    answer = EC2.deregister_image(ImageId=image)
    moved.now += 6

    assert answer["Return"]
    assert answer.get("DeleteSnapshotResults", []) == []
    [snapshot] = snapshots_of(described)
    EC2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])


def test_associated_snapshots_are_deleted_on_request(moved: Clock, image: str) -> None:
    [snapshot] = snapshots_of(image_of(image))
    answer = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)

    assert answer["DeleteSnapshotResults"] == [
        {"SnapshotId": snapshot["SnapshotId"], "ReturnCode": "success"}
    ]
    moved.now += 3
    assert (
        code_of(EC2.describe_snapshots, SnapshotIds=[snapshot["SnapshotId"]])
        == "InvalidSnapshot.NotFound"
    )


def test_an_image_that_is_gone_can_not_be_tagged(moved: Clock, image: str) -> None:
    EC2.deregister_image(ImageId=image)
    moved.now += 6

    code = code_of(EC2.create_tags, Resources=[image], Tags=[{"Key": "a", "Value": "b"}])

    assert code == "InvalidAMIID.Unavailable"


def test_a_snapshot_of_an_image_is_in_use(image: str) -> None:
    [snapshot] = snapshots_of(image_of(image))
    code = code_of(EC2.delete_snapshot, SnapshotId=snapshot["SnapshotId"])

    assert code == "InvalidSnapshot.InUse"


def test_deregistering_ends_the_making_of_an_image(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_seconds="100")
    pending = image_of(known(moved, create_image(ebs_instance)))
    EC2.deregister_image(ImageId=pending["ImageId"])
    moved.now += 6
    assert [snapshot["State"] for snapshot in snapshots_of(pending)] == ["completed"]

    pending = image_of(known(moved, create_image(ebs_instance)))
    EC2.deregister_image(ImageId=pending["ImageId"], DeleteAssociatedSnapshots=True)
    moved.now += 100

    assert EC2.describe_images(Owners=["self"])["Images"] == []
    assert code_of(snapshots_of, image=pending) == "InvalidSnapshot.NotFound"


def test_an_image_that_failed_can_be_deregistered(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_outcome="failed")
    made = known(moved, create_image(ebs_instance))
    assert image_of(made)["State"] == "failed"

    answer = EC2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)

    assert [result["ReturnCode"] for result in answer["DeleteSnapshotResults"]] == ["success"]


def test_an_image_is_deregistered_once(image: str) -> None:
    assert code_of(EC2.deregister_image, ImageId=image, DryRun=True) == "DryRunOperation"
    EC2.deregister_image(ImageId=image)

    assert code_of(EC2.deregister_image, ImageId=image) == "InvalidAMIID.Unavailable"
    missing = "ami-0123456789abcdef0"
    assert code_of(EC2.deregister_image, ImageId=missing) == "InvalidAMIID.NotFound"
    assert code_of(EC2.deregister_image, ImageId="web") == "InvalidAMIID.Malformed"


def test_a_store_task_goes_on_without_its_image(moved: Clock, image: str) -> None:
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    EC2.deregister_image(ImageId=image)
    moved.now += 3

    [task] = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    assert task["StoreTaskState"] == "Completed"
    assert S3.head_object(Bucket="images", Key=f"{image}.bin")


def test_a_store_task_fails_without_its_snapshots(moved: Clock, image: str) -> None:
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    moved.now += 3

    [task] = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    assert task["StoreTaskState"] == "Failed"
    assert "does not exist" in task["StoreTaskFailureReason"]
    moved.now += 2
    assert "Contents" not in S3.list_objects_v2(Bucket="images")


def test_what_is_stored_needs_its_snapshots_no_more(moved: Clock, image: str) -> None:
    EC2.create_store_image_task(ImageId=image, Bucket="images")
    moved.now += 3
    EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)

    [task] = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    assert task["StoreTaskState"] == "Completed"
    assert S3.head_object(Bucket="images", Key=f"{image}.bin")
