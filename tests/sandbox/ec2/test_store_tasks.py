"""EC2's rules for images that are stored in a bucket, on a clock that the test moves."""

from typing import Any

import boto3
import pytest

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock

from .clients import EC2, S3, code_of, create_image, described, error_of, known, tag


@pytest.fixture
def image(moved: Clock, ebs_instance: str) -> str:
    made = known(moved, create_image(ebs_instance, NoReboot=True))
    moved.now += 2
    return made


def store(image: str, bucket: str = "images", **given: Any) -> str:
    return EC2.create_store_image_task(ImageId=image, Bucket=bucket, **given)["ObjectKey"]


def task_of(image: str) -> Any:
    [task] = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    return task


def keys(bucket: str = "images") -> list[str]:
    return [item["Key"] for item in S3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_an_image_is_stored_as_one_object_when_the_task_is_completed(
    moved: Clock, image: str
) -> None:
    tag(image, store_seconds="10")
    key = store(image, S3ObjectTags=[{"Key": "of", "Value": "web"}])
    seen = []
    for _ in range(3):
        moved.now += 3.5
        task = task_of(image)
        seen.append((task["StoreTaskState"], task["ProgressPercentage"], keys()))

    assert key == f"{image}.bin"
    assert seen == [
        ("InProgress", 35, []),
        ("InProgress", 70, []),
        ("Completed", 100, [key]),
    ]
    assert (task["AmiId"], task["Bucket"], task["S3objectKey"]) == (image, "images", key)
    assert task["TaskStartTime"].timestamp() == 1_800_000_008
    assert "StoreTaskFailureReason" not in task
    tags = S3.get_object_tagging(Bucket="images", Key=key)["TagSet"]
    assert tags == [{"Key": "of", "Value": "web"}]
    acl, bucket = S3.get_object_acl(Bucket="images", Key=key), S3.get_bucket_acl(Bucket="images")
    assert acl["Owner"]["ID"] == bucket["Owner"]["ID"]


def test_the_ticker_writes_the_object(moved: Clock, image: str) -> None:
    key = store(image)
    moved.now += 2
    assert keys() == []
    ec2.advance_all()
    assert keys() == [key]


def test_the_instance_steers_where_the_image_does_not(
    moved: Clock, ebs_instance: str, image: str
) -> None:
    tag(ebs_instance, store_seconds="100", store_outcome="failed", store_error="No more")
    tag(image, store_seconds="4")
    store(image)
    moved.now += 3
    assert task_of(image)["StoreTaskState"] == "InProgress"
    moved.now += 1

    task = task_of(image)
    assert task["StoreTaskState"] == "Failed"
    assert task["StoreTaskFailureReason"] == "No more"
    assert task["ProgressPercentage"] == 75
    assert keys() == []


def test_a_task_that_hangs_is_in_progress_for_ever(moved: Clock, image: str) -> None:
    tag(image, store_outcome="hang")
    store(image)
    moved.now += 1_000_000

    task = task_of(image)
    assert (task["StoreTaskState"], task["ProgressPercentage"]) == ("InProgress", 41)


def test_progress_stalls_where_a_tag_says_so(moved: Clock, image: str) -> None:
    tag(image, store_seconds="100", store_stalls="17")
    store(image)
    seen = []
    for seconds in (10, 40, 49, 1):
        moved.now += seconds
        seen.append(task_of(image)["ProgressPercentage"])

    assert seen == [10, 17, 17, 100]


@pytest.mark.parametrize(
    "steering", [{"store_seconds": "soon"}, {"store_outcome": "no"}, {"store_stalls": "x"}]
)
def test_a_tag_that_steers_nowhere_is_refused(image: str, steering: dict[str, str]) -> None:
    tag(image, **steering)
    code = code_of(EC2.create_store_image_task, ImageId=image, Bucket="images")
    assert code == "InvalidParameterValue"


def test_one_copy_of_an_image_is_kept_in_a_bucket(moved: Clock, image: str) -> None:
    store(image)
    error = error_of(EC2.create_store_image_task, ImageId=image, Bucket="images")
    assert error[0] == "InvalidRequest"
    moved.now += 2
    assert error_of(EC2.create_store_image_task, ImageId=image, Bucket="images") == error

    S3.create_bucket(Bucket="others")
    store(image, "others")
    S3.delete_object(Bucket="images", Key=f"{image}.bin")
    store(image)
    moved.now += 3

    tasks = EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"]
    assert [task["Bucket"] for task in tasks] == ["images", "others", "images"]
    assert keys() == keys("others") == [f"{image}.bin"]


def test_an_image_that_failed_to_be_stored_can_be_stored_again(moved: Clock, image: str) -> None:
    tag(image, store_outcome="failed")
    store(image)
    moved.now += 3
    assert task_of(image)["StoreTaskState"] == "Failed"
    assert store(image)


def test_only_an_image_that_is_available_is_stored(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_seconds="10")
    pending = known(moved, create_image(ebs_instance, "pending", NoReboot=True))
    create = EC2.create_store_image_task

    assert error_of(create, ImageId=pending, Bucket="images") == (
        "InvalidAMIID.Unavailable",
        f"The AMI ID '{pending}' is currently pending and may not be used for this operation",
    )
    moved.now += 10
    assert store(pending)
    missing = "ami-0123456789abcdef0"
    assert code_of(create, ImageId=missing, Bucket="images") == "InvalidAMIID.NotFound"
    assert code_of(create, ImageId="web", Bucket="images") == "InvalidAMIID.Malformed"
    EC2.deregister_image(ImageId=pending)
    assert code_of(create, ImageId=pending, Bucket="images") == "InvalidAMIID.Unavailable"


def test_an_instance_store_image_is_not_stored(moved: Clock) -> None:
    image = ec2.WINDOWS_INSTANCE_STORE_IMAGE
    code, message = error_of(EC2.create_store_image_task, ImageId=image, Bucket="images")

    assert code == "InvalidParameterValue"
    assert "EBS-backed" in message


def test_the_bucket_has_to_be_there_and_in_the_region(image: str) -> None:
    west = boto3.client("s3", region_name="us-west-2")
    place: Any = {"LocationConstraint": "us-west-2"}
    west.create_bucket(Bucket="far-away", CreateBucketConfiguration=place)

    for bucket, words in (("nobodys-bucket", "does not exist"), ("far-away", "in the region")):
        code, message = error_of(EC2.create_store_image_task, ImageId=image, Bucket=bucket)
        assert code == "InvalidParameterValue"
        assert words in message


def test_a_bucket_that_goes_away_fails_the_task(moved: Clock, image: str) -> None:
    store(image)
    S3.delete_bucket(Bucket="images")
    moved.now += 3

    task = task_of(image)
    assert task["StoreTaskState"] == "Failed"
    assert task["StoreTaskFailureReason"] == "The specified bucket does not exist"


@pytest.mark.parametrize(
    "tags",
    [
        {str(number): "" for number in range(11)},
        {"aws:x": "y"},
        {"k" * 129: ""},
        {"key": "v" * 257},
    ],
)
def test_tags_that_no_object_can_have_are_refused(image: str, tags: dict[str, str]) -> None:
    given = [{"Key": key, "Value": value} for key, value in tags.items()]
    code = code_of(EC2.create_store_image_task, ImageId=image, Bucket="images", S3ObjectTags=given)
    assert code == "InvalidParameterValue"


def test_a_dry_run_stores_nothing(image: str) -> None:
    create = EC2.create_store_image_task
    assert code_of(create, ImageId=image, Bucket="images", DryRun=True) == "DryRunOperation"
    assert EC2.describe_store_image_tasks()["StoreImageTaskResults"] == []
    assert code_of(EC2.describe_store_image_tasks, DryRun=True) == "DryRunOperation"


def test_a_task_is_listed_for_31_days(moved: Clock, image: str) -> None:
    store(image)
    moved.now += 31 * 86400 - 1
    assert task_of(image)["StoreTaskState"] == "Completed"
    moved.now += 1
    assert EC2.describe_store_image_tasks(ImageIds=[image])["StoreImageTaskResults"] == []


def test_tasks_are_listed_by_pages_with_the_latest_first(moved: Clock, ebs_instance: str) -> None:
    made = [create_image(ebs_instance, f"web-{number}", NoReboot=True) for number in range(5)]
    known(moved, made[-1])
    moved.now += 2
    for image in made:
        described(moved, store(image))
    pages = EC2.get_paginator("describe_store_image_tasks").paginate(
        PaginationConfig={"PageSize": 2}
    )
    found = [[task["AmiId"] for task in page["StoreImageTaskResults"]] for page in pages]

    assert found == [[made[4], made[3]], [made[2], made[1]], [made[0]]]


def test_tasks_are_found_by_filters(moved: Clock, ebs_instance: str) -> None:
    first, second = (
        create_image(ebs_instance, name, NoReboot=True) for name in ("first", "second")
    )
    S3.create_bucket(Bucket="others")
    known(moved, second)
    moved.now += 2
    tag(second, store_seconds="10")
    store(first)
    store(second, "others")
    moved.now += 3

    def found(*image_ids: str, **filters: str) -> list[str]:
        asked: list[Any] = [
            {"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()
        ]
        tasks = EC2.describe_store_image_tasks(ImageIds=list(image_ids), Filters=asked)
        return [task["AmiId"] for task in tasks["StoreImageTaskResults"]]

    assert found() == [second, first]
    assert found(bucket="images") == [first]
    assert found(task_state="InProgress") == [second]
    assert found(task_state="InProgress", bucket="images") == []
    assert found(first, task_state="InProgress") == [first]
    assert found("ami-0123456789abcdef0") == []


def test_what_describe_refuses(image: str) -> None:
    describe = EC2.describe_store_image_tasks

    assert code_of(describe, ImageIds=[image], MaxResults=5) == "InvalidParameterCombination"
    assert code_of(describe, ImageIds=[image] * 21) == "InvalidParameterValue"
    assert code_of(describe, ImageIds=["web"]) == "InvalidAMIID.Malformed"
    assert code_of(describe, MaxResults=201) == "InvalidMaxResults"
    assert code_of(describe, NextToken="no token") == "InvalidNextToken"
    filters = [{"Name": "colour", "Values": ["red"]}]
    assert code_of(describe, Filters=filters) == "InvalidParameterValue"
