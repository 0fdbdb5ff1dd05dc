"""How much EC2 does at a time, and which tags it takes."""

from typing import Any

import pytest

from tests.fixtures import Clock

from .clients import EC2, S3, code_of, create_image, error_of, known, tag


def attach(instance: str, device: str, size: int = 1, **given: Any) -> str:
    """A volume of an instance, and its ID."""
    volume = EC2.create_volume(AvailabilityZone="us-east-1a", Size=size, **given)["VolumeId"]
    EC2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    return volume


def images(moved: Clock, instance: str, *names: str) -> list[str]:
    """Images of an instance that can be stored."""
    made = []
    for name in names:
        made.append(create_image(instance, name, NoReboot=True))
        moved.now += 2
    known(moved, instance)
    return made


def test_no_image_is_stored_while_the_limit_is_reached(moved: Clock, ebs_instance: str) -> None:
    attach(ebs_instance, "/dev/sdf", size=300)
    tag(ebs_instance, store_seconds="10")
    first, second, third = images(moved, ebs_instance, "web-1", "web-2", "web-3")
    for image in (first, second):  # 308 GB are less than the limit
        EC2.create_store_image_task(ImageId=image, Bucket="images")

    assert error_of(EC2.create_store_image_task, ImageId=third, Bucket="images") == (
        "ResourceLimitExceeded",
        "Too many store image tasks in progress. The limit is 600 GB of snapshot data.",
    )
    moved.now += 10
    EC2.create_store_image_task(ImageId=third, Bucket="images")


def test_a_tag_lowers_the_limit_of_storing(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, store_limit="8", store_outcome="failed")
    first, second = images(moved, ebs_instance, "web-1", "web-2")
    EC2.create_store_image_task(ImageId=first, Bucket="images")
    store = EC2.create_store_image_task

    assert code_of(store, ImageId=second, Bucket="images") == "ResourceLimitExceeded"
    moved.now += 2
    assert store(ImageId=second, Bucket="images")


def test_an_image_of_more_than_5000_gigabytes_is_not_stored(
    moved: Clock, ebs_instance: str
) -> None:
    attach(ebs_instance, "/dev/sdf", size=4993)
    [image] = images(moved, ebs_instance, "web")

    code, message = error_of(EC2.create_store_image_task, ImageId=image, Bucket="images")
    assert (code, "5001 GB" in message) == ("InvalidParameterValue", True)


@pytest.mark.parametrize(("given", "most"), [({}, 5), ({"VolumeType": "st1"}, 1)])
def test_a_volume_has_so_many_snapshots_that_are_not_complete(
    moved: Clock, ebs_instance: str, given: dict[str, Any], most: int
) -> None:
    attach(ebs_instance, "/dev/sdf", size=500, **given)
    for number in range(most):
        create_image(ebs_instance, f"web-{number}")
    limited = "ConcurrentSnapshotLimitExceeded"

    assert code_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == limited
    moved.now += 2
    create_image(ebs_instance)


def test_a_snapshot_that_failed_counts_towards_the_limit(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_outcome="failed")
    made = [create_image(ebs_instance, f"web-{number}") for number in range(5)]
    known(moved, made[0])
    limited = "ConcurrentSnapshotLimitExceeded"

    assert code_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == limited
    EC2.deregister_image(ImageId=made[0], DeleteAssociatedSnapshots=True)
    create_image(ebs_instance)


def test_an_account_has_so_many_snapshots_that_are_pending(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, pending_limit="1")
    create_image(ebs_instance, "web-1")
    limited = "PendingSnapshotLimitExceeded"

    assert code_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == limited
    moved.now += 2
    create_image(ebs_instance)


def test_so_many_images_of_an_instance_are_made_at_a_time_with_no_reboot(
    moved: Clock, ebs_instance: str
) -> None:
    tag(ebs_instance, image_limit="1")
    create_image(ebs_instance, "web-1", NoReboot=True)
    limited = "ConcurrentCreateImageNoRebootLimitExceeded"
    create_image(ebs_instance, "web-2")
    code = code_of(EC2.create_image, InstanceId=ebs_instance, Name="web", NoReboot=True)

    assert code == limited
    moved.now += 2
    create_image(ebs_instance, NoReboot=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("aws:x", "y"), ("Aws:x", "y"), ("k" * 128, ""), ("key", "v" * 257), ("", "y")],
)
def test_tags_that_no_resource_can_have_are_refused(
    moved: Clock, ebs_instance: str, key: str, value: str
) -> None:
    tags = [{"Key": key, "Value": value}]
    code = code_of(EC2.create_tags, Resources=[ebs_instance], Tags=tags)

    assert code == "InvalidParameterValue"


def test_tags_are_refused_in_ec2s_words(moved: Clock, ebs_instance: str) -> None:
    def message(**tags: str) -> str:
        given: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
        return error_of(EC2.create_tags, Resources=[ebs_instance], Tags=given)[1]

    assert message(**{"Aws:of": ""}) == (
        "Value ( Aws:of ) for parameter key is invalid. "
        "Tag keys starting with 'aws:' are reserved for internal use"
    )
    assert message(**{"": "web"}) == (
        "Value ( '' ) for parameter Tag key is invalid. Tag key cannot be null or empty."
    )
    specification: Any = {"ResourceType": "image", "Tags": [{"Key": "aws:of", "Value": ""}]}
    create: Any = {"InstanceId": ebs_instance, "Name": "web"}
    assert error_of(EC2.create_image, **create, TagSpecifications=[specification]) == (
        "InvalidParameterValue",
        "Tag keys starting with 'aws:' are reserved for internal use",
    )


@pytest.mark.parametrize("value", ["a", "b"])
def test_a_key_is_given_once(moved: Clock, ebs_instance: str, value: str) -> None:
    tags: Any = [{"Key": "of", "Value": "a"}, {"Key": "of", "Value": value}]
    specifications: Any = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
    create: Any = {"InstanceId": ebs_instance, "Name": "web"}
    error = ("InvalidParameterValue", "Duplicate tag key 'of' specified.")

    assert error_of(EC2.create_tags, Resources=[ebs_instance], Tags=tags) == error
    assert error_of(EC2.create_image, **create, TagSpecifications=specifications) == error
    other_case: Any = [{"Key": "of", "Value": "a"}, {"Key": "Of", "Value": "b"}]
    EC2.create_tags(Resources=[ebs_instance], Tags=other_case)


@pytest.mark.parametrize("text", ["größe 大 1", "🗃", "a!*,?<>&\"'", "a\tb"])
def test_tags_of_ec2_are_of_any_characters(moved: Clock, ebs_instance: str, text: str) -> None:
    EC2.create_tags(Resources=[ebs_instance], Tags=[{"Key": text, "Value": text}])
    known(moved, ebs_instance)
    wanted: Any = [{"Name": "resource-id", "Values": [ebs_instance]}]

    [found] = EC2.describe_tags(Filters=wanted)["Tags"]
    assert (found["Key"], found["Value"]) == (text, text)


def test_a_key_of_an_objects_tags_is_given_once(moved: Clock, ebs_instance: str) -> None:
    [image] = images(moved, ebs_instance, "web")
    tags: Any = [{"Key": "of", "Value": "a"}, {"Key": "of", "Value": "b"}]
    store: Any = {"ImageId": image, "Bucket": "images", "S3ObjectTags": tags}

    assert error_of(EC2.create_store_image_task, **store) == (
        "InvalidParameterValue",
        "Cannot provide multiple Tags with the same key",
    )


def test_a_resource_has_fifty_tags(moved: Clock, ebs_instance: str) -> None:
    tags: list[Any] = [{"Key": str(number), "Value": ""} for number in range(51)]
    assert code_of(EC2.create_tags, Resources=[ebs_instance], Tags=tags) == "TagLimitExceeded"
    EC2.create_tags(Resources=[ebs_instance], Tags=tags[:50])

    assert code_of(EC2.create_tags, Resources=[ebs_instance], Tags=tags[50:]) == "TagLimitExceeded"


@pytest.mark.parametrize("text", ["a!", "a,b", "a*", "a\nb"])
def test_objects_have_tags_of_a_smaller_alphabet(
    moved: Clock, ebs_instance: str, text: str
) -> None:
    [image] = images(moved, ebs_instance, "web")
    EC2.create_tags(Resources=[image], Tags=[{"Key": "of", "Value": text}])
    tags: list[Any] = [{"Key": "of", "Value": text}]
    store: Any = {"ImageId": image, "Bucket": "images", "S3ObjectTags": tags}
    S3.put_object(Bucket="images", Key="web", Body=b"")
    put: Any = {"Bucket": "images", "Key": "web", "Tagging": {"TagSet": tags}}

    assert code_of(EC2.create_store_image_task, **store) == "InvalidParameterValue"
    if "\n" not in text:
        assert code_of(S3.put_object_tagging, **put) == "InvalidTag"


def test_objects_have_tags_of_letters_of_all_languages(moved: Clock, ebs_instance: str) -> None:
    [image] = images(moved, ebs_instance, "web")
    tags: list[Any] = [{"Key": "größe 1+-=._:/@", "Value": "大"}]
    key = EC2.create_store_image_task(ImageId=image, Bucket="images", S3ObjectTags=tags)
    moved.now += 2
    EC2.describe_store_image_tasks()

    found = S3.get_object_tagging(Bucket="images", Key=key["ObjectKey"])
    assert found["TagSet"] == tags


def test_an_object_has_ten_tags(moved: Clock) -> None:
    S3.put_object(Bucket="images", Key="web", Body=b"")
    tags: list[Any] = [{"Key": str(number), "Value": ""} for number in range(11)]
    put: Any = {"Bucket": "images", "Key": "web"}
    S3.put_object_tagging(Tagging={"TagSet": tags[:10]}, **put)

    code = code_of(S3.put_object_tagging, Tagging={"TagSet": tags}, **put)
    assert code == "BadRequest"
