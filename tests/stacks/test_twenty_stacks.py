"""Twenty stacks with every kind of retention, failure and replacement: what the operators' command
says of them is what S3 and EC2 have."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from click.testing import CliRunner

from cli.main import instance_bundle

from .support import MARK, Aws, created, deleted, side_by_side, wait_for
from .test_images import asking, occupy, updated
from .test_lifecycle import with_a_sibling_that_fails
from .test_retained import HANDLE
from .test_store_image import SOON, object_tags, stored

Template = Callable[..., dict[str, Any]]
Body = dict[str, Any]

BUNDLED = {"seconds": "1"}
PARTS = re.compile(r"\.(manifest\.xml|part\.\d+)$")


@dataclass(frozen=True)
class Story:
    """What a story has left.

    Attributes:
        stack_id: its stack.
        instance: whose images it made.
        managed: what the stack manages, by its outputs: S3 URIs, AMIs and snapshots.
        missing: what a stack manages or has retained, and others have removed.
    """

    stack_id: str
    instance: str
    managed: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


@dataclass
class There:
    """What S3 and EC2 have of all stories: read once, and without the ledger.

    Attributes:
        aws: the sandbox.
        images: AMIs and snapshots by the instance that they are marked with.
        objects: S3 URIs by that instance, or by what the keys begin with.
    """

    aws: Aws
    images: dict[str, set[str]] = field(default_factory=dict)
    objects: dict[str, set[str]] = field(default_factory=dict)

    def read(self) -> "There":
        bucket = self.aws.ready["bucket"]
        for key in self.aws.keys(""):
            stored = re.fullmatch(r"ami-\w+\.bin", key)
            marks = object_tags(self.aws, key) if stored else {}
            whose = marks.get(MARK, "") if stored else key.partition("/")[0]
            self.objects.setdefault(whose, set()).add(f"s3://{bucket}/{PARTS.sub('', key)}")
        return self

    def of(self, story: Story) -> frozenset[str]:
        images = {image["ImageId"] for image in self.aws.images(story.instance)}
        snapshots = self.aws.snapshots(story.instance)
        name = self.aws.stack(story.stack_id)["StackName"]
        objects = self.objects.get(story.instance, set()) | self.objects.get(name, set())
        return frozenset(images | snapshots | objects)


def test_owned_and_orphans_list_exactly_what_is_there(aws: Aws, template: Template) -> None:
    stories: list[Story] = []
    side_by_side(*(partial(_play, story, aws, template, stories) for story in STORIES))
    assert len(stories) == len(STORIES) == len({story.stack_id for story in stories}) == 20
    _wait_for_visibility(aws, stories)

    there = There(aws).read()
    shown = run(aws, "orphans")["orphans"]

    for story in stories:
        of_story = there.of(story)
        assert owned(aws, story.stack_id) == (of_story, story.missing), story
        orphans = {each["id"] for each in shown if each["stackId"] == story.stack_id}
        assert orphans == of_story - story.managed, story
    assert [each for each in shown if each["unknown"]] == []
    snapshots = [each for each in shown if each["kind"] == "snapshot"]
    assert snapshots
    assert [each for each in snapshots if not each["usdPerMonth"]] == []
    assert sum(len(there.of(story) - story.managed) for story in stories) > len(stories)

    for story in stories:
        for uri in story.missing:
            _release(aws, story, uri)


def _play(
    story: Callable[[Aws, Template], Story], aws: Aws, template: Template, stories: list[Story]
) -> None:
    stories.append(story(aws, template))


def _wait_for_visibility(aws: Aws, stories: list[Story]) -> None:
    """Wait until everybody sees the images that there are, and none that is gone."""
    ec2 = aws.clients.client("ec2")
    marked: list[Any] = [{"Name": f"tag:{MARK}", "Values": [story.instance for story in stories]}]

    def all_seen() -> bool | None:
        images = {image["ImageId"] for image in ec2.describe_images(Filters=marked)["Images"]}
        found = ec2.describe_snapshots(Filters=marked)["Snapshots"]
        wanted = {image["ImageId"] for story in stories for image in aws.images(story.instance)}
        snapshots = {id_ for story in stories for id_ in aws.snapshots(story.instance)}
        return True if (images, {s["SnapshotId"] for s in found}) == (wanted, snapshots) else None

    wait_for(all_seen, "all to see the images")


def _release(aws: Aws, story: Story, uri: str) -> None:
    """The claim of what is missing protects nothing once its stack is deleted, and not before."""
    status = aws.stack(story.stack_id)["StackStatus"]

    released = run(aws, "release", uri, "--yes")

    assert ("released" in released) is (status == "DELETE_COMPLETE")
    assert run(aws, "release", uri, "--yes") == {}


def run(aws: Aws, *arguments: str) -> Any:
    """The JSON of a command; empty if it found nothing, or refused."""
    options = ("--output", "json", "--endpoint-url", aws.ready["endpoint"])
    result = CliRunner().invoke(instance_bundle, [*arguments, *options])
    assert (result.exit_code, bool(result.stderr)) in {(0, False), (1, True)}, result.output
    return json.loads(result.stdout or "{}")


def owned(aws: Aws, stack_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """What `owned` says is there of a stack, and what it says is missing."""
    rows = run(aws, "owned", stack_id).get("bundles", [])
    assert [each for each in rows if each["unreadable"]] == []
    missing = {id_ for each in rows for id_ in each["missing"]}
    known = {id_ for each in rows for id_ in (each["s3Uri"], *each["imageIds"])}
    known |= {id_ for each in rows for id_ in each["snapshotIds"]}
    return frozenset(known - missing - {None}), frozenset(missing)


# Stories


def _managed(outputs: Mapping[str, str]) -> frozenset[str]:
    """What the outputs of a stack name."""
    names = (outputs.get("S3Uri"), outputs.get("ImageId"))
    return frozenset(filter(None, (*names, *outputs.get("SnapshotIds", "").split(","))))


def _at(body: Body, prefix: str) -> Body:
    """The template, with the bundle at another prefix."""
    body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Prefix"] = prefix
    return body


def _with(body: Body, **policies: str) -> Body:
    """The template, with policies of the resource, and one more resource."""
    body["Resources"]["Bundle"] |= policies
    return {**body, "Resources": body["Resources"] | HANDLE}


def _unrolled(aws: Aws, body: Body) -> str:
    """The ID of a stack whose failed creation is left as it is."""
    stack_id = aws.clients.cloudformation.create_stack(
        StackName=f"test-{uuid.uuid4().hex[:12]}",
        TemplateBody=json.dumps(body),
        DisableRollback=True,
    )["StackId"]
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_FAILED", aws.events(stack_id)
    return stack_id


def _lives(aws: Aws, template: Template) -> Story:
    instance = aws.instance(**BUNDLED)
    stack_id, outputs = created(aws, asking(template, instance, None))
    return Story(stack_id, instance, _managed(outputs))


def _changed_in_place(aws: Aws, template: Template) -> Story:
    """The bundle has two AMIs then."""
    instance = aws.instance(**BUNDLED)
    stack_id, before = created(aws, asking(template, instance, {"Name": f"{instance}-1"}))
    after = updated(aws, stack_id, asking(template, instance, {"Name": f"{instance}-2"}))
    assert before["ImageId"] != after["ImageId"]
    return Story(stack_id, instance, _managed(before) | _managed(after))


def _deleted_and_retained(aws: Aws, template: Template) -> Story:
    instance = aws.instance(**BUNDLED)
    stack_id, _ = created(aws, asking(template, instance, {}))
    deleted(aws, stack_id)
    return Story(stack_id, instance)


def _deleted_with_a_made_prefix(aws: Aws, template: Template) -> Story:
    instance = aws.instance(**BUNDLED)
    stack_id, _ = created(aws, template(instance))
    deleted(aws, stack_id)
    return Story(stack_id, instance)


def _deleted_and_removed(aws: Aws, template: Template) -> Story:
    instance = aws.instance(**BUNDLED)
    stack_id, _ = created(aws, asking(template, instance, {}, OnDelete="Delete"))
    deleted(aws, stack_id)
    return Story(stack_id, instance)


def _retained_by_its_policy(aws: Aws, template: Template) -> Story:
    """CloudFormation sends no Delete for it."""
    instance = aws.instance(**BUNDLED)
    body = asking(template, instance, {}, OnDelete="Delete")
    stack_id, _ = created(aws, _with(body, DeletionPolicy="Retain"))
    deleted(aws, stack_id)
    return Story(stack_id, instance)


def _resource_removed(aws: Aws, template: Template) -> Story:
    instance = aws.instance(**BUNDLED)
    body = asking(template, instance, {}, OnDelete="Delete")
    stack_id, _ = created(aws, _with(body, DeletionPolicy="Retain"))
    aws.update_stack(stack_id, {"Resources": HANDLE})
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    return Story(stack_id, instance)


def _added_again(aws: Aws, template: Template) -> Story:
    """The bundle of before is released."""
    before = _resource_removed(aws, template)
    body = _at(asking(template, before.instance, {}), f"{before.instance}/again")
    outputs = updated(aws, before.stack_id, _with(body))
    return Story(before.stack_id, before.instance, _managed(outputs))


def _replaced(aws: Aws, template: Template, on_delete: str, **policies: str) -> Story:
    instance = aws.instance(**BUNDLED)
    stack_id, _ = created(
        aws, _with(asking(template, instance, {}, OnDelete=on_delete), **policies)
    )
    body = _at(asking(template, instance, {}, OnDelete=on_delete), f"{instance}/new")
    outputs = updated(aws, stack_id, _with(body, **policies))
    return Story(stack_id, instance, _managed(outputs))


def _replacement_rolled_back(aws: Aws, template: Template) -> Story:
    """The new bundle was finished, and is retained."""
    instance = aws.instance(**BUNDLED)
    stack_id, before = created(aws, asking(template, instance, None))
    body = with_a_sibling_that_fails(_at(asking(template, instance, None), f"{instance}/new"))
    assert updated(aws, stack_id, body, "UPDATE_ROLLBACK_COMPLETE") == before
    return Story(stack_id, instance, _managed(before))


def _failed(aws: Aws, template: Template) -> Story:
    instance = aws.instance(seconds="1", outcome="failed")
    stack_id = aws.create_stack(asking(template, instance, None))
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    return Story(stack_id, instance)


def _registration_failed(aws: Aws, template: Template) -> Story:
    """The bundle was finished, and is retained by the rollback."""
    instance = aws.instance(seconds="4")
    stack_id = aws.create_stack(asking(template, instance, {"Name": f"{instance}-web"}))
    wait_for(lambda: aws.tasks(instance) or None, "the task")
    occupy(aws, f"{instance}-web")
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    return Story(stack_id, instance)


def _objects_removed_by_hand(aws: Aws, template: Template) -> Story:
    instance, bucket = aws.instance(**BUNDLED), aws.ready["bucket"]
    stack_id, outputs = created(aws, asking(template, instance, None))
    for key in aws.keys(f"{instance}/"):
        aws.clients.s3.delete_object(Bucket=bucket, Key=key)
    return Story(stack_id, instance, missing=frozenset({outputs["S3Uri"]}))


def _stored(aws: Aws, template: Template) -> Story:
    instance = aws.ebs_instance(**SOON)
    stack_id, outputs = created(aws, stored(template, instance))
    return Story(stack_id, instance, _managed(outputs))


def _stored_and_replaced(aws: Aws, template: Template) -> Story:
    instance = aws.ebs_instance(**SOON)
    stack_id, _ = created(aws, stored(template, instance, {"Name": f"{instance}-1"}))
    outputs = updated(aws, stack_id, stored(template, instance, {"Name": f"{instance}-2"}))
    return Story(stack_id, instance, _managed(outputs))


def _stored_and_failed(aws: Aws, template: Template) -> Story:
    """The AMI stays until the stack is deleted: it is the stack's."""
    instance = aws.ebs_instance(**SOON, store_outcome="failed")
    stack_id = _unrolled(aws, stored(template, instance))
    images = {image["ImageId"] for image in aws.images(instance)}
    [uri] = {f"s3://{aws.ready['bucket']}/{image}.bin" for image in images}
    return Story(
        *(stack_id, instance, frozenset(images | aws.snapshots(instance))),
        missing=frozenset({uri}),
    )


def _stored_and_unregistered(aws: Aws, template: Template) -> Story:
    """The stack is gone, and so is all that has a tag: the object is left."""
    instance = aws.ebs_instance(**SOON)
    stack_id, outputs = created(aws, stored(template, instance))
    deleted(aws, stack_id)
    aws.clients.ec2.deregister_image(ImageId=outputs["ImageId"], DeleteAssociatedSnapshots=True)
    wait_for(lambda: None if aws.images(instance) else True, "the AMI to be gone")
    return Story(stack_id, instance)


def _stored_and_object_removed(aws: Aws, template: Template) -> Story:
    instance = aws.ebs_instance(**SOON)
    stack_id, outputs = created(aws, stored(template, instance))
    deleted(aws, stack_id)
    key = f"{outputs['ImageId']}.bin"
    aws.clients.s3.delete_object(Bucket=aws.ready["bucket"], Key=key)
    return Story(stack_id, instance, missing=frozenset({outputs["S3Uri"]}))


STORIES: tuple[Callable[[Aws, Template], Story], ...] = (
    _lives,
    _changed_in_place,
    _deleted_and_retained,
    _deleted_with_a_made_prefix,
    _deleted_and_removed,
    _retained_by_its_policy,
    _resource_removed,
    _added_again,
    partial(_replaced, on_delete="Retain"),
    partial(_replaced, on_delete="Delete"),
    partial(_replaced, on_delete="Delete", UpdateReplacePolicy="Retain"),
    _replacement_rolled_back,
    _failed,
    _registration_failed,
    _objects_removed_by_hand,
    _stored,
    _stored_and_replaced,
    _stored_and_failed,
    _stored_and_unregistered,
    _stored_and_object_removed,
)
