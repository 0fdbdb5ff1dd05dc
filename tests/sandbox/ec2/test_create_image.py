"""EC2's rules for images that are made of an instance, on a clock that the test moves."""

from typing import Any

import pytest

from sandbox.ec2 import api as ec2
from sandbox.ec2 import images, kept
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
    state_of,
    tag,
    tags_of,
)

TAGS: list[Any] = [
    {"ResourceType": "image", "Tags": [{"Key": "of", "Value": "image"}]},
    {"ResourceType": "snapshot", "Tags": [{"Key": "of", "Value": "snapshot"}]},
]


def test_an_image_is_pending_for_a_while_and_then_available(
    moved: Clock, ebs_instance: str
) -> None:
    tag(ebs_instance, image_seconds="10")
    image = described(moved, create_image(ebs_instance))
    moved.now += 9.9
    assert image_of(image)["State"] == "pending"
    moved.now += 0.1

    assert image_of(image)["State"] == "available"
    assert "StateReason" not in image_of(image)


def test_two_seconds_are_what_an_image_takes_if_no_tag_says_it(
    moved: Clock, ebs_instance: str
) -> None:
    image = described(moved, create_image(ebs_instance))
    moved.now += 1.9
    assert image_of(image)["State"] == "pending"
    moved.now += 0.1
    assert image_of(image)["State"] == "available"


def test_a_snapshot_has_its_full_size_once_it_is_complete(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_seconds="10")
    image = described(moved, create_image(ebs_instance))
    [pending] = snapshots_of(image_of(image))
    assert "FullSnapshotSizeInBytes" not in pending
    moved.now += 10

    [snapshot] = snapshots_of(image_of(image))

    assert snapshot["FullSnapshotSizeInBytes"] == snapshot["VolumeSize"] * 2**30 // 2


def test_an_image_says_what_it_was_made_of(moved: Clock, ebs_instance: str) -> None:
    made = create_image(ebs_instance, "web 1", Description="As it was")
    image = image_of(described(moved, made))

    assert image["Name"] == "web 1"
    assert image["Description"] == "As it was"
    assert image["SourceInstanceId"] == ebs_instance
    assert image["RootDeviceType"] == "ebs"
    assert image["Platform"] == "windows"
    assert image["ImageLocation"] == f"{image['OwnerId']}/web 1"
    assert image["CreationDate"] == "2027-01-15T08:00:00.000Z"


def test_an_image_fails_where_a_tag_says_so(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_outcome="failed")
    made = described(moved, create_image(ebs_instance))
    moved.now += 2

    image = image_of(made)
    assert image["State"] == "failed"
    assert image["StateReason"]["Code"] == "Client.InternalError"
    assert image["StateReason"]["Message"]
    assert [snapshot["State"] for snapshot in snapshots_of(image)] == ["error"]
    assert state_of(ebs_instance) == "running"


def test_the_reason_of_a_failure_is_the_tags(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_outcome="failed", image_error="Server.Broken: So: it is")
    image = described(moved, create_image(ebs_instance))
    moved.now += 2

    assert image_of(image)["StateReason"] == {"Code": "Server.Broken", "Message": "So: it is"}


def test_an_image_that_hangs_is_pending_until_it_is_deregistered(
    moved: Clock, ebs_instance: str
) -> None:
    tag(ebs_instance, image_outcome="hang")
    image = create_image(ebs_instance)
    moved.now += 1_000_000
    assert image_of(image)["State"] == "pending"
    assert state_of(ebs_instance) == "stopped"

    EC2.deregister_image(ImageId=image)

    assert state_of(ebs_instance) == "running"
    moved.now += 3
    assert EC2.describe_images(Owners=["self"])["Images"] == []


def test_the_instance_is_stopped_while_the_image_is_made_and_runs_again(
    moved: Clock, ebs_instance: str
) -> None:
    create_image(ebs_instance)
    assert state_of(ebs_instance) == "stopped"
    moved.now += 2
    assert state_of(ebs_instance) == "running"


def test_with_no_reboot_the_instance_runs_on(moved: Clock, ebs_instance: str) -> None:
    create_image(ebs_instance, NoReboot=True)
    assert state_of(ebs_instance) == "running"


def test_an_instance_that_was_stopped_stays_so(moved: Clock, ebs_instance: str) -> None:
    EC2.stop_instances(InstanceIds=[ebs_instance])
    image = described(moved, create_image(ebs_instance))
    moved.now += 2

    assert image_of(image)["State"] == "available"
    assert state_of(ebs_instance) == "stopped"


def test_an_instance_that_was_terminated_meanwhile_is_not_started(
    moved: Clock, ebs_instance: str
) -> None:
    image = described(moved, create_image(ebs_instance))
    EC2.terminate_instances(InstanceIds=[ebs_instance])
    moved.now += 2

    assert image_of(image)["State"] == "available"
    assert state_of(ebs_instance) == "terminated"


def test_each_volume_has_a_snapshot_from_the_start(moved: Clock, ebs_instance: str) -> None:
    volume = EC2.create_volume(AvailabilityZone="us-east-1a", Size=30)["VolumeId"]
    EC2.attach_volume(VolumeId=volume, InstanceId=ebs_instance, Device="/dev/sdf")
    image = image_of(described(moved, create_image(ebs_instance)))

    sizes = {m["DeviceName"]: m["Ebs"]["VolumeSize"] for m in image["BlockDeviceMappings"]}
    assert sizes == {"/dev/sda1": 8, "/dev/sdf": 30}
    snapshots = snapshots_of(image)
    assert [(s["State"], s["Progress"]) for s in snapshots] == [("pending", "0%")] * 2
    assert snapshots[1]["VolumeId"] == volume
    assert snapshots[0]["Description"] == (
        f"Created by CreateImage({ebs_instance}) for {image['ImageId']}"
    )
    moved.now += 2
    assert [(s["State"], s["Progress"]) for s in snapshots_of(image)] == [("completed", "100%")] * 2


def test_image_and_snapshots_have_each_their_tags_from_the_start(
    moved: Clock, ebs_instance: str
) -> None:
    image = image_of(described(moved, create_image(ebs_instance, TagSpecifications=TAGS)))

    assert tags_of(image) == {"of": "image"}
    assert [tags_of(snapshot) for snapshot in snapshots_of(image)] == [{"of": "snapshot"}]


def test_tags_of_images_and_snapshots_can_be_changed(moved: Clock, ebs_instance: str) -> None:
    image = image_of(known(moved, create_image(ebs_instance, TagSpecifications=TAGS)))
    ids = [image["ImageId"], image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]]
    EC2.create_tags(Resources=ids, Tags=[{"Key": "by", "Value": "me"}])
    EC2.delete_tags(Resources=ids, Tags=[{"Key": "of"}])
    moved.now += 3

    assert tags_of(image_of(image["ImageId"])) == {"by": "me"}
    assert [tags_of(snapshot) for snapshot in snapshots_of(image)] == [{"by": "me"}]


@pytest.mark.parametrize(
    "asked",
    [{"Description": {"Value": "New"}}, {"Attribute": "description", "Value": "New"}],
)
def test_an_image_can_be_given_another_description(
    moved: Clock, ebs_instance: str, asked: dict[str, Any]
) -> None:
    image = known(moved, create_image(ebs_instance, Description="Old"))
    moved.now += 2
    EC2.modify_image_attribute(ImageId=image, **asked)
    permission: Any = {"Add": [{"Group": "all"}]}
    EC2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    moved.now += 3

    assert image_of(image)["Description"] == "New"
    assert image_of(image)["Public"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image-id", "{image}"),
        ("name", "web-*"),
        ("description", "The first"),
        ("image-location", "*/web-1"),
        ("state", "pending"),
        ("tag:of", "image"),
        ("source-instance-id", "{instance}"),
    ],
)
def test_images_are_found_by_filters(
    moved: Clock, ebs_instance: str, name: str, value: str
) -> None:
    create_image(ebs_instance, "other", NoReboot=True)
    moved.now += 2
    image = create_image(ebs_instance, "web-1", Description="The first", TagSpecifications=TAGS)
    moved.now += 3
    wanted = value.format(image=image, instance=ebs_instance)
    found = EC2.describe_images(Filters=[{"Name": name, "Values": [wanted]}])["Images"]

    expected = 2 if name == "source-instance-id" else 1
    assert len(found) == expected
    assert image in [item["ImageId"] for item in found]


def test_a_missing_image_is_reported(moved: Clock) -> None:
    assert error_of(EC2.describe_images, ImageIds=["ami-0123456789abcdef0"]) == (
        "InvalidAMIID.NotFound",
        "The image id '[ami-0123456789abcdef0]' does not exist",
    )
    assert code_of(EC2.describe_images, ImageIds=["web"]) == "InvalidAMIID.Malformed"


@pytest.mark.parametrize("name", ["abc", "x" * 128, "Web (1) [2] a./-'@_"])
def test_these_names_are_taken(moved: Clock, ebs_instance: str, name: str) -> None:
    assert image_of(described(moved, create_image(ebs_instance, name)))["Name"] == name


@pytest.mark.parametrize("name", ["ab", "x" * 129, "web:1", "wéb", "web\n", "web+1"])
def test_other_names_are_malformed(moved: Clock, ebs_instance: str, name: str) -> None:
    assert error_of(EC2.create_image, InstanceId=ebs_instance, Name=name) == (
        "InvalidAMIName.Malformed",
        (
            "AMI names must be between 3 and 128 characters long, and may contain letters, "
            "numbers, '(', ')', '.', '-', '/' and '_'"
        ),
    )
    assert state_of(ebs_instance) == "running"


def test_a_name_is_had_by_one_image_at_a_time(moved: Clock, ebs_instance: str) -> None:
    image = create_image(ebs_instance)
    duplicate = (
        "InvalidAMIName.Duplicate",
        f"AMI name web is already in use by AMI {image}",
    )

    assert error_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == duplicate
    EC2.deregister_image(ImageId=known(moved, image))
    moved.now += 5.9
    assert error_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == duplicate
    moved.now += 0.1
    assert create_image(ebs_instance) != image


def test_another_accounts_name_is_free(moved: Clock, ebs_instance: str) -> None:
    name = image_of(ec2.WINDOWS_EBS_IMAGE)["Name"]
    assert create_image(ebs_instance, name)


def test_an_instance_store_root_makes_no_image(moved: Clock) -> None:
    instance = ec2.run_windows_instance_store(EC2)

    assert error_of(EC2.create_image, InstanceId=instance, Name="web") == (
        "InvalidParameterValue",
        (
            f"Invalid value '{instance}' for instanceId. Instance does not have a volume attached "
            "at root (null)."
        ),
    )


def test_an_instance_that_is_not_there_makes_no_image(moved: Clock, ebs_instance: str) -> None:
    missing = code_of(EC2.create_image, InstanceId="i-0123456789abcdef0", Name="web")
    malformed = code_of(EC2.create_image, InstanceId="web", Name="web")
    EC2.terminate_instances(InstanceIds=[ebs_instance])
    terminated = error_of(EC2.create_image, InstanceId=ebs_instance, Name="web")

    assert missing == "InvalidInstanceID.NotFound"
    assert malformed == "InvalidInstanceID.Malformed"
    assert terminated == (
        "InvalidParameterValue",
        (
            f"Invalid value '{ebs_instance}' for instanceId. Instance is not in state 'running' or "
            "'stopping' or 'stopped'"
        ),
    )


@pytest.mark.parametrize(
    ("resource_type", "tags", "code"),
    [
        ("image", {str(number): "" for number in range(51)}, "TagLimitExceeded"),
        ("snapshot", {str(number): "" for number in range(51)}, "TagLimitExceeded"),
        ("image", {"aws:cloudformation:stack-name": "web"}, "InvalidParameterValue"),
        ("snapshot", {"AWS:x": "web"}, "InvalidParameterValue"),
        ("image", {"k" * 128: ""}, "InvalidParameterValue"),
        ("image", {"key": "v" * 257}, "InvalidParameterValue"),
        ("image", {}, "InvalidParameterValue"),
        ("volume", {"key": "value"}, "InvalidParameterValue"),
    ],
)
def test_tags_that_no_image_can_have_are_refused(
    moved: Clock, ebs_instance: str, resource_type: Any, tags: dict[str, str], code: str
) -> None:
    given = [{"Key": key, "Value": value} for key, value in tags.items()]
    specification = {"ResourceType": resource_type, "Tags": given}
    create = EC2.create_image

    assert (
        code_of(create, InstanceId=ebs_instance, Name="web", TagSpecifications=[specification])
        == code
    )
    assert EC2.describe_images(Owners=["self"])["Images"] == []


def test_fifty_tags_are_taken(moved: Clock, ebs_instance: str) -> None:
    given = [{"Key": str(number), "Value": ""} for number in range(50)]
    specifications: list[Any] = [{"ResourceType": "image", "Tags": given}]
    image = described(moved, create_image(ebs_instance, TagSpecifications=specifications))

    assert len(tags_of(image_of(image))) == 50


def test_a_dry_run_makes_nothing(moved: Clock, ebs_instance: str) -> None:
    code = code_of(EC2.create_image, InstanceId=ebs_instance, Name="web", DryRun=True)

    assert code == "DryRunOperation"
    assert EC2.describe_images(Owners=["self"])["Images"] == []
    filters: list[Any] = [{"Name": "description", "Values": ["Created by CreateImage*"]}]
    assert EC2.describe_snapshots(Filters=filters)["Snapshots"] == []
    assert state_of(ebs_instance) == "running"


@pytest.mark.parametrize("steering", [{"image_seconds": "soon"}, {"image_outcome": "explode"}])
def test_a_tag_that_steers_nowhere_is_refused(
    moved: Clock, ebs_instance: str, steering: dict[str, str]
) -> None:
    tag(ebs_instance, **steering)
    assert code_of(EC2.create_image, InstanceId=ebs_instance, Name="web") == "InvalidParameterValue"


def test_the_ticker_moves_images_on_and_goes_on_where_one_is_broken(
    moved: Clock, ebs_instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    create_image(ebs_instance)
    moved.now += 2
    ec2.advance_all()
    [made] = kept.everywhere(images.Images)
    assert made._creations == {}

    def broken() -> float:
        raise ArithmeticError("no time")

    made._clock = broken
    ec2.advance_all()

    assert "could not be advanced" in caplog.text
