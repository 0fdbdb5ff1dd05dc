"""What others do to images and snapshots: protect, disable, lock, and use them for other images."""

from typing import Any

import pytest

from tests.fixtures import Clock

from .clients import (
    EC2,
    code_of,
    create_image,
    described,
    image_of,
    known,
    snapshots_of,
    tag,
    tags_of,
)

DAY = 86400


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


def registered(moved: Clock, snapshot: str, name: str = "other", **ebs: Any) -> str:
    """Another image of a snapshot."""
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot, **ebs}}
    made = EC2.register_image(Name=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[mapping])
    return known(moved, made["ImageId"])


def test_a_protected_image_is_not_deregistered(moved: Clock, image: str) -> None:
    assert image_of(image)["DeregistrationProtection"] == "disabled"
    answer = EC2.enable_image_deregistration_protection(ImageId=image)
    described(moved, image)

    assert answer["Return"] == "enabled-without-cooldown"
    assert image_of(image)["DeregistrationProtection"] == "enabled-without-cooldown"
    assert code_of(EC2.deregister_image, ImageId=image) == "OperationNotPermitted"
    EC2.disable_image_deregistration_protection(ImageId=image)
    EC2.deregister_image(ImageId=image)


def test_protection_with_a_cooldown_goes_on_for_a_day(moved: Clock, image: str) -> None:
    EC2.enable_image_deregistration_protection(ImageId=image, WithCooldown=True)
    moved.now += 10 * DAY
    for _ in range(2):  # a second time moves nothing
        EC2.disable_image_deregistration_protection(ImageId=image)
        moved.now += DAY / 2 - 1
    assert code_of(EC2.deregister_image, ImageId=image) == "OperationNotPermitted"
    moved.now += 2

    EC2.deregister_image(ImageId=image)


def test_a_disabled_image_is_hidden_and_can_not_be_used(moved: Clock, image: str) -> None:
    permission: Any = {"Add": [{"Group": "all"}]}
    EC2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    EC2.disable_image(ImageId=image)
    moved.now += 6

    assert EC2.describe_images(ImageIds=[image])["Images"] == []
    assert EC2.describe_images(Owners=["self"])["Images"] == []
    [hidden] = EC2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert (hidden["ImageId"], hidden["State"], hidden["Public"]) == (image, "disabled", False)
    unavailable = "InvalidAMIID.Unavailable"
    description: Any = {"Value": "New"}
    run = EC2.run_instances
    assert code_of(EC2.create_store_image_task, ImageId=image, Bucket="images") == unavailable
    assert code_of(EC2.modify_image_attribute, ImageId=image, Description=description) == (
        unavailable
    )
    assert code_of(run, ImageId=image, MinCount=1, MaxCount=1) == unavailable
    EC2.enable_image(ImageId=image)
    moved.now += 6
    assert image_of(image)["State"] == "available"
    EC2.create_store_image_task(ImageId=image, Bucket="images")


def test_a_disabled_image_can_be_tagged_and_deregistered(moved: Clock, image: str) -> None:
    EC2.disable_image(ImageId=known(moved, image))
    EC2.create_tags(Resources=[image], Tags=[{"Key": "of", "Value": "web"}])
    described(moved, image)
    [hidden] = EC2.describe_images(ImageIds=[image], IncludeDisabled=True)["Images"]

    assert tags_of(hidden) == {"of": "web"}
    EC2.deregister_image(ImageId=image)


def test_only_an_image_that_is_disabled_is_enabled(moved: Clock, ebs_instance: str) -> None:
    tag(ebs_instance, image_outcome="hang")
    pending = known(moved, create_image(ebs_instance))

    assert code_of(EC2.enable_image, ImageId=pending) == "IncorrectState"
    assert code_of(EC2.disable_image, ImageId=pending) == "InvalidAMIID.Unavailable"


def test_a_change_by_others_is_described_after_a_while(moved: Clock, image: str) -> None:
    EC2.disable_image(ImageId=image)
    EC2.enable_image_deregistration_protection(ImageId=image)
    moved.now += 2.9
    assert image_of(image)["State"] == "available"
    assert image_of(image)["DeregistrationProtection"] == "disabled"
    moved.now += 0.1
    assert EC2.describe_images(ImageIds=[image])["Images"] == []


def test_an_image_is_registered_from_snapshots(moved: Clock, snapshot: str) -> None:
    image = image_of(registered(moved, snapshot, DeleteOnTermination=False))

    assert (image["State"], image["RootDeviceType"], image["Name"]) == ("available", "ebs", "other")
    [mapping] = image["BlockDeviceMappings"]
    assert mapping["DeviceName"] == image["RootDeviceName"] == "/dev/sda1"
    assert mapping["Ebs"]["SnapshotId"] == snapshot
    assert mapping["Ebs"]["DeleteOnTermination"] is False


def test_no_image_is_registered_from_a_snapshot_that_is_not_there(moved: Clock) -> None:
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}
    code = code_of(EC2.register_image, Name="web", BlockDeviceMappings=[mapping])

    assert code == "InvalidSnapshot.NotFound"


def test_a_snapshot_that_another_image_uses_is_kept(
    moved: Clock, image: str, snapshot: str
) -> None:
    other = registered(moved, snapshot)
    answer = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    moved.now += DAY

    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "skipped"}]
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"
    EC2.deregister_image(ImageId=other)
    moved.now += 6
    EC2.delete_snapshot(SnapshotId=snapshot)


def test_a_snapshot_is_in_use_as_soon_as_an_image_of_it_is_registered(
    moved: Clock, image: str, snapshot: str
) -> None:
    EC2.deregister_image(ImageId=image)
    moved.now += 6
    mapping: Any = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    EC2.register_image(Name="other", BlockDeviceMappings=[mapping])

    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"


@pytest.mark.parametrize("code", ["missing-permissions", "internal-error", "client-error"])
def test_a_tag_says_what_comes_of_deleting_snapshots_with_their_image(
    moved: Clock, ebs_instance: str, image: str, snapshot: str, code: str
) -> None:
    tag(ebs_instance, delete_snapshot=code)
    answer = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    moved.now += 6

    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": code}]
    assert EC2.describe_images(Owners=["self"])["Images"] == []
    EC2.delete_snapshot(SnapshotId=snapshot)


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_locked_snapshot_is_not_deleted(
    moved: Clock, image: str, snapshot: str, mode: Any
) -> None:
    answer = EC2.lock_snapshot(SnapshotId=snapshot, LockMode=mode, LockDuration=2)
    assert (answer["SnapshotId"], answer["LockState"]) == (snapshot, mode)
    answers = EC2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    moved.now += 2 * DAY - 1

    assert [each["ReturnCode"] for each in answers["DeleteSnapshotResults"]] == ["client-error"]
    assert code_of(EC2.delete_snapshot, SnapshotId=snapshot) == "OperationNotPermitted"
    moved.now += 1
    EC2.delete_snapshot(SnapshotId=snapshot)


def test_a_lock_in_governance_mode_can_be_taken_away(
    moved: Clock, image: str, snapshot: str
) -> None:
    EC2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)
    EC2.unlock_snapshot(SnapshotId=snapshot)
    EC2.deregister_image(ImageId=image)
    moved.now += 6

    EC2.delete_snapshot(SnapshotId=snapshot)


def test_a_lock_in_compliance_mode_can_not_be_taken_away_after_it_has_cooled_off(
    moved: Clock, snapshot: str
) -> None:
    lock: Any = {"SnapshotId": snapshot, "LockMode": "compliance", "LockDuration": 2}
    answer = EC2.lock_snapshot(**lock, CoolOffPeriod=1)
    assert answer["LockState"] == "compliance-cooloff"
    EC2.unlock_snapshot(SnapshotId=snapshot)
    EC2.lock_snapshot(**lock, CoolOffPeriod=1)
    moved.now += 3600

    assert code_of(EC2.unlock_snapshot, SnapshotId=snapshot) == "OperationNotPermitted"
    shorter = code_of(EC2.lock_snapshot, **{**lock, "LockDuration": 1})
    assert shorter == "OperationNotPermitted"


def locked(**asked: Any) -> list[Any]:
    return list(EC2.describe_locked_snapshots(**asked)["Snapshots"])


def test_locks_are_described(moved: Clock, snapshot: str) -> None:
    assert locked() == []
    EC2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=2, CoolOffPeriod=5)
    seen = []
    for seconds in (3, 5 * 3600 - 3, 2 * DAY - 5 * 3600):
        moved.now += seconds
        [lock] = locked(SnapshotIds=[snapshot])
        seen.append(lock["LockState"])

    assert seen == ["compliance-cooloff", "compliance", "expired"]
    assert (lock["SnapshotId"], lock["OwnerId"]) == (snapshot, "123456789012")
    assert (lock["LockDuration"], lock["CoolOffPeriod"]) == (2, 5)
    assert (lock["LockExpiresOn"] - lock["LockCreatedOn"]).days == 2
    assert (lock["CoolOffPeriodExpiresOn"] - lock["LockCreatedOn"]).seconds == 5 * 3600


def test_locks_are_described_by_their_states_and_after_a_while(
    moved: Clock, image: str, snapshot: str
) -> None:
    def states(*wanted: str) -> list[str]:
        filters: list[Any] = [{"Name": "lock-state", "Values": list(wanted)}]
        return [lock["LockState"] for lock in locked(Filters=filters)]

    EC2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=2)
    assert locked() == []
    described(moved, snapshot)
    assert states("governance", "expired") == ["governance"]
    assert states("compliance") == []
    missing = "snap-0123456789abcdef0"
    code = code_of(EC2.describe_locked_snapshots, SnapshotIds=[missing])
    assert code == "InvalidSnapshot.NotFound"
    assert code_of(EC2.describe_locked_snapshots, DryRun=True) == "DryRunOperation"
    EC2.unlock_snapshot(SnapshotId=snapshot)
    described(moved, snapshot)

    assert locked() == []


def test_images_are_found_by_the_snapshots_that_they_use(
    moved: Clock, ebs_instance: str, image: str, snapshot: str
) -> None:
    def using(*snapshots: str, **more: Any) -> set[str]:
        wanted = [{"Name": "block-device-mapping.snapshot-id", "Values": list(snapshots)}]
        found = EC2.describe_images(Filters=wanted, **more)["Images"]  # type: ignore[arg-type]
        return {each["ImageId"] for each in found}

    volume = EC2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    EC2.attach_volume(VolumeId=volume, InstanceId=ebs_instance, Device="/dev/sdf")
    larger = known(moved, create_image(ebs_instance, "larger", NoReboot=True))
    moved.now += 2
    root, data = [each["SnapshotId"] for each in snapshots_of(image_of(larger))]
    assert using(snapshot) == {image}
    assert using(data) == using(root, data) == {larger}
    assert using(snapshot, data) == {image, larger}
    other = registered(moved, data)
    EC2.disable_image(ImageId=other)
    described(moved, other)

    assert using(data) == {larger}
    assert using(data, IncludeDisabled=True) == {larger, other}
    assert using("snap-0123456789abcdef0") == set()


def test_an_attribute_of_an_image_is_described(moved: Clock, image: str) -> None:
    def attribute(name: Any, image_id: str = image) -> Any:
        return EC2.describe_image_attribute(ImageId=image_id, Attribute=name)

    EC2.enable_image_deregistration_protection(ImageId=image)
    described(moved, image)
    protection = attribute("deregistrationProtection")
    assert protection["DeregistrationProtection"]["Value"] == "enabled-without-cooldown"
    assert attribute("launchPermission")["LaunchPermissions"] == []
    missing = "ami-0123456789abcdef0"
    asked: Any = {"ImageId": missing, "Attribute": "description"}
    assert code_of(EC2.describe_image_attribute, **asked) == "InvalidAMIID.NotFound"


def test_one_image_that_is_not_there_fails_the_whole_call(moved: Clock, image: str) -> None:
    missing = "ami-0123456789abcdef0"

    assert code_of(EC2.describe_images, ImageIds=[image, missing]) == "InvalidAMIID.NotFound"


def test_filters_count_where_images_are_named(moved: Clock, image: str) -> None:
    def found(name: str) -> int:
        filters: list[Any] = [{"Name": "name", "Values": [name]}]
        return len(EC2.describe_images(ImageIds=[image], Filters=filters)["Images"])

    assert (found("web"), found("api")) == (1, 0)
