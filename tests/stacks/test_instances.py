"""Instances whose images can't be stored, or not without more; and what is kept of a removal."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from .support import MARK, Aws, created, deleted, json_of, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

CODE = "bz4vuply68xrif53movwbkpnl"
KEY = "arn:aws:kms:us-east-1:123456789012:key/of-the-customer"


def test_an_instance_whose_image_can_not_be_stored_is_not_touched(
    aws: Aws, template: Template
) -> None:
    large, paravirtual = aws.ebs_instance(), _paravirtual(aws)
    _attach(aws, large, Size=4993)
    too_large = f"InstanceId: the volumes of {large} have 5001 GB together"
    neither = "No method supports it. EC2 stores no paravirtual AMIs"

    side_by_side(
        *(
            partial(_refused, aws, template(instance, Method=method, DryRun=dry_run), why)
            for instance, method, why in (
                (large, "StoreImage", too_large),
                (paravirtual, "StoreImage", neither),
                (paravirtual, "BundleInstance", neither),
            )
            for dry_run in (False, True)
        )
    )

    asked = json_of(f"{aws.clients.endpoint}/sandbox/authorizations")
    assert [each for each in asked if each["resource"].endswith((large, paravirtual))] == []
    assert _images_of(aws, large) == _images_of(aws, paravirtual) == []
    assert aws.bundle_requests(paravirtual) == []


def test_what_may_be_why_an_image_is_not_stored_is_named(aws: Aws, template: Template) -> None:
    coded = aws.ebs_instance(image_seconds="1", product_code=CODE)
    encrypted = aws.ebs_instance(image_seconds="1")
    _attach(aws, encrypted, Size=1, Encrypted=True, KmsKeyId=KEY)

    side_by_side(
        partial(_refused, aws, template(coded, Method="StoreImage"), f"product codes {CODE}"),
        partial(_key_not_allowed, aws, template(encrypted, Method="StoreImage", ServiceTimeout=40)),
    )

    assert _images_of(aws, coded) == []


def _key_not_allowed(aws: Aws, body: dict[str, Any]) -> None:
    """EC2's refusal is repeated until the deadline: the permission may come."""
    stack_id = aws.clients.cloudformation.create_stack(
        StackName=f"test-{uuid.uuid4().hex[:12]}",
        TemplateBody=json.dumps(body),
        OnFailure="DO_NOTHING",
    )["StackId"]
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_FAILED"
    reason = aws.failure(stack_id)

    assert f"not authorized to perform: kms:Decrypt on resource: {KEY}" in reason
    assert "Name the KMS key in the application's parameter ImageKmsKeyArns" in reason


def test_what_the_recycle_bin_keeps_of_a_removal_is_in_the_log(
    aws: Aws, template: Template
) -> None:
    mark = uuid.uuid4().hex
    for kind in ("EC2_IMAGE", "EBS_SNAPSHOT"):
        aws.clients.client("rbin").create_rule(
            ResourceType=kind,
            RetentionPeriod={"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"},
            ResourceTags=[{"ResourceTagKey": MARK, "ResourceTagValue": mark}],
        )
    image = {"Tags": [{"Key": MARK, "Value": mark}]}
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")
    stack_id, outputs = created(
        aws, template(instance, Method="StoreImage", OnDelete="Delete", Image=image)
    )
    [snapshot] = aws.snapshots(mark)

    deleted(aws, stack_id)

    assert _named_as_kept(aws, outputs["BundleId"]) == {outputs["BundleId"], snapshot}


def _named_as_kept(aws: Aws, image_id: str) -> set[str]:
    """What the log says that the Recycle Bin keeps, of the removal of an image."""
    pages = aws.clients.client("logs").get_paginator("filter_log_events").paginate
    groups = aws.clients.client("logs").describe_log_groups()["logGroups"]
    lines = [
        json.loads(event["message"])
        for group in groups
        for page in pages(logGroupName=group["logGroupName"])
        for event in page["events"]
        if "Kept by the Recycle Bin until the time given, and billed" in event["message"]
    ]
    [kept] = [line["kept"] for line in lines if image_id in line["kept"]]
    return {*kept}


def _refused(aws: Aws, body: dict[str, Any], why: str) -> None:
    stack_id = aws.create_stack(body)
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE", aws.events(stack_id)
    assert why in aws.failure(stack_id)


def _images_of(aws: Aws, instance: str) -> list[str]:
    of_instance: Any = [{"Name": "source-instance-id", "Values": [instance]}]
    found = aws.clients.ec2.describe_images(Owners=["self"], Filters=of_instance)["Images"]
    return [image["ImageId"] for image in found]


def _attach(aws: Aws, instance: str, **given: Any) -> None:
    ec2 = aws.clients.ec2
    [described] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    zone = described["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, **given)["VolumeId"]
    ec2.attach_volume(InstanceId=instance, VolumeId=volume, Device="/dev/sdf")


def _paravirtual(aws: Aws) -> str:
    """An instance of an image that is registered with no virtualization type."""
    ec2 = aws.clients.ec2
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    mapping: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]

    def registered() -> str | None:
        try:
            return ec2.register_image(
                Name=f"paravirtual-{uuid.uuid4().hex}",
                RootDeviceName="/dev/xvda",
                BlockDeviceMappings=mapping,
            )["ImageId"]
        except ClientError:
            return None

    def launched() -> str | None:
        try:
            run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
        except ClientError:
            return None
        return run["Instances"][0]["InstanceId"]

    image = wait_for(registered, f"{snapshot} to be visible")
    return wait_for(launched, f"{image} to be visible")
