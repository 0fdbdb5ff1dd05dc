"""Whole stacks of the classic method that ask for an AMI, which is registered from the bundle."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .support import MARK, Aws, created, deleted, side_by_side, wait_for
from .test_lifecycle import with_a_sibling_that_fails

Template = Callable[..., dict[str, Any]]

SOON = {"seconds": "1"}
REQUEST_TAG = "cfn-instance-bundle:request-id"
OUTPUTS = ("BundleId", "ImageId", "S3Uri", "ManifestLocation")


def asking(
    template: Template,
    instance: str,
    image: Mapping[str, Any] | None,
    tags: Mapping[str, str] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """A template of one bundle and its AMI, which is marked as one of the instance's bundle.

    With an image of None it asks for no AMI.
    """
    if image is not None:
        marked = {MARK: instance, **(tags or {})}
        of_image = [{"Key": key, "Value": value} for key, value in marked.items()]
        properties["Image"] = {"Tags": of_image, **image}
    body = template(instance, f"{instance}/web", **properties)
    body["Outputs"] = {name: {"Value": {"Fn::GetAtt": ["Bundle", name]}} for name in OUTPUTS} | {
        "Ref": {"Value": {"Ref": "Bundle"}}
    }
    return body


def updated(
    aws: Aws, stack_id: str, body: dict[str, Any], status: str = "UPDATE_COMPLETE"
) -> dict[str, str]:
    """The outputs of a stack after an Update that comes to this status."""
    aws.update_stack(stack_id, body)
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == status, aws.events(stack_id)
    return aws.outputs(stack)


def failure_of_update(aws: Aws, stack_id: str) -> str:
    """The one reason for which the bundle was not updated."""
    [reason] = [
        event["ResourceStatusReason"]
        for event in aws.events(stack_id)
        if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Bundle", "UPDATE_FAILED")
    ]
    return reason


def image_ids(aws: Aws, instance: str) -> set[str]:
    return {image["ImageId"] for image in aws.images(instance)}


def image_of(aws: Aws, image_id: str) -> Any:
    [image] = aws.clients.ec2.describe_images(ImageIds=[image_id])["Images"]
    return image


def tags_of(image: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def _given(image: Any) -> dict[str, str]:
    """The tags of an image, without the function's own."""
    return {key: value for key, value in tags_of(image).items() if ":" not in key}


def occupy(aws: Aws, name: str) -> str:
    """Have another's image take a name, and all see it; the image's ID."""
    taken = aws.clients.ec2.create_image(InstanceId=aws.ebs_instance(), Name=name)["ImageId"]
    others = aws.clients.client("ec2")

    def is_seen() -> bool | None:
        found = others.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"]
        return True if found else None

    wait_for(is_seen, "others to see the image")
    return taken


def has_bundle(aws: Aws, instance: str) -> bool:
    """Whether an instance's bundle is there with all its parts, or with nothing."""
    keys = aws.keys(f"{instance}/")
    assert len(keys) in {0, 4}, keys
    return f"{instance}/web.manifest.xml" in keys


def test_a_bundles_image_is_registered_changed_and_removed_with_it(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_registered_as_described, aws, template),
        partial(_made_name, aws, template),
        partial(_dry_run, aws, template),
        partial(_change_in_place, aws, template),
        partial(_change_in_place_that_is_rolled_back, aws, template),
        partial(_asked_for_later_and_no_more, aws, template),
        partial(_removal_of_all_images_and_nothing_else, aws, template),
    )


def test_an_update_of_the_image_registers_another_and_a_rollback_goes_back(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_change_of_the_image_alone, aws, template, {"Name": "one"}, {"Name": "two"}),
        partial(
            _change_of_the_image_alone,
            *(aws, template, {"Description": "One"}, {"Description": "Two"}),
        ),
        partial(_rollback_to_the_image_before, aws, template),
        partial(_deletion_that_keeps_all, aws, template),
    )


def test_an_image_that_can_not_be_registered_fails_the_stack(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_update_to_a_name_that_is_taken, aws, template),
        partial(_replacement_that_keeps_the_name, aws, template),
        partial(_name_that_is_taken, aws, template),
        partial(_registration_that_is_refused, aws, template, "Retain", kept=True),
        partial(_registration_that_is_refused, aws, template, "Delete", kept=False),
    )


# What is made


def _registered_as_described(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    described = {
        "Name": f"{instance}-web",
        "Description": "The web server",
        "Architecture": "i386",
    }

    _, outputs = created(aws, asking(template, instance, described, {"Team": "a/b"}))

    assert outputs["Ref"] == outputs["BundleId"]
    assert outputs["BundleId"].startswith("bun-")
    image = image_of(aws, outputs["ImageId"])
    assert (image["Name"], image["Description"]) == (f"{instance}-web", "The web server")
    assert (image["Architecture"], image["VirtualizationType"]) == ("i386", "hvm")
    at = f"{aws.ready['bucket']}/{instance}/web.manifest.xml"
    assert image["ImageLocation"] == outputs["ManifestLocation"] == at
    assert image["State"] == "available"
    assert _given(image) == {MARK: instance, "Team": "a/b"}
    assert image_ids(aws, instance) == {outputs["ImageId"]}
    assert has_bundle(aws, instance)


def _made_name(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)

    _, outputs = created(aws, asking(template, instance, {}))

    image = image_of(aws, outputs["ImageId"])
    assert image["Name"].startswith(f"{instance}/web/{tags_of(image)[REQUEST_TAG]}-")
    assert image["Architecture"] == "x86_64"


def _dry_run(aws: Aws, template: Template) -> None:
    instance = aws.instance()

    _, outputs = created(aws, asking(template, instance, {}, DryRun=True))

    assert outputs["ImageId"] == ""
    assert [request["DryRun"] for request in aws.bundle_requests(instance)] == [True]
    assert image_ids(aws, instance) == set()


# Updates


def _change_of_the_image_alone(
    aws: Aws, template: Template, before: dict[str, str], after: dict[str, str]
) -> None:
    """It has another registered from the same bundle."""
    instance = aws.instance(**SOON)

    def body(image: dict[str, str]) -> dict[str, Any]:
        name = {"Name": f"{instance}-{image['Name']}"} if "Name" in image else {}
        return asking(template, instance, {**image, **name})

    stack_id, first = created(aws, body(before))
    second = updated(aws, stack_id, body(after))

    assert second == first | {"ImageId": second["ImageId"]}
    assert second["ImageId"] != first["ImageId"]
    assert len(aws.bundle_requests(instance)) == 1
    assert image_ids(aws, instance) == {first["ImageId"], second["ImageId"]}
    old, new = image_of(aws, first["ImageId"]), image_of(aws, second["ImageId"])
    assert old["ImageLocation"] == new["ImageLocation"]
    assert old.get("Description", "") == before.get("Description", "")
    assert new.get("Description", "") == after.get("Description", "")
    assert has_bundle(aws, instance)


def _change_in_place(aws: Aws, template: Template) -> None:
    """An image that keeps its name is changed."""
    instance = aws.instance(**SOON)
    name = {"Name": f"{instance}-web"}
    stack_id, first = created(
        aws, asking(template, instance, {**name, "Description": "One"}, {"Goes": "1"})
    )

    second = updated(
        aws, stack_id, asking(template, instance, {**name, "Description": "Two"}, {"Comes": "2"})
    )

    assert second == first
    assert image_ids(aws, instance) == {first["ImageId"]}
    image = image_of(aws, first["ImageId"])
    assert image["Description"] == "Two"
    assert _given(image).keys() == {MARK, "Comes"}
    assert len(aws.bundle_requests(instance)) == 1


def _asked_for_later_and_no_more(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    stack_id, first = created(aws, asking(template, instance, None, OnDelete="Delete"))
    assert first["ImageId"] == ""

    second = updated(aws, stack_id, asking(template, instance, {}, OnDelete="Delete"))
    assert image_ids(aws, instance) == {second["ImageId"]}
    third = updated(aws, stack_id, asking(template, instance, None, OnDelete="Delete"))

    assert third == first
    assert image_of(aws, second["ImageId"])["State"] == "available"
    assert len(aws.bundle_requests(instance)) == 1
    deleted(aws, stack_id)
    assert image_ids(aws, instance) == set()
    assert not has_bundle(aws, instance)


def _rollback_to_the_image_before(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    stack_id, first = created(aws, asking(template, instance, {"Description": "One"}))
    before = image_of(aws, first["ImageId"])

    body = with_a_sibling_that_fails(asking(template, instance, {"Description": "Two"}))
    outputs = updated(aws, stack_id, body, "UPDATE_ROLLBACK_COMPLETE")

    assert outputs == first
    assert image_of(aws, first["ImageId"]) == before
    [other] = image_ids(aws, instance) - {first["ImageId"]}
    assert image_of(aws, other)["Description"] == "Two"
    assert len(aws.bundle_requests(instance)) == 1

    again = updated(aws, stack_id, asking(template, instance, {"Description": "Two"}))
    assert again == first | {"ImageId": other}
    assert len(image_ids(aws, instance)) == 2


def _change_in_place_that_is_rolled_back(aws: Aws, template: Template) -> None:
    """It is undone."""
    instance = aws.instance(**SOON)
    name = {"Name": f"{instance}-web"}
    stack_id, first = created(
        aws, asking(template, instance, {**name, "Description": "One"}, {"Goes": "1"})
    )
    before = image_of(aws, first["ImageId"])

    body = asking(template, instance, {**name, "Description": "Two"}, {"Comes": "2"})
    outputs = updated(aws, stack_id, with_a_sibling_that_fails(body), "UPDATE_ROLLBACK_COMPLETE")

    assert outputs == first
    after = image_of(aws, first["ImageId"])
    assert after["Description"] == "One"
    assert tags_of(after) == tags_of(before)
    assert image_ids(aws, instance) == {first["ImageId"]}


def _update_to_a_name_that_is_taken(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    stack_id, first = created(aws, asking(template, instance, {}))
    other = occupy(aws, f"{instance}-taken")

    outputs = updated(
        aws,
        stack_id,
        asking(template, instance, {"Name": f"{instance}-taken"}),
        "UPDATE_ROLLBACK_COMPLETE",
    )

    assert outputs == first
    reason = failure_of_update(aws, stack_id)
    assert f"the bundle {first['Ref']} is complete and kept at {first['S3Uri']}" in reason
    assert f"is already in use by AMI {other}" in reason
    assert "Image.Name: AMI names are unique" in reason
    assert image_ids(aws, instance) == {first["ImageId"]}


def _replacement_that_keeps_the_name(aws: Aws, template: Template) -> None:
    """A bundle that takes the place of another can't take its image's name."""
    instance = aws.instance(**SOON)
    stack_id, first = created(aws, asking(template, instance, {"Name": f"{instance}-web"}))
    body = asking(template, instance, {"Name": f"{instance}-web"})
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Prefix"] = f"{instance}/next"

    outputs = updated(aws, stack_id, body, "UPDATE_ROLLBACK_COMPLETE")

    assert outputs == first
    taken = f"Image.Name: the AMI {first['ImageId']} has the name {instance}-web already, "
    assert taken in failure_of_update(aws, stack_id)
    assert len(aws.bundle_requests(instance)) == 1


# Deletion


def _removal_of_all_images_and_nothing_else(aws: Aws, template: Template) -> None:
    instance, bucket = aws.instance(**SOON), aws.ready["bucket"]
    body = asking(template, instance, {"Description": "One"}, OnDelete="Delete")
    stack_id, first = created(aws, body)
    body = asking(template, instance, {"Description": "Two"}, OnDelete="Delete")
    second = updated(aws, stack_id, body)
    copy = f"copies/{instance}.manifest.xml"
    aws.clients.s3.copy_object(
        Bucket=bucket,
        Key=copy,
        CopySource={"Bucket": bucket, "Key": f"{instance}/web.manifest.xml"},
    )
    tags = tags_of(image_of(aws, first["ImageId"]))
    others = {
        aws.clients.ec2.register_image(
            Name=f"{instance}-{name}",
            ImageLocation=at,
            TagSpecifications=[
                {
                    "ResourceType": "image",
                    "Tags": [{"Key": key, "Value": value} for key, value in kept.items()],
                }
            ],
        )["ImageId"]
        for name, at, kept in (
            ("a copy", f"{bucket}/{copy}", tags),
            ("without the tag", first["ManifestLocation"], {MARK: instance}),
        )
    }
    assert image_ids(aws, instance) == {first["ImageId"], second["ImageId"], *others}

    deleted(aws, stack_id)

    assert image_ids(aws, instance) == others
    assert aws.keys(f"{instance}/") == []


def _deletion_that_keeps_all(aws: Aws, template: Template) -> None:
    instance = aws.instance(**SOON)
    stack_id, first = created(aws, asking(template, instance, {"Description": "One"}))
    second = updated(aws, stack_id, asking(template, instance, {"Description": "Two"}))

    deleted(aws, stack_id)

    assert image_ids(aws, instance) == {first["ImageId"], second["ImageId"]}
    assert has_bundle(aws, instance)


# What goes wrong


def _name_that_is_taken(aws: Aws, template: Template) -> None:
    """It is refused before the bundle is made."""
    instance = aws.instance(**SOON)
    other = occupy(aws, f"{instance}-taken")

    stack_id = aws.create_stack(asking(template, instance, {"Name": f"{instance}-taken"}))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = aws.failure(stack_id)
    assert f"Image.Name: the AMI {other} has the name {instance}-taken already" in reason
    assert aws.bundle_requests(instance) == []
    assert image_ids(aws, instance) == set()


def _registration_that_is_refused(
    aws: Aws, template: Template, on_delete: str, *, kept: bool
) -> None:
    """The Reason says where the bundle is."""
    instance = aws.instance(seconds="4")
    body = asking(template, instance, {"Name": f"{instance}-web"}, OnDelete=on_delete)
    stack_id = aws.create_stack(body)
    [task] = wait_for(lambda: aws.tasks(instance) or None, "the task")
    other = occupy(aws, f"{instance}-web")

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE", aws.events(stack_id)

    reason = aws.failure(stack_id)
    s3_uri = f"s3://{aws.ready['bucket']}/{instance}/web"
    assert f"Image: the bundle {task['BundleId']} is complete and kept at {s3_uri}" in reason
    assert f"ec2:RegisterImage was refused. InvalidAMIName.Duplicate: AMI name {instance}" in reason
    assert aws.responses(stack_id)[0]["PhysicalResourceId"] == task["BundleId"]
    assert has_bundle(aws, instance) is kept
    assert image_of(aws, other)["Name"] == f"{instance}-web"
    assert image_ids(aws, instance) == set()
