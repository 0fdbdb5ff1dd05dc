"""EC2's events of images on the default bus."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2 import api as ec2
from tests.fixtures import Clock
from tests.sandbox.ec2.clients import EC2, S3, code_of, create_image, described, known, tag
from tests.sandbox.functions.conftest import wait_for

from .support import EventBridge, Queue

ACCOUNT = "123456789012"


@pytest.fixture
def queue(moved: EventBridge) -> Queue:
    """It gets the events of images."""
    return moved.watched({"source": ["aws.ec2"], "detail-type": ["EC2 AMI State Change"]})


@pytest.fixture
def instance(moved: EventBridge) -> str:
    return ec2.run_ebs_instance(EC2)


def states(bridge: EventBridge, queue: Queue, count: int = 1) -> set[tuple[str, str, str]]:
    """The images, states and messages of the next so many events."""
    details: list[dict[str, Any]] = [each["detail"] for each in bridge.events(queue, count)]
    return {(each["ImageId"], each["State"], each["ErrorMessage"]) for each in details}


def state(image_id: str) -> str:
    [image] = EC2.describe_images(ImageIds=[image_id])["Images"]
    return image["State"]


def test_an_image_that_is_available_is_an_event_of_the_guides_form(
    moved: EventBridge, queue: Queue, instance: str, clock: Clock
) -> None:
    clock.now = 1_800_000_000.0
    image = create_image(instance)
    clock.advance(2)
    ec2.advance_all()
    assert state(described(clock, image)) == "available"

    [event] = moved.events(queue)

    assert event.pop("id") != event["detail"].pop("RequestId") != ""
    assert event == {
        "version": "0",
        "detail-type": "EC2 AMI State Change",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": "2027-01-15T08:00:02Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1::image/{image}"],
        "detail": {"ImageId": image, "State": "available", "ErrorMessage": ""},
    }


def test_an_image_that_fails_is_an_event_with_the_reason(
    moved: EventBridge, queue: Queue, instance: str, clock: Clock
) -> None:
    tag(instance, image_outcome="failed", image_error="Client.InternalError: The disk is torn")
    image = create_image(instance)
    clock.advance(2)
    assert state(described(clock, image)) == "failed"

    assert states(moved, queue) == {(image, "failed", "The disk is torn")}


def test_an_image_that_ends_is_an_event_and_one_that_stays_is_none(
    moved: EventBridge, queue: Queue, instance: str, clock: Clock
) -> None:
    tag(instance, image_outcome="hang")
    image = known(clock, create_image(instance))

    assert code_of(EC2.deregister_image, ImageId=image, DryRun=True) == "DryRunOperation"
    EC2.deregister_image(ImageId=image)
    assert code_of(EC2.deregister_image, ImageId=image) == "InvalidAMIID.Unavailable"

    assert states(moved, queue) == {(image, "deregistered", "")}


def test_an_image_that_is_disabled_and_enabled_is_two_events(
    moved: EventBridge, queue: Queue, clock: Clock
) -> None:
    image = EC2.register_image(Name="web")["ImageId"]
    assert states(moved, queue) == {(image, "available", "")}

    known(clock, image)
    EC2.disable_image(ImageId=image)
    assert states(moved, queue) == {(image, "disabled", "")}
    EC2.enable_image(ImageId=image)
    assert states(moved, queue) == {(image, "available", "")}


def test_an_image_that_is_copied_or_registered_from_a_bundle_is_an_event(
    moved: EventBridge, queue: Queue, clock: Clock
) -> None:
    S3.create_bucket(Bucket="bundles")
    instance = ec2.run_windows_instance_store(EC2)
    EC2.bundle_instance(InstanceId=instance, Storage={"S3": {"Bucket": "bundles", "Prefix": "web"}})
    clock.advance(10)
    ec2.advance_all()

    made = EC2.register_image(Name="web", ImageLocation="bundles/web.manifest.xml")["ImageId"]
    copy = EC2.copy_image(Name="copy", SourceImageId=made, SourceRegion="us-east-1")["ImageId"]

    assert states(moved, queue, 2) == {(made, "available", ""), (copy, "available", "")}


def test_images_of_others_are_no_events(moved: EventBridge, queue: Queue) -> None:
    EC2.disable_image(ImageId=ec2.LINUX_EBS_IMAGE)
    EC2.enable_image(ImageId=ec2.LINUX_EBS_IMAGE)

    image = EC2.register_image(Name="web")["ImageId"]

    assert states(moved, queue) == {(image, "available", "")}


def test_a_call_does_not_fail_where_nobody_takes_its_event(moved: EventBridge) -> None:
    rule = moved.rule({"source": ["aws.ec2"]}, {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:none"})

    assert EC2.register_image(Name="web")["ImageId"]

    wait_for(lambda: moved.metric("FailedInvocations", rule.rpartition("/")[2]))
