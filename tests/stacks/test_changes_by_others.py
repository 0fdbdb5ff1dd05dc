"""Changes that others make to what a stack has made: each request's answer is true and comes soon.

Each row of a table is a stack: a change, the stage at which it is made, and the result.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from instance_bundle.aws.images import REQUEST_TAG

from .support import Aws, json_of, side_by_side, wait_for
from .test_lifecycle import with_a_sibling_that_fails
from .test_store_image import SOON, stored

Template = Callable[..., dict[str, Any]]

SECONDS = 60
"""For which the function waits at most, until a change is answered after it can be known."""

_SEEN_AFTER = 12
"""Seconds after which all of EC2 knows of a change, and a poll has seen it."""


@dataclass
class Story:
    """A stack whose AMI, snapshot, object or bucket others change.

    Attributes:
        bucket: its own.
        image_id: of its AMI; empty until that is known.
    """

    aws: Aws
    template: Template
    bucket: str = field(default_factory=lambda: f"others-{uuid.uuid4().hex}")
    stack_id: str = ""
    image_id: str = ""

    def __post_init__(self) -> None:
        self.aws.clients.s3.create_bucket(Bucket=self.bucket)

    def in_bucket(self, body: dict[str, Any]) -> dict[str, Any]:
        """The template, with the story's own bucket."""
        body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Bucket"] = self.bucket
        return body

    def create(self, body: dict[str, Any]) -> None:
        self.stack_id = self.aws.create_stack(body)

    def rests(self, status: str) -> None:
        assert self.aws.at_rest(self.stack_id)["StackStatus"] == status, self.aws.events(
            self.stack_id
        )

    def update(self, body: dict[str, Any], status: str, since: float | None = None) -> None:
        """Update, and see that the request about the bundle was answered soon."""
        began = time.time() if since is None else since
        self.aws.update_stack(self.stack_id, body)
        self.rests(status)
        self.was_answered_soon(began)

    def delete(self, status: str) -> None:
        began = time.time()
        self.aws.clients.cloudformation.delete_stack(StackName=self.stack_id)
        self.rests(status)
        self.was_answered_soon(began)

    def was_answered_soon(self, since: float) -> None:
        """Whatever a busy machine adds: the delays of each request's polls since then are short."""
        waits: Counter[str] = Counter()
        for message in json_of(f"{self.aws.clients.endpoint}/sandbox/messages"):
            if "-PollQueue-" in message["queue"] and message["sent"] > since:
                key = json.loads(message["body"])["key"]
                if key["stack_id"] == self.stack_id:
                    waits[key["request_id"]] += message["delay"]
        assert all(seconds < SECONDS for seconds in waits.values()), waits

    def reason(self, status: str) -> str:
        """The last reason that the bundle has for a status."""
        return [
            event["ResourceStatusReason"]
            for event in self.aws.events(self.stack_id)
            if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Bundle", status)
        ][-1]

    def snapshots(self) -> list[str]:
        [image] = self.aws.clients.ec2.describe_images(
            ImageIds=[self.image_id], IncludeDisabled=True
        )["Images"]
        return [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]

    def objects(self) -> list[str]:
        """The keys in its bucket."""
        listed = self.aws.clients.s3.list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in listed.get("Contents", [])]


Change = Callable[[Story], object]


def deregistered(story: Story) -> None:
    story.aws.clients.ec2.deregister_image(ImageId=story.image_id)


def disabled(story: Story) -> None:
    story.aws.clients.ec2.disable_image(ImageId=story.image_id)


def protected(story: Story) -> None:
    story.aws.clients.ec2.enable_image_deregistration_protection(ImageId=story.image_id)


def object_deleted(story: Story) -> None:
    for key in story.objects():
        story.aws.clients.s3.delete_object(Bucket=story.bucket, Key=key)


def bucket_deleted(story: Story) -> None:
    object_deleted(story)
    story.aws.clients.s3.delete_bucket(Bucket=story.bucket)


def tags_removed(story: Story) -> None:
    """All of the function's tags, by which it knows the AMI and may change it."""
    ours = [{"Key": REQUEST_TAG}, {"Key": "cfn-instance-bundle:bucket"}]
    story.aws.clients.ec2.delete_tags(Resources=[story.image_id], Tags=ours)  # type: ignore[arg-type]


def snapshot_tags_removed(story: Story) -> None:
    story.aws.clients.ec2.delete_tags(Resources=story.snapshots(), Tags=[{"Key": REQUEST_TAG}])


# While an image is made


@dataclass(frozen=True)
class Making:
    """A change during the Create, the stack's status after it, and words of the Reason."""

    change: Change
    stage: str
    status: str
    words: str = ""


CREATE_COMPLETE, ROLLED_BACK = "CREATE_COMPLETE", "ROLLBACK_COMPLETE"
LOST = f"without the tag {REQUEST_TAG}"

WHILE_IT_IS_MADE = (
    Making(deregistered, "pending", ROLLED_BACK, "no longer exists: it was deregistered"),
    Making(protected, "pending", CREATE_COMPLETE),
    Making(bucket_deleted, "pending", ROLLED_BACK, "The specified bucket does not exist"),
    # The role may not remove the AMI either.
    Making(tags_removed, "pending", "ROLLBACK_FAILED", LOST),
    Making(deregistered, "storing", CREATE_COMPLETE),
    Making(disabled, "storing", CREATE_COMPLETE),
    Making(protected, "storing", CREATE_COMPLETE),
    Making(bucket_deleted, "storing", ROLLED_BACK, "The specified bucket does not exist"),
    Making(tags_removed, "storing", CREATE_COMPLETE),
    Making(snapshot_tags_removed, "storing", CREATE_COMPLETE),
)


def test_a_create_whose_image_others_change_is_answered_truly_and_soon(
    aws: Aws, template: Template
) -> None:
    side_by_side(*(partial(_make, aws, template, making) for making in WHILE_IT_IS_MADE))


def _make(aws: Aws, template: Template, making: Making) -> None:
    story, is_pending = Story(aws, template), making.stage == "pending"
    last = 25.0
    steering = (
        {"image_seconds": f"{last}", "store_seconds": "1"}
        if is_pending
        else {"image_seconds": "1", "store_seconds": f"{last}"}
    )
    instance = aws.ebs_instance(**steering)
    story.create(story.in_bucket(stored(template, instance, OnDelete="Delete")))
    [image] = wait_for(lambda: aws.images(instance) or None, "the image")
    story.image_id = image["ImageId"]
    if not is_pending:
        wait_for(lambda: aws.store_tasks([story.image_id]) or None, "the store task")
    began = time.time()
    time.sleep(_SEEN_AFTER)

    making.change(story)

    story.rests(making.status)
    story.was_answered_soon(began + last)
    if making.words:
        assert making.words in story.reason("CREATE_FAILED"), story.reason("CREATE_FAILED")


# After it is complete


@dataclass(frozen=True)
class Made:
    """A change after CREATE_COMPLETE, and what follows.

    Attributes:
        described: words of the Reason for which an Update of Image's description fails; empty if it
            succeeds.
        tagged: the same for an Update of its tags.
        deleted: the same for a Delete with `OnDelete: Delete`.
    """

    change: Change
    described: str = ""
    tagged: str = ""
    deleted: str = ""


GONE = "no longer exists: it was deregistered"

AFTER_IT_WAS_MADE = (
    Made(deregistered, described=GONE, tagged=GONE),
    Made(disabled, described="is disabled"),
    Made(protected, deleted="is protected from deregistration"),
    Made(bucket_deleted),
    Made(object_deleted),
    Made(tags_removed, described=LOST, tagged=LOST, deleted=LOST),
    Made(snapshot_tags_removed, tagged=LOST),
)


def test_a_request_about_an_image_that_others_changed_is_answered_truly_and_soon(
    aws: Aws, template: Template
) -> None:
    side_by_side(*(partial(_change, aws, template, made) for made in AFTER_IT_WAS_MADE))


def test_an_image_that_others_changed_is_retained_as_it_is(aws: Aws, template: Template) -> None:
    side_by_side(*(partial(_retain, aws, template, made) for made in AFTER_IT_WAS_MADE))


def _complete(
    aws: Aws, template: Template, made: Made, on_delete: str
) -> tuple[Story, Callable[..., dict[str, Any]]]:
    """A stack whose image is complete and then changed by others; and its template."""
    story, instance = Story(aws, template), aws.ebs_instance(**SOON)

    def body(description: str = "one", tag: str = "one", **properties: Any) -> dict[str, Any]:
        image = {"Description": description}
        return story.in_bucket(
            stored(template, instance, image, {"n": tag}, OnDelete=on_delete, **properties)
        )

    story.create(body())
    story.rests(CREATE_COMPLETE)
    outputs = aws.outputs(aws.stack(story.stack_id))
    story.image_id = outputs["Ref"]
    made.change(story)
    time.sleep(_SEEN_AFTER)
    return story, body


def _change(aws: Aws, template: Template, made: Made) -> None:
    story, body = _complete(aws, template, made, "Delete")

    story.update(body(ServiceTimeout="600"), "UPDATE_COMPLETE")
    story.update(with_a_sibling_that_fails(body()), "UPDATE_ROLLBACK_COMPLETE")
    story.update(with_a_sibling_that_fails(body("two", "two")), "UPDATE_ROLLBACK_COMPLETE")
    for words, changed in ((made.described, body("three")), (made.tagged, body(tag="three"))):
        story.update(changed, "UPDATE_ROLLBACK_COMPLETE" if words else "UPDATE_COMPLETE")
        if words:
            assert words in story.reason("UPDATE_FAILED"), story.reason("UPDATE_FAILED")
    story.delete("DELETE_FAILED" if made.deleted else "DELETE_COMPLETE")
    if made.deleted:
        assert made.deleted in story.reason("DELETE_FAILED"), story.reason("DELETE_FAILED")


def _retain(aws: Aws, template: Template, made: Made) -> None:
    story, _ = _complete(aws, template, made, "Retain")
    before = _there(story)

    story.delete("DELETE_COMPLETE")

    assert _there(story) == before


def _there(story: Story) -> tuple[list[str], list[str]]:
    """The AMI with its state, and the objects."""
    found = story.aws.clients.ec2.describe_images(
        Filters=[{"Name": "image-id", "Values": [story.image_id]}], IncludeDisabled=True
    )["Images"]
    buckets = [each["Name"] for each in story.aws.clients.s3.list_buckets()["Buckets"]]
    objects = story.objects() if story.bucket in buckets else []
    return [f"{each['ImageId']} {each['State']}" for each in found], objects


# A bundle with an AMI


def test_an_image_of_a_bundle_that_others_removed_is_answered_truly_and_soon(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_bundled, aws, template, object_deleted),
        partial(_bundled, aws, template, bucket_deleted),
        partial(_registered_again, aws, template),
    )


def _with_image(story: Story, instance: str, **image: Any) -> dict[str, Any]:
    body = story.template(instance, "web", OnDelete="Delete", Image=image)
    body["Outputs"]["ImageId"] = {"Value": {"Fn::GetAtt": ["Bundle", "ImageId"]}}
    return story.in_bucket(body)


def _bundled(aws: Aws, template: Template, change: Change) -> None:
    story, instance, name = Story(aws, template), aws.instance(seconds="1"), uuid.uuid4().hex
    story.create(_with_image(story, instance, Name=name))
    story.rests(CREATE_COMPLETE)
    change(story)

    described = _with_image(story, instance, Name=name, Description="two")
    story.update(described, "UPDATE_COMPLETE")
    story.update(_with_image(story, instance, Name=f"{name}-2"), "UPDATE_ROLLBACK_COMPLETE")

    assert "somebody has removed its manifest" in story.reason("UPDATE_FAILED")
    story.delete("DELETE_COMPLETE")


def _registered_again(aws: Aws, template: Template) -> None:
    story, instance, name = Story(aws, template), aws.instance(seconds="1"), uuid.uuid4().hex
    story.create(_with_image(story, instance, Name=name))
    story.rests(CREATE_COMPLETE)
    first = aws.outputs(aws.stack(story.stack_id))["ImageId"]
    aws.clients.ec2.deregister_image(ImageId=first)

    story.update(_with_image(story, instance, Name=name, Description="two"), "UPDATE_COMPLETE")

    assert aws.outputs(aws.stack(story.stack_id))["ImageId"] not in ("", first)
    story.delete("DELETE_COMPLETE")
