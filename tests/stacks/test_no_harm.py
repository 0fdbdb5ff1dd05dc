"""What is removed, and in which order; what others have changed meanwhile."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from .support import Aws, created, deleted, side_by_side, wait_for
from .test_store_image import NOTHING, SOON, There, stored

Template = Callable[..., dict[str, Any]]

REQUEST_TAG = "cfn-instance-bundle:request-id"


def test_what_can_not_be_removed_stays_whole_until_it_can(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_protected_image, aws, template),
        partial(_locked_snapshot, aws, template),
        partial(_prefix_with_a_leading_slash, aws, template),
        partial(_manifest_of_over_a_mebibyte, aws, template),
        partial(_manifest_that_names_others, aws, template),
    )


def test_what_is_not_ours_stays(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_foreign_snapshot_with_our_tag, aws, template),
        partial(_snapshot_that_another_image_uses, aws, template),
        partial(_snapshot_without_our_tag, aws, template),
        partial(_part_that_another_tool_uploads, aws, template, "Delete"),
        partial(_part_that_another_tool_uploads, aws, template, "Retain"),
    )


def test_what_others_have_changed_is_answered_truly_and_soon(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_deregistered_while_it_is_stored, aws, template),
        partial(_deregistered_then_described_again, aws, template),
        partial(_archived_by_its_owner, aws, template),
    )


def test_the_reason_at_the_deadline_says_what_goes_on_and_how_to_see_its_end(
    aws: Aws, template: Template
) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_outcome="hang")
    stack_id = aws.create_stack(stored(template, instance, ServiceTimeout="30"))
    [image] = wait_for(lambda: aws.images(instance) or None, "the image")
    command = f"aws ec2 describe-store-image-tasks --image-ids {image['ImageId']}"

    assert aws.at_rest(stack_id)["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
    reason = aws.failure(stack_id)
    assert f"EC2 can't cancel the storing of an image, and `{command}`" in reason
    assert "cancel was requested" not in reason


def delete_failed(aws: Aws, stack_id: str) -> str:
    aws.clients.cloudformation.delete_stack(StackName=stack_id)
    assert aws.at_rest(stack_id)["StackStatus"] == "DELETE_FAILED", aws.events(stack_id)
    return [
        event["ResourceStatusReason"]
        for event in aws.events(stack_id)
        if event["ResourceStatus"] == "DELETE_FAILED" and event["LogicalResourceId"] == "Bundle"
    ][-1]


def logged(aws: Aws, *texts: str) -> bool:
    lines = aws.clients.client("logs").filter_log_events(logGroupName=aws.ready["log_group"])
    return any(all(text in line["message"] for text in texts) for line in lines["events"])


def _stored(aws: Aws, template: Template) -> tuple[str, str, There, dict[str, str]]:
    """A stack of a stored image that its Delete removes; its ID, the instance, what there is."""
    instance = aws.ebs_instance(**SOON)
    stack_id, outputs = created(aws, stored(template, instance, OnDelete="Delete"))
    return stack_id, instance, There.of(aws, instance), outputs


def _protected_image(aws: Aws, template: Template) -> None:
    stack_id, instance, there, outputs = _stored(aws, template)
    aws.clients.ec2.enable_image_deregistration_protection(ImageId=outputs["Ref"])

    reason = delete_failed(aws, stack_id)

    assert f"the AMI {outputs['Ref']} is protected from deregistration" in reason
    assert There.of(aws, instance) == there
    aws.clients.ec2.disable_image_deregistration_protection(ImageId=outputs["Ref"])
    deleted(aws, stack_id)
    assert There.of(aws, instance) == NOTHING


def _locked_snapshot(aws: Aws, template: Template) -> None:
    stack_id, instance, there, outputs = _stored(aws, template)
    snapshot = outputs["SnapshotIds"]
    aws.clients.ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)

    reason = delete_failed(aws, stack_id)

    assert f"the snapshots {snapshot} are locked" in reason
    assert There.of(aws, instance) == there
    aws.clients.ec2.unlock_snapshot(SnapshotId=snapshot)
    deleted(aws, stack_id)
    assert There.of(aws, instance) == NOTHING


def _prefix_with_a_leading_slash(aws: Aws, template: Template) -> None:
    prefix = f"/lead-{uuid.uuid4().hex}"
    stack_id, _ = created(aws, template(aws.instance(seconds="1"), prefix, OnDelete="Delete"))
    assert f"{prefix}.manifest.xml" in aws.keys(prefix)

    deleted(aws, stack_id)

    assert aws.keys(prefix) == []


def _manifest_of_over_a_mebibyte(aws: Aws, template: Template) -> None:
    """A bundle of 11 GB, in parts of 10 MB, whose names are as long as can be."""
    folder = f"long/{uuid.uuid4().hex}"
    prefix = f"{folder}/{'p' * (900 - len(folder) - 1)}"
    instance = aws.instance(seconds="1", parts="1127")
    stack_id, _ = created(aws, template(instance, prefix, OnDelete="Delete"))
    s3, bucket = aws.clients.s3, aws.ready["bucket"]
    manifest = s3.head_object(Bucket=bucket, Key=f"{prefix}.manifest.xml")
    assert manifest["ContentLength"] > 1024 * 1024

    deleted(aws, stack_id)

    assert s3.list_objects_v2(Bucket=bucket, Prefix=folder)["KeyCount"] == 0


def _manifest_that_names_others(aws: Aws, template: Template) -> None:
    """Somebody has replaced the manifest between its end and its answer; it has our ETag."""
    prefix = f"named/{uuid.uuid4().hex}"
    stack_id, _ = created(aws, template(aws.instance(seconds="1"), prefix, OnDelete="Delete"))
    manifest = {"Bucket": aws.ready["bucket"], "Key": f"{prefix}.manifest.xml"}
    aws.clients.s3.put_object(Body=b"<manifest/>", **manifest)  # type: ignore[arg-type]

    deleted(aws, stack_id)

    assert f"{prefix}.manifest.xml" in aws.keys(prefix)
    assert logged(aws, "The objects there are not this bundle's", prefix)


def _foreign_snapshot_with_our_tag(aws: Aws, template: Template) -> None:
    stack_id, instance, _, outputs = _stored(aws, template)
    ec2 = aws.clients.ec2
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    [image] = ec2.describe_images(ImageIds=[outputs["Ref"]])["Images"]
    [ours] = [tag for tag in image["Tags"] if tag["Key"] == REQUEST_TAG]
    foreign = ec2.create_snapshot(
        VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": [ours]}]
    )["SnapshotId"]

    deleted(aws, stack_id)

    assert There.of(aws, instance) == NOTHING
    assert ec2.describe_snapshots(SnapshotIds=[foreign])["Snapshots"]


def _snapshot_that_another_image_uses(aws: Aws, template: Template) -> None:
    stack_id, instance, _, outputs = _stored(aws, template)
    snapshot = outputs["SnapshotIds"]
    aws.clients.ec2.register_image(
        Name=f"copy-{uuid.uuid4().hex}",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )

    deleted(aws, stack_id)

    assert There.of(aws, instance) == There(snapshots=frozenset({snapshot}))
    assert logged(aws, "Snapshots are kept", snapshot)


def _snapshot_without_our_tag(aws: Aws, template: Template) -> None:
    """The role may delete only what has the tag."""
    stack_id, instance, _, outputs = _stored(aws, template)
    snapshot = outputs["SnapshotIds"]
    aws.clients.ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": REQUEST_TAG}])

    deleted(aws, stack_id)

    assert There.of(aws, instance) == There(snapshots=frozenset({snapshot}))
    assert logged(aws, "Snapshots are kept", snapshot)


def _part_that_another_tool_uploads(aws: Aws, template: Template, on_delete: str) -> None:
    prefix = f"shared/{uuid.uuid4().hex}"
    instance = aws.instance(outcome="hang")
    stack_id = aws.create_stack(template(instance, prefix, OnDelete=on_delete))
    wait_for(lambda: aws.tasks(instance) or None, "the task")
    part = f"{prefix}.part.17"
    aws.clients.s3.put_object(Bucket=aws.ready["bucket"], Key=part, Body=b"another tool's")

    deleted(aws, stack_id)

    assert aws.keys(prefix) == [part]


def _deregistered_while_it_is_stored(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_seconds="40")
    stack_id = aws.create_stack(stored(template, instance))
    [image] = wait_for(lambda: aws.images(instance) or None, "the image")
    image_id = image["ImageId"]
    wait_for(lambda: aws.store_tasks([image_id]) or None, "the store task")
    aws.clients.ec2.deregister_image(ImageId=image_id)

    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)
    outputs = aws.outputs(stack)
    assert (outputs["Ref"], outputs["ImageId"], outputs["ImageArn"]) == (image_id, "", "")
    assert aws.keys(image_id) == [f"{image_id}.bin"]


def _deregistered_then_described_again(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(**SOON)
    stack_id, outputs = created(aws, stored(template, instance, {"Description": "one"}))
    aws.clients.ec2.deregister_image(ImageId=outputs["Ref"])

    aws.update_stack(stack_id, stored(template, instance, {"Description": "two"}))

    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", aws.events(stack_id)
    deleted(aws, stack_id)


def _archived_by_its_owner(aws: Aws, template: Template) -> None:
    """The AMI and the objects of a bundle are gone, and nothing about `Image` changes."""
    prefix = f"archived/{uuid.uuid4().hex}"
    instance, name = aws.instance(seconds="1"), f"archived-{uuid.uuid4().hex}"
    body = template(instance, prefix, Image={"Name": name})
    body["Outputs"]["ImageId"] = {"Value": {"Fn::GetAtt": ["Bundle", "ImageId"]}}
    stack_id, outputs = created(aws, body)
    aws.clients.ec2.deregister_image(ImageId=outputs["ImageId"])
    for key in aws.keys(prefix):
        aws.clients.s3.delete_object(Bucket=aws.ready["bucket"], Key=key)

    body["Resources"]["Bundle"]["Properties"]["ServiceTimeout"] = "600"
    aws.update_stack(stack_id, body)

    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    named = [{"Name": "name", "Values": [name]}]
    assert aws.clients.ec2.describe_images(Filters=named)["Images"] == []  # type: ignore[arg-type]
