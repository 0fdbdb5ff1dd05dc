"""What is seen of an instance before anything is done with it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from instance_bundle import aws
from instance_bundle.aws import instance
from instance_bundle.errors import Doubtful, NotAllowed, NotSuited, PassingFault, Unsuitable
from instance_bundle.request.properties import MethodName
from instance_bundle.settings import Tag
from sandbox.ec2 import api as ec2
from sandbox.ec2.visibility import DELAY
from tests.fixtures import Clock

from .test_images import DENIAL, FAULT, failing, noting_calls

Launch = Callable[[str], str]


@pytest.fixture
def launch(clock: Clock) -> Iterator[Launch]:
    """Runs an instance of a kind; its ID."""
    kinds: dict[str, Callable[[], str]] = {
        "Windows on EBS": lambda: ec2.run_ebs_instance(aws.ec2()),
        "Linux on EBS": lambda: run(ec2.LINUX_EBS_IMAGE),
        "Windows on instance store": lambda: ec2.run_windows_instance_store(aws.ec2()),
        "Linux on instance store": lambda: run(image_of_a_bundle(clock)),
        "paravirtual on EBS": lambda: run(paravirtual_image(clock)),
    }
    with ec2.install(clock), mock_aws():
        yield lambda kind: kinds[kind]()


def run(image: str) -> str:
    launched = aws.ec2().run_instances(ImageId=image, MinCount=1, MaxCount=1)
    return launched["Instances"][0]["InstanceId"]


def image_of_a_bundle(clock: Clock) -> str:
    """An image that is registered from a bundle, and of which nothing says that it is Windows."""
    aws.s3().create_bucket(Bucket="images")
    aws.ec2().bundle_instance(
        InstanceId=ec2.run_windows_instance_store(aws.ec2()),
        Storage={"S3": {"Bucket": "images", "Prefix": "web"}},
    )
    clock.now += 10
    aws.ec2().describe_bundle_tasks()
    registered = aws.ec2().register_image(Name="linux", ImageLocation="images/web.manifest.xml")
    clock.now += 2 * DELAY
    return registered["ImageId"]


def paravirtual_image(clock: Clock) -> str:
    """An image of a snapshot, registered with no virtualization type."""
    volume = aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    snapshot = aws.ec2().create_snapshot(VolumeId=volume)["SnapshotId"]
    clock.now += 100
    mapping: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
    registered = aws.ec2().register_image(
        Name="old", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping
    )
    clock.now += 2 * DELAY
    return registered["ImageId"]


def attach(instance_id: str, **given: Any) -> str:
    """Attach another volume; its ID."""
    volume = aws.ec2().create_volume(AvailabilityZone="us-east-1a", **given)["VolumeId"]
    aws.ec2().attach_volume(InstanceId=instance_id, VolumeId=volume, Device="/dev/sdf")
    return volume


def tag(clock: Clock, instance_id: str, key: str, value: str) -> None:
    """Tag an instance, so that it can be seen."""
    aws.ec2().create_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])
    clock.now += DELAY


@pytest.mark.parametrize(
    ("kind", "is_ebs_backed", "is_windows", "method"),
    [
        ("Windows on EBS", True, True, "StoreImage"),
        ("Linux on EBS", True, False, "StoreImage"),
        ("Windows on instance store", False, True, "BundleInstance"),
        ("Linux on instance store", False, False, None),
        ("paravirtual on EBS", True, False, None),
    ],
)
def test_an_instance_is_seen_with_the_method_that_suits_it(
    launch: Launch,
    clock: Clock,
    kind: str,
    is_ebs_backed: bool,
    is_windows: bool,
    method: MethodName | None,
) -> None:
    instance_id = launch(kind)
    tag(clock, instance_id, "of", "web")
    seen = instance.describe(instance_id)

    assert seen.id == instance_id
    assert (seen.is_ebs_backed, seen.is_windows) == (is_ebs_backed, is_windows)
    assert seen.tags == {"of": "web"}
    assert seen.method == method


@pytest.mark.parametrize(
    ("kind", "method", "advice"),
    [
        ("Windows on instance store", "StoreImage", "Use `Method: BundleInstance`"),
        ("Linux on instance store", "StoreImage", "No method supports it. Run the AMI tools"),
        ("Windows on EBS", "BundleInstance", "Use `Method: StoreImage`"),
        ("Linux on EBS", "BundleInstance", "Use `Method: StoreImage`"),
        ("Linux on instance store", "BundleInstance", "No method supports it"),
        ("paravirtual on EBS", "StoreImage", "only HVM .*No method supports it. EC2 stores no"),
        ("paravirtual on EBS", "BundleInstance", "No method supports it. EC2 stores no"),
    ],
)
def test_an_unsuitable_instance_is_refused_with_the_method_that_supports_it(
    launch: Launch, kind: str, method: MethodName, advice: str
) -> None:
    instance_id = launch(kind)
    with pytest.raises(NotSuited, match=f"does not support {instance_id}.*{advice}"):
        instance.require_suitable(instance_id, method, None)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("Windows on EBS", "StoreImage"),
        ("Linux on EBS", "StoreImage"),
        ("Windows on instance store", "BundleInstance"),
    ],
)
def test_a_kind_that_suits_is_let_through_with_the_tag_only(
    launch: Launch, clock: Clock, kind: str, method: MethodName
) -> None:
    instance_id, demanded = launch(kind), Tag("image", "yes")
    with pytest.raises(NotAllowed, match="does not have the tag image=yes"):
        instance.require_suitable(instance_id, method, demanded)
    for value in ("no", "YES", ""):
        tag(clock, instance_id, "image", value)
        with pytest.raises(NotAllowed):
            instance.require_suitable(instance_id, method, demanded)

    tag(clock, instance_id, "image", "yes")
    instance.require_suitable(instance_id, method, demanded)


def test_the_tag_is_checked_before_the_instance_type(launch: Launch) -> None:
    with pytest.raises(NotAllowed):
        instance.require_suitable(launch("Windows on EBS"), "BundleInstance", Tag("image", "yes"))


@pytest.mark.parametrize("demanded", [None, Tag("image", "yes")])
def test_a_missing_instance_is_reported_first(launch: Launch, demanded: Tag | None) -> None:
    with pytest.raises(Doubtful, match="there is no such instance"):
        instance.require_suitable("i-0123456789abcdef0", "StoreImage", demanded)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("Windows on instance store", "BundleInstance"), ("Linux on EBS", "StoreImage")],
)
def test_a_terminated_instance_is_refused_at_once(
    launch: Launch, kind: str, method: MethodName
) -> None:
    instance_id = launch(kind)
    aws.ec2().terminate_instances(InstanceIds=[instance_id])

    with pytest.raises(Unsuitable, match=f"{instance_id} is terminated, and {method} accepts"):
        instance.require_suitable(instance_id, method, None)


def test_a_stopped_instance_is_suitable_for_an_image_only(launch: Launch) -> None:
    instance_id = launch("Linux on EBS")
    aws.ec2().stop_instances(InstanceIds=[instance_id])

    instance.require_suitable(instance_id, "StoreImage", None)


def test_an_instance_that_is_starting_may_run_soon(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance_id = launch("Linux on EBS")
    described = instance.describe(instance_id)
    monkeypatch.setattr(instance, "describe", lambda _: replace(described, state="pending"))

    with pytest.raises(Doubtful, match="is pending, and StoreImage accepts running or stopped"):
        instance.require_suitable(instance_id, "StoreImage", None)


def test_volumes_that_are_too_large_together_are_refused(launch: Launch, clock: Clock) -> None:
    """8 GB are those of the root volume."""
    instance_id = launch("Linux on EBS")
    fits = attach(instance_id, Size=4992)
    clock.now += DELAY
    instance.require_suitable(instance_id, "StoreImage", None)

    aws.ec2().detach_volume(VolumeId=fits, InstanceId=instance_id)
    attach(instance_id, Size=4993)
    clock.now += DELAY
    with pytest.raises(Unsuitable, match=f"^InstanceId: the volumes of {instance_id} have 5001 GB"):
        instance.require_suitable(instance_id, "StoreImage", None)


def test_volumes_that_may_not_be_described_refuse_nothing(
    launch: Launch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    instance_id = launch("Linux on EBS")
    attach(instance_id, Size=4993)
    clock.now += DELAY

    with failing("DescribeVolumes", DENIAL):
        instance.require_suitable(instance_id, "StoreImage", None)
    assert "The volumes are not known" in caplog.text

    with failing("DescribeVolumes", FAULT), pytest.raises(PassingFault):
        instance.require_suitable(instance_id, "StoreImage", None)


def test_volumes_are_of_no_concern_to_a_bundle(launch: Launch) -> None:
    with noting_calls() as made:
        instance.require_suitable(launch("Windows on instance store"), "BundleInstance", None)
    assert "DescribeVolumes" not in made


KEY = "arn:aws:kms:us-east-1:123456789012:key/of-the-customer"


def test_product_codes_and_keys_refuse_nothing_and_are_named_in_a_failure(
    launch: Launch, clock: Clock
) -> None:
    instance_id = launch("Linux on EBS")
    assert instance.doubts(instance_id) == ""
    attach(instance_id, Size=1, Encrypted=True, KmsKeyId=KEY)
    tag(clock, instance_id, "sandbox:product-code", "bz4vuply68xrif53movwbkpnl")

    instance.require_suitable(instance_id, "StoreImage", None)
    doubts = instance.doubts(instance_id)

    assert f"{instance_id} has the product codes bz4vuply68xrif53movwbkpnl" in doubts
    assert f"volumes of {instance_id} are encrypted by {KEY}. Unless that" in doubts
    with failing("DescribeVolumes", DENIAL):
        assert instance.doubts(instance_id) == ""
