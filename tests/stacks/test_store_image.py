"""Whole stacks of `Method: StoreImage`: an image, its snapshots, and the object of it."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from .support import MARK, Aws, created, deleted, side_by_side, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

Template = Callable[..., dict[str, Any]]

ATTRIBUTES = (
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime", "ImageId"),
    *("ImageArn", "SnapshotIds"),
)
SOON = {"image_seconds": "1", "store_seconds": "1"}


@dataclass(frozen=True)
class There:
    """What there is of what was made of an instance.

    Attributes:
        images: their IDs, whatever their state.
        snapshots: their IDs.
        objects: their keys.
    """

    images: frozenset[str] = frozenset()
    snapshots: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()

    @classmethod
    def of(cls, aws: Aws, instance: str) -> "There":
        return cls(
            frozenset(image["ImageId"] for image in aws.images(instance)),
            frozenset(aws.snapshots(instance)),
            frozenset(
                key for key in aws.keys("ami-") if _tags_if_there(aws, key).get(MARK) == instance
            ),
        )


NOTHING = There()


def object_tags(aws: Aws, key: str) -> dict[str, str]:
    tagging = aws.clients.s3.get_object_tagging(Bucket=aws.ready["bucket"], Key=key)
    return {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}


def _tags_if_there(aws: Aws, key: str) -> dict[str, str]:
    """The tags of an object, which may be another test's and gone by now."""
    try:
        return object_tags(aws, key)
    except aws.clients.s3.exceptions.NoSuchKey:
        return {}


def stored(
    template: Template,
    instance: str,
    image: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """A template of one stored image, which is marked as one of the instance."""
    marked = {MARK: instance} | dict(tags or {})
    image_tags = [{"Key": key, "Value": value} for key, value in marked.items()]
    tagged = {"Tags": image_tags, "ObjectTags": [{"Key": MARK, "Value": instance}]}
    body = template(instance, Method="StoreImage", Image=tagged | dict(image or {}), **properties)
    body["Outputs"] = {name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in ATTRIBUTES} | {
        "Ref": {"Value": {"Ref": "Bundle"}}
    }
    return body


def tags_of(aws: Aws, resource_id: str) -> dict[str, str]:
    """The tags of an image or a snapshot, without the function's own."""
    found = aws.clients.ec2.describe_tags(
        Filters=[{"Name": "resource-id", "Values": [resource_id]}]
    )["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found if ":" not in tag["Key"]}


def test_an_image_is_made_stored_changed_and_removed(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_every_attribute_and_all_tags, aws, template),
        partial(_made_name, aws, template),
        partial(_dry_run, aws, template),
        partial(_bucket_from_before_2018, aws, template),
        partial(_removal_of_all_and_nothing_else, aws, template),
        partial(_removal_and_anothers_object, aws, template),
        partial(_description_and_tags, aws, template),
        partial(_change_in_place_that_is_rolled_back, aws, template),
        partial(_replacement, aws, template, {"Name": "one"}, {"Name": "two"}),
    )


@pytest.mark.nightly
def test_a_change_of_no_reboot_replaces_the_image(aws: Aws, template: Template) -> None:
    _replacement(aws, template, {}, {"NoReboot": True})


def test_an_image_that_does_not_complete_rolls_back_and_leaves_nothing(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        *(partial(_failure, aws, template, *failing) for failing in FAILING),
        partial(_deleted_while_its_image_is_pending, aws, template),
        partial(_deleted_while_its_image_is_stored, aws, template),
    )


@pytest.mark.nightly
def test_an_image_that_hangs_is_given_up_before_cloudformation_does(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_image_that_hangs, aws, template), partial(_store_task_that_hangs, aws, template)
    )


def test_what_a_method_does_not_suit_is_refused(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_wrong_kind, aws, template, "BundleInstance"),
        partial(_wrong_kind, aws, template, "StoreImage"),
        partial(_properties_of_the_other_method, aws, template),
        partial(_image_of_the_other_method, aws, template, "BundleInstance", "NoReboot", True),
        partial(_image_of_the_other_method, aws, template, "StoreImage", "Architecture", "x86_64"),
    )


# What is made


def _every_attribute_and_all_tags(aws: Aws, template: Template) -> None:
    instance, bucket = aws.ebs_instance(**SOON), aws.ready["bucket"]
    image = {"Name": f"{instance}-web", "Description": "The web server"}

    _, outputs = created(aws, stored(template, instance, image, {"Team": "a/b"}))

    image_id, key = outputs["Ref"], f"{outputs['Ref']}.bin"
    [snapshot] = aws.snapshots(instance)
    assert image_id.startswith("ami-")
    assert {name: outputs[name] for name in ATTRIBUTES if "Time" not in name} == {
        "BundleId": image_id,
        "InstanceId": instance,
        "Bucket": bucket,
        "Prefix": "",
        "S3Uri": f"s3://{bucket}/{key}",
        "ManifestLocation": f"{bucket}/{key}",
        "State": "complete",
        "Progress": "100%",
        "ImageId": image_id,
        "ImageArn": f"arn:aws:ec2:us-east-1::image/{image_id}",
        "SnapshotIds": snapshot,
    }
    assert outputs["StartTime"] <= outputs["UpdateTime"]
    assert outputs["StartTime"].endswith("Z")

    there = There.of(aws, instance)
    assert there == There(frozenset({image_id}), frozenset({snapshot}), frozenset({key}))
    wanted = {MARK: instance, "Team": "a/b"}
    assert tags_of(aws, image_id) == tags_of(aws, snapshot) == wanted
    assert object_tags(aws, key).keys() == {MARK, "cfn-instance-bundle:request-id"}
    [made] = aws.images(instance)
    assert (made["Name"], made["Description"]) == (f"{instance}-web", "The web server")
    assert made["State"] == "available"


def _made_name(aws: Aws, template: Template) -> None:
    """It is made of stack, resource and request. All that was made stays when the stack goes."""
    instance = aws.ebs_instance(**SOON)

    stack_id, _ = created(aws, stored(template, instance))

    [image] = aws.images(instance)
    assert image["Name"].startswith(f"{aws.stack(stack_id)['StackName']}/Bundle/")

    before = There.of(aws, instance)
    deleted(aws, stack_id)

    assert all((before.images, before.snapshots, before.objects))
    assert There.of(aws, instance) == before


def _dry_run(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance()

    _, outputs = created(aws, stored(template, instance, DryRun=True))

    assert outputs["BundleId"].startswith("dryrun-")
    assert outputs["ImageId"] == ""
    assert There.of(aws, instance) == NOTHING


def _bucket_from_before_2018(aws: Aws, template: Template) -> None:
    bucket = f"My_Images_{uuid.uuid4().hex}_{'A' * 200}"
    created_then: Any = {"Tags": [{"Key": "sandbox:created", "Value": "2018-02-28"}]}
    aws.clients.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=created_then)
    body = stored(template, aws.ebs_instance(**SOON), OnDelete="Delete")
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = bucket

    stack_id, outputs = created(aws, body)

    key = f"{outputs['Ref']}.bin"
    assert outputs["S3Uri"] == f"s3://{bucket}/{key}"
    assert aws.clients.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    deleted(aws, stack_id)
    assert aws.clients.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# Deletion


def _removal_of_all_and_nothing_else(aws: Aws, template: Template) -> None:
    instance, bucket = aws.ebs_instance(**SOON), aws.ready["bucket"]
    mark: TagTypeDef = {"Key": MARK, "Value": instance}
    other = aws.clients.ec2.create_image(
        InstanceId=instance,
        Name=f"{instance}-other",
        TagSpecifications=[
            {"ResourceType": "image", "Tags": [mark]},
            {"ResourceType": "snapshot", "Tags": [mark]},
        ],
    )["ImageId"]
    [devices] = [
        image["BlockDeviceMappings"]
        for image in aws.clients.ec2.describe_images(ImageIds=[other])["Images"]
    ]
    snapshots = frozenset(device["Ebs"]["SnapshotId"] for device in devices)
    stack_id, outputs = created(aws, stored(template, instance, OnDelete="Delete"))
    similar = f"{outputs['ImageId']}.bin.bak"
    aws.clients.s3.put_object(
        Bucket=bucket, Key=similar, Body=b"another's", Tagging=f"{MARK}={instance}"
    )
    assert len(There.of(aws, instance).images) == 2

    deleted(aws, stack_id)

    assert There.of(aws, instance) == There(frozenset({other}), snapshots, frozenset({similar}))


def _removal_and_anothers_object(aws: Aws, template: Template) -> None:
    """OnDelete leaves what another has put in the object's place."""
    instance, bucket = aws.ebs_instance(**SOON), aws.ready["bucket"]
    stack_id, outputs = created(aws, stored(template, instance, OnDelete="Delete"))
    key = f"{outputs['ImageId']}.bin"
    aws.clients.s3.put_object(Bucket=bucket, Key=key, Body=b"another's")

    deleted(aws, stack_id)

    assert There.of(aws, instance) == NOTHING
    assert aws.keys(key) == [key]


@pytest.mark.nightly
def test_on_delete_removes_an_image_whose_object_is_gone(aws: Aws, template: Template) -> None:
    instance, bucket = aws.ebs_instance(**SOON), aws.ready["bucket"]
    stack_id, outputs = created(aws, stored(template, instance, OnDelete="Delete"))
    aws.clients.s3.delete_object(Bucket=bucket, Key=f"{outputs['ImageId']}.bin")

    deleted(aws, stack_id)

    assert There.of(aws, instance) == NOTHING


# Updates


def _description_and_tags(aws: Aws, template: Template) -> None:
    """They are changed in place."""
    instance = aws.ebs_instance(**SOON)
    image = {"Name": f"{instance}-web", "Description": "One"}
    body = stored(template, instance, image, {"Goes": "1", "Changes": "1"}, OnDelete="Delete")
    stack_id, outputs = created(aws, body)
    before = There.of(aws, instance)
    [key] = before.objects
    tags_of_the_object = object_tags(aws, key)

    image = {"Name": f"{instance}-web", "Description": "Two"}
    body = stored(template, instance, image, {"Comes": "2", "Changes": "2"}, OnDelete="Delete")
    aws.update_stack(stack_id, body)
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert aws.outputs(stack) == outputs
    assert There.of(aws, instance) == before
    [image_now] = aws.images(instance)
    assert image_now["Description"] == "Two"
    for resource in (*before.images, *before.snapshots):
        assert tags_of(aws, resource) == {MARK: instance, "Comes": "2", "Changes": "2"}
    assert object_tags(aws, key) == tags_of_the_object

    aws.update_stack(
        stack_id, stored(template, instance, {"Name": f"{instance}-web"}, OnDelete="Delete")
    )
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE"
    [image_now] = aws.images(instance)
    assert image_now.get("Description", "") == ""
    assert tags_of(aws, image_now["ImageId"]) == {MARK: instance}


def _change_in_place_that_is_rolled_back(aws: Aws, template: Template) -> None:
    """It is undone."""
    instance = aws.ebs_instance(**SOON)
    image = {"Name": f"{instance}-web", "Description": "One"}
    stack_id, outputs = created(aws, stored(template, instance, image, {"Goes": "1"}))
    body = stored(template, instance, image | {"Description": "Two"}, {"Comes": "2"})
    wrong = body["Resources"]["Bundle"]["Properties"] | {"InstanceId": "no-instance"}
    body["Resources"]["Wrong"] = body["Resources"]["Bundle"] | {
        "Properties": wrong,
        "DependsOn": "Bundle",
    }

    aws.update_stack(stack_id, body)
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.outputs(stack) == outputs
    [image_now] = aws.images(instance)
    assert image_now["Description"] == "One"
    for resource in (image_now["ImageId"], *aws.snapshots(instance)):
        assert tags_of(aws, resource) == {MARK: instance, "Goes": "1"}


def _replacement(
    aws: Aws, template: Template, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """A change of what names the image replaces it."""
    instance = aws.ebs_instance(**SOON)

    def body(image: dict[str, Any]) -> dict[str, Any]:
        name = {"Name": f"{instance}-{image['Name']}"} if "Name" in image else {}
        return stored(template, instance, image | name, OnDelete="Delete")

    stack_id, outputs = created(aws, body(first))
    old = There.of(aws, instance)
    aws.update_stack(stack_id, body(second))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    image_id = aws.outputs(stack)["Ref"]
    assert image_id != outputs["Ref"]
    now = There.of(aws, instance)
    assert (now.images, now.objects) == (frozenset({image_id}), frozenset({f"{image_id}.bin"}))
    assert len(now.snapshots) == 1
    assert now.snapshots.isdisjoint(old.snapshots)


# What goes wrong


FAILING = [
    (
        {"image_outcome": "failed", "image_error": "Client.InternalError: A volume is gone"},
        "Client.InternalError: A volume is gone",
    ),
    (
        {"store_outcome": "failed", "store_error": "The bucket does not like it"},
        "StoreTaskFailed: The bucket does not like it",
    ),
]


def _failure(aws: Aws, template: Template, steering: dict[str, str], words: str) -> None:
    """It is answered with EC2's words, and leaves nothing."""
    instance = aws.ebs_instance(**SOON | steering)

    stack_id = aws.create_stack(stored(template, instance))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert words in aws.failure(stack_id)
    image_id = aws.responses(stack_id)[0]["PhysicalResourceId"]
    assert image_id.startswith("ami-")
    assert aws.keys(image_id) == []
    assert There.of(aws, instance) == NOTHING


def _deleted_while_its_image_is_pending(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(image_outcome="hang")
    stack_id = aws.create_stack(stored(template, instance))
    wait_for(lambda: aws.images(instance) or None, "the image")

    deleted(aws, stack_id)

    assert There.of(aws, instance) == NOTHING


def _deleted_while_its_image_is_stored(aws: Aws, template: Template) -> None:
    """EC2 ends no store task."""
    instance = aws.ebs_instance(image_seconds="1", store_seconds="40")
    stack_id = aws.create_stack(stored(template, instance))
    [image] = wait_for(lambda: aws.images(instance) or None, "the image")
    image_id = image["ImageId"]
    wait_for(lambda: aws.store_tasks([image_id]) or None, "the store task")

    deleted(aws, stack_id)

    assert aws.store_tasks([image_id]) == {image_id: "Completed"}
    assert There.of(aws, instance) == NOTHING
    assert aws.keys(image_id) == []


def _image_that_hangs(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(image_outcome="hang")

    stack_id = aws.create_stack(stored(template, instance, ServiceTimeout="40"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE", aws.events(stack_id)
    reason = aws.failure(stack_id)
    assert "Not complete within ServiceTimeout (40 s): task ami-" in reason
    assert There.of(aws, instance) == NOTHING


def _store_task_that_hangs(aws: Aws, template: Template) -> None:
    """It fails the deletion, which names what is left."""
    instance = aws.ebs_instance(image_seconds="1", store_outcome="hang")

    stack_id = aws.create_stack(stored(template, instance, ServiceTimeout="40"))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_FAILED"
    [image] = aws.images(instance)
    assert f"task {image['ImageId']} is storing" in aws.failure(stack_id)
    [reason] = [
        event["ResourceStatusReason"]
        for event in aws.events(stack_id)
        if event["LogicalResourceId"] == "Bundle" and event["ResourceStatus"] == "DELETE_FAILED"
    ]
    assert f"Not ended within ServiceTimeout (40 s): task {image['ImageId']} is storing" in reason


def _wrong_kind(aws: Aws, template: Template, method: str) -> None:
    """An instance that does not suit a method is refused with the method that it suits."""
    fitting = {"BundleInstance": "StoreImage", "StoreImage": "BundleInstance"}[method]
    instance = aws.ebs_instance() if method == "BundleInstance" else aws.instance()

    stack_id = aws.create_stack(template(instance, Method=method))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert f"InstanceId: {method} does not support {instance}" in reason
    assert f"Use `Method: {fitting}`" in reason
    assert aws.bundle_requests(instance) == []
    images = aws.clients.ec2.describe_images(Owners=["self"])["Images"]
    assert [i for i in images if i["Name"].startswith(aws.stack(stack_id)["StackName"])] == []


def _properties_of_the_other_method(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance()
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-AbCdEf"  # noqa: S105
    body = stored(template, instance, UploadCredentials=secret)
    properties = body["Resources"]["Bundle"]["Properties"]
    properties["Storage"]["S3"]["Prefix"] = "web"

    stack_id = aws.create_stack(body)

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "2 problems in the properties. " in reason
    assert 'Storage.S3.Prefix: "web" can\'t be given with Method StoreImage' in reason
    assert "UploadCredentials: can't be given with Method StoreImage" in reason
    assert secret not in reason
    assert There.of(aws, instance) == NOTHING


def _image_of_the_other_method(
    aws: Aws, template: Template, method: str, member: str, value: Any
) -> None:
    instance = aws.instance() if method == "BundleInstance" else aws.ebs_instance()
    image = {member: value, "Tags": [{"Key": MARK, "Value": instance}]}

    stack_id = aws.create_stack(template(instance, Method=method, Image=image))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert "1 problem in the properties. " in reason
    assert f"Image.{member}: " in reason
    assert f"can't be given with Method {method}" in reason
    assert aws.bundle_requests(instance) == []
    assert There.of(aws, instance) == NOTHING
