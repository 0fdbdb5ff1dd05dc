"""The ledger restored as docs/installations.md says, and stacks of before and since its backup."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from .installations import install, resources
from .pages import Operator
from .support import Aws, created, deleted, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

NAME = "restored"
SECTION = "Restore the ledger"


@dataclass
class Story:
    """A stack of this installation, whose bundle is removed with it.

    Attributes:
        aws: the sandbox.
        template: makes a template.
        name: the beginning of its prefixes.
        method: how its image is made.
    """

    aws: Aws
    template: Template
    name: str
    method: str = "BundleInstance"
    stack_id: str = ""

    def __post_init__(self) -> None:
        if self.method == "BundleInstance":
            self.instance = self.aws.instance(seconds="1")
        else:
            self.instance = self.aws.ebs_instance(image_seconds="1", store_seconds="1")

    def body(self, prefix: str, **properties: Any) -> dict[str, Any]:
        """The template of a bundle; an image has no prefix."""
        properties |= {"Method": self.method, "OnDelete": "Delete"}
        where = self.prefix(prefix) if self.method == "BundleInstance" else None
        body = self.template(self.instance, where, **properties)
        token = f"{{{{resolve:ssm:/instance-bundle/{NAME}/ServiceToken}}}}"
        body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = token
        return body

    def prefix(self, prefix: str) -> str:
        return f"{NAME}/{self.name}/{prefix}"

    def create(self) -> None:
        """Create it, with a first bundle."""
        self.stack_id, _ = created(self.aws, self.body("one"))

    def update(self, prefix: str, status: str = "UPDATE_COMPLETE", **properties: Any) -> None:
        """Update it to this bundle."""
        self.aws.update_stack(self.stack_id, self.body(prefix, **properties))
        stack = self.aws.at_rest(self.stack_id)
        assert stack["StackStatus"] == status, self.aws.events(self.stack_id)

    def bundles(self) -> list[str]:
        """The bundles of its that are there, by their prefixes."""
        manifests = {each: f"{self.prefix(each)}.manifest.xml" for each in ("one", "two")}
        keys = self.aws.keys(self.prefix(""))
        return [each for each, manifest in manifests.items() if manifest in keys]


def test_what_a_restored_ledger_does_not_have_is_never_removed(
    aws: Aws, template: Template, tmp_path: Path
) -> None:
    operator = Operator(aws, "docs/installations.md", tmp_path)
    typed = partial(operator.type, SECTION, APPLICATION=NAME, RESTORED=f"{NAME}-ledger")
    installation = install(aws, NAME, {"FunctionName": NAME, "ExportName": ""})
    assert aws.at_rest(installation)["StackStatus"] == "CREATE_COMPLETE", aws.events(installation)
    ledger = resources(aws, NAME)["LedgerTable"]
    names = ("before", "replaced", "under-way", "deleted", "updated", "in-place")
    before, replaced, under_way, *since = (Story(aws, template, name) for name in names)
    image = Story(aws, template, "image", method="StoreImage")

    side_by_side(before.create, replaced.create)
    _start(under_way, operator)
    backup = typed(0).strip()
    assert aws.stack(under_way.stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
    side_by_side(partial(replaced.update, "two"), *(each.create for each in (*since, image)))
    assert aws.at_rest(under_way.stack_id)["StackStatus"] == "CREATE_COMPLETE"
    assert "Nothing is in flight" in typed(1)
    typed(2, BACKUP=backup)
    typed(4, LEDGER=ledger)
    now = datetime.now(UTC).isoformat()
    operator.type(SECTION, 3, LEDGER=ledger, RESTORED=f"{NAME}-of-now", WHEN=now)

    dynamodb = aws.clients.client("dynamodb")
    assert {ledger, f"{NAME}-ledger"} <= {*dynamodb.list_tables()["TableNames"]}
    expires = dynamodb.describe_time_to_live(TableName=f"{NAME}-ledger")["TimeToLiveDescription"]
    assert expires == {"AttributeName": "expires", "TimeToLiveStatus": "ENABLED"}
    policies = {_policy(aws, name) for name in (ledger, f"{NAME}-ledger")}
    assert len(policies) == 1
    side_by_side(
        partial(_of_before, before),
        partial(_replaced_since, replaced),
        partial(_updated_to_another_place, under_way),
        partial(_deleted, since[0]),
        partial(_updated_to_another_place, since[1]),
        partial(_updated_in_place, since[2], operator),
        partial(_image_updated_in_place, image),
    )


def _policy(aws: Aws, table: str) -> str:
    dynamodb = aws.clients.client("dynamodb")
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    return str(dynamodb.get_resource_policy(ResourceArn=arn)["Policy"])


def _start(story: Story, operator: Operator) -> None:
    """Have its Create be under way, for longer than a backup takes."""
    story.instance = story.aws.instance(seconds="90")
    story.stack_id = story.aws.create_stack(story.body("one"))
    command = f"instance-bundle status --application {NAME} --output json"

    def is_polled() -> bool | None:
        requests = json.loads(operator.run(command))["requests"]
        return any(r["stackId"] == story.stack_id and r["taskId"] for r in requests) or None

    wait_for(is_polled, "the task in the ledger")


def _of_before(story: Story) -> None:
    outputs = story.aws.outputs(story.aws.stack(story.stack_id))
    story.update("one", ServiceTimeout=600)
    assert story.aws.outputs(story.aws.stack(story.stack_id)) == outputs
    deleted(story.aws, story.stack_id)
    assert story.bundles() == []


def _replaced_since(story: Story) -> None:
    assert story.bundles() == ["two"]
    deleted(story.aws, story.stack_id)
    assert story.bundles() == ["two"]


def _deleted(story: Story) -> None:
    deleted(story.aws, story.stack_id)
    assert story.bundles() == ["one"]


def _updated_to_another_place(story: Story) -> None:
    story.update("two")
    assert story.bundles() == ["one", "two"]
    deleted(story.aws, story.stack_id)
    assert story.bundles() == ["one"]


def _updated_in_place(story: Story, operator: Operator) -> None:
    story.update("one", "UPDATE_ROLLBACK_FAILED", ServiceTimeout=600)
    assert len(story.aws.bundle_requests(story.instance)) == 1
    Operator(story.aws, "docs/operating.md", operator.directory).type(
        "Continue the rollback", 1, STACK=story.stack_id
    )
    story.update("two")
    assert story.bundles() == ["one", "two"]


def _image_updated_in_place(story: Story) -> None:
    earlier = story.aws.outputs(story.aws.stack(story.stack_id))["BundleId"]
    story.update("one", ServiceTimeout=600)
    later = story.aws.outputs(story.aws.stack(story.stack_id))["BundleId"]
    assert later != earlier
    images = story.aws.clients.ec2.describe_images(ImageIds=[earlier, later])["Images"]
    assert len(images) == 2
