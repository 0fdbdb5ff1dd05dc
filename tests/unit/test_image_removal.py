"""An AMI and its snapshots are removed in an order that can fail safely."""

import time
from typing import Any

import pytest

from instance_bundle import aws
from instance_bundle.aws import image_removal, images
from instance_bundle.aws.images import REQUEST_TAG
from instance_bundle.errors import Denied, Doubtful, PassingFault, Refused, Unsuitable
from sandbox.ec2 import recycle_bin
from sandbox.ec2.recycle_bin import IMAGE, SNAPSHOT, Rule
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import image_of

from .test_images import DENIAL, FAULT, THROTTLE, failing, instance, own_images

__all__ = ["instance"]

OURS = [{"Key": REQUEST_TAG, "Value": "r1"}]


def made(instance: str, clock: Clock) -> tuple[str, list[str]]:
    """An AMI of ours that is available; its ID, and those of its snapshots."""
    tagged: Any = [{"ResourceType": kind, "Tags": OURS} for kind in ("image", "snapshot")]
    image_id = aws.ec2().create_image(InstanceId=instance, Name="web", TagSpecifications=tagged)[
        "ImageId"
    ]
    clock.now += 100
    aws.ec2().describe_images()
    return image_id, sorted(images.snapshots_in(image_of(image_id)))


def left(snapshot_ids: list[str]) -> list[str]:
    return sorted(images.snapshots([{"Name": "snapshot-id", "Values": snapshot_ids}]))


def copied(snapshot_id: str, clock: Clock) -> str:
    """Another AMI that uses a snapshot."""
    mapping: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
    image_id = aws.ec2().register_image(
        Name="other", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping
    )["ImageId"]
    clock.now += 10
    return image_id


def removed(image_id: str, snapshot_ids: list[str]) -> None:
    image_removal.require_removable(image_id, snapshot_ids)
    image_removal.remove(image_id, snapshot_ids)


def test_all_of_it_is_removed_and_that_can_be_repeated(instance: str, clock: Clock) -> None:
    image_id, snapshot_ids = made(instance, clock)
    assert images.snapshots_of(image_id, "r1", []) == snapshot_ids

    for _ in range(2):
        removed(image_id, snapshot_ids)
        assert (own_images(), left(snapshot_ids)) == ([], [])


def test_a_protected_image_is_refused_before_anything_is_removed(
    instance: str, clock: Clock
) -> None:
    image_id, snapshot_ids = made(instance, clock)
    aws.ec2().enable_image_deregistration_protection(ImageId=image_id)

    with pytest.raises(Doubtful, match=f"^OnDelete: the AMI {image_id} is protected .*Disable"):
        image_removal.require_removable(image_id, snapshot_ids)

    aws.ec2().disable_image_deregistration_protection(ImageId=image_id)
    removed(image_id, snapshot_ids)
    assert left(snapshot_ids) == []


def test_a_locked_snapshot_is_refused_before_anything_is_removed(
    instance: str, clock: Clock
) -> None:
    image_id, snapshot_ids = made(instance, clock)
    aws.ec2().lock_snapshot(SnapshotId=snapshot_ids[0], LockMode="governance", LockDuration=1)

    with pytest.raises(Doubtful, match=f"{snapshot_ids[0]} are locked, and nothing was removed"):
        image_removal.require_removable(image_id, snapshot_ids)


def test_where_locks_can_not_be_read_removal_is_tried(instance: str, clock: Clock) -> None:
    image_id, snapshot_ids = made(instance, clock)

    with failing("DescribeLockedSnapshots", DENIAL):
        removed(image_id, snapshot_ids)

    assert left(snapshot_ids) == []


def test_a_role_that_may_not_deregister_removes_nothing(instance: str, clock: Clock) -> None:
    image_id, snapshot_ids = made(instance, clock)

    with failing("DeregisterImage", DENIAL), pytest.raises(Denied, match="Allow ec2:Deregister"):
        image_removal.require_removable(image_id, snapshot_ids)

    assert own_images() == [image_id]


def test_an_image_that_lost_its_tag_is_not_removed_and_the_reason_says_that(
    instance: str, clock: Clock
) -> None:
    image_id, snapshot_ids = made(instance, clock)
    aws.ec2().delete_tags(Resources=[image_id], Tags=[{"Key": REQUEST_TAG}])
    clock.now += 2

    with failing("DeregisterImage", DENIAL), pytest.raises(Unsuitable, match="without the tag"):
        image_removal.require_removable(image_id, snapshot_ids)

    assert own_images() == [image_id]


def test_a_snapshot_that_another_image_uses_is_kept(
    instance: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    image_id, [first] = made(instance, clock)
    other = copied(first, clock)

    for _ in range(2):
        removed(image_id, [first])

    assert (own_images(), left([first])) == ([other], [first])
    assert "Snapshots are kept" in caplog.text


def test_a_snapshot_that_lost_its_tag_is_kept_if_the_role_may_not_delete_it(
    instance: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    image_id, [first] = made(instance, clock)
    aws.ec2().deregister_image(ImageId=image_id)
    aws.ec2().delete_tags(Resources=[first], Tags=[{"Key": REQUEST_TAG}])
    clock.now += 10

    with failing("DeleteSnapshot", DENIAL):
        image_removal.remove(image_id, [first])

    assert left([first]) == [first]
    assert "The snapshot has lost its tag" in caplog.text


def test_a_snapshot_that_has_the_tag_is_not_kept_silently(instance: str, clock: Clock) -> None:
    image_id, snapshot_ids = made(instance, clock)
    aws.ec2().deregister_image(ImageId=image_id)
    clock.now += 10

    with failing("DeleteSnapshot", DENIAL), pytest.raises(Denied):
        image_removal.remove(image_id, snapshot_ids)


def test_a_tag_alone_makes_no_snapshot_ours(instance: str, clock: Clock) -> None:
    image_id, snapshot_ids = made(instance, clock)
    volume = aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    foreign = aws.ec2().create_snapshot(VolumeId=volume)["SnapshotId"]
    aws.ec2().create_tags(Resources=[foreign], Tags=OURS)  # type: ignore[arg-type]
    clock.now += 10
    assert images.snapshots_of(image_id, "r1", []) == snapshot_ids

    aws.ec2().deregister_image(ImageId=image_id)
    clock.now += 10

    assert images.snapshots_of(image_id, "r1", []) == snapshot_ids
    removed(image_id, snapshot_ids)
    assert left([foreign]) == [foreign]


def test_it_is_not_removed_while_ec2_lists_it(
    instance: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, snapshot_ids = made(instance, clock)
    monkeypatch.setattr(images, "delete_snapshot", lambda _: None)
    monkeypatch.setattr(images, "deregister", lambda *_, **__: {})

    with pytest.raises(PassingFault, match=f"EC2 still lists {image_id}") as raised:
        image_removal.remove(image_id, snapshot_ids)
    assert not isinstance(raised.value, Refused)


NAMED = "Kept by the Recycle Bin until the time given, and billed"
BIN_CALLS = ("ListImagesInRecycleBin", "ListSnapshotsInRecycleBin")


def keep(resource_type: str, days: int) -> None:
    """A retention rule."""
    recycle_bin.of("123456789012", "us-east-1").rules.append(Rule(resource_type, days))


def warned(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What was said to be kept."""
    return [vars(each)["kept"] for each in caplog.records if each.getMessage() == NAMED]


def test_what_the_recycle_bin_keeps_is_named_with_the_time_at_which_it_leaves(
    instance: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keep(IMAGE, days=1)
    keep(SNAPSHOT, days=2)
    image_id, [first] = made(instance, clock)

    removed(image_id, [first])

    left_at = [time.strftime("%FT%TZ", time.gmtime(clock.now + 86400 * days)) for days in (1, 2)]
    assert warned(caplog) == [{image_id: left_at[0], first: left_at[1]}]


def test_of_what_the_recycle_bin_keeps_only_that_is_named(
    instance: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    image_id, [first] = made(instance, clock)
    removed(image_id, [first])
    assert warned(caplog) == []
    assert "The Recycle Bin is not known" not in caplog.text

    keep(SNAPSHOT, days=2)
    second_id, [second] = made(instance, clock)
    image_removal.remove(second_id, [first, second])
    assert [[*each] for each in warned(caplog)] == [[second]]
    assert "The Recycle Bin is not known" not in caplog.text


@pytest.mark.parametrize("call", BIN_CALLS)
@pytest.mark.parametrize("fault", [DENIAL, FAULT, THROTTLE])
def test_a_recycle_bin_that_can_not_be_read_holds_nothing(
    instance: str, clock: Clock, caplog: pytest.LogCaptureFixture, call: str, fault: Exception
) -> None:
    image_id, snapshot_ids = made(instance, clock)

    with failing(call, fault):
        removed(image_id, snapshot_ids)

    assert (own_images(), left(snapshot_ids)) == ([], [])
    assert "The Recycle Bin is not known" in caplog.text
