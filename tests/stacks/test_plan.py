"""`plan` says what an update will do, and that is what it does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .operators import asked
from .support import Aws, created, side_by_side

Template = Callable[..., dict[str, Any]]
Body = dict[str, Any]


@dataclass
class Story:
    """A stack and its change sets.

    Attributes:
        aws: the sandbox.
        body: makes a template.
        stack_id: the stack's.
        bundle_id: the ID of its bundle.
    """

    aws: Aws
    body: Body
    stack_id: str = field(init=False)
    bundle_id: str = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self.stack_id, outputs = created(self.aws, self.body)
        self.bundle_id = outputs["BundleId"]

    def plan(self, body: Body, *, code: int = 0) -> Mapping[str, Any]:
        """What `plan` says of the one bundle that a change set changes."""
        self._count += 1
        stacks = self.aws.clients.cloudformation
        stacks.create_change_set(
            StackName=self.stack_id,
            ChangeSetName=f"c{self._count}",
            TemplateBody=json.dumps(body),
        )
        exited, shown = asked(self.aws, "plan", self.stack_id, f"c{self._count}")
        assert (exited, shown["obstacle"]) == (code, None), shown
        [change] = shown["changes"]
        assert isinstance(change, dict)
        return change

    def execute(self, status: str = "UPDATE_COMPLETE") -> dict[str, str]:
        """Execute the last change set; the stack's outputs then."""
        self.aws.clients.cloudformation.execute_change_set(
            StackName=self.stack_id, ChangeSetName=f"c{self._count}"
        )
        stack = self.aws.at_rest(self.stack_id)
        assert stack["StackStatus"] == status, self.aws.events(self.stack_id)
        return self.aws.outputs(stack) if "Outputs" in stack else {}


def former(change: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(each["physicalId"], each["becomes"]) for each in change["former"]]


def test_what_plan_says_is_what_happens(aws: Aws, template: Template) -> None:
    side_by_side(
        partial(_a_replacement_that_removes, aws, template),
        partial(_a_replacement_that_is_retained_by_a_policy, aws, template),
        partial(_a_change_that_makes_nothing, aws, template),
        partial(_an_ami_that_is_registered_and_changed, aws, template),
        partial(_a_stored_image_that_is_changed_and_replaced, aws, template),
        partial(_a_resource_that_is_taken_out, aws, template),
        partial(_a_request_that_fails, aws, template),
        partial(_a_value_that_is_known_later, aws, template),
    )


def _a_replacement_that_removes(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    story = Story(aws, template(instance, "plan/removed", OnDelete="Delete"))

    said = story.plan(template(instance, "plan/made"))

    assert (said["does"], said["instance"], said["prefix"]) == (
        *("replace", "shut down"),
        "plan/made",
    )
    assert former(said) == [(story.bundle_id, "removed")]
    assert len(aws.bundle_requests(instance)) == 1, "a plan asks for nothing"
    story.execute()
    assert len(aws.bundle_requests(instance)) == 2
    assert aws.keys("plan/made.manifest.xml")
    assert aws.keys("plan/removed") == []

    said = story.plan(template(instance, "plan/another"))
    assert [becomes for _, becomes in former(said)] == ["kept"]
    story.execute()
    assert aws.keys("plan/made.manifest.xml")


def _a_replacement_that_is_retained_by_a_policy(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")

    def body(prefix: str) -> Body:
        made = template(instance, prefix, OnDelete="Delete")
        made["Resources"]["Bundle"]["UpdateReplacePolicy"] = "Retain"
        return made

    story = Story(aws, body("plan/policy"))
    said = story.plan(body("plan/policy-2"))
    assert (said["does"], former(said)) == ("replace", [(story.bundle_id, "kept")])
    story.execute()
    assert aws.keys("plan/policy.manifest.xml")


def _a_change_that_makes_nothing(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    story = Story(aws, template(instance, "plan/same"))
    said = story.plan(template(instance, "plan/same", OnDelete="Delete", ServiceTimeout=600))
    assert (said["does"], said["stays"]) == ("nothing", story.bundle_id)
    assert story.execute()["BundleId"] == story.bundle_id
    assert len(aws.bundle_requests(instance)) == 1


def _an_ami_that_is_registered_and_changed(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")

    def body(**image: Any) -> Body:
        made = template(instance, "plan/ami", **({"Image": image} if image else {}))
        made["Outputs"]["ImageId"] = {"Value": {"Fn::GetAtt": ["Bundle", "ImageArn"]}}
        return made

    story, arns = Story(aws, body()), set[str]()
    for image, effect in (
        ({"Name": "plan-one"}, "another"),
        ({"Name": "plan-one", "Description": "Changed"}, "changed"),
        ({"Name": "plan-two"}, "another"),
    ):
        said = story.plan(body(**image))
        assert (said["does"], said["image"]) == ("update in place", effect)
        before = len(arns)
        arns.add(story.execute()["ImageId"])
        assert len(arns) - before == (1 if effect == "another" else 0)
    assert len(aws.bundle_requests(instance)) == 1


def _a_stored_image_that_is_changed_and_replaced(aws: Aws, template: Template) -> None:
    instance = aws.ebs_instance(image_seconds="1", store_seconds="1")

    def body(**image: Any) -> Body:
        return template(instance, Method="StoreImage", OnDelete="Delete", Image=image)

    story = Story(aws, body(Description="One"))
    said = story.plan(body(Description="Two"))
    assert (said["does"], said["image"], said["instance"]) == ("update in place", "changed", None)
    assert story.execute()["BundleId"] == story.bundle_id
    [image] = aws.clients.ec2.describe_images(ImageIds=[story.bundle_id])["Images"]
    assert image["Description"] == "Two"

    said = story.plan(body(Description="Two", NoReboot=True))
    assert (said["does"], said["instance"]) == ("replace", "keeps running")
    assert former(said) == [(story.bundle_id, "removed")]
    assert story.execute()["BundleId"] != story.bundle_id
    assert aws.keys(f"{story.bundle_id}.bin") == []

    said = story.plan(body(Name=f"plan-{story.bundle_id}"))
    assert (said["does"], said["instance"]) == ("replace", "rebooted")


def _a_resource_that_is_taken_out(aws: Aws, template: Template) -> None:
    queue = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    instance = aws.instance(seconds="1")
    removed = Story(aws, _with(template(instance, "plan/out", OnDelete="Delete"), queue))
    said = removed.plan(queue)
    assert (said["does"], former(said)) == ("delete", [(removed.bundle_id, "removed")])
    removed.execute()
    assert aws.keys("plan/out") == []

    body = _with(template(instance, "plan/kept", OnDelete="Delete"), queue)
    body["Resources"]["Bundle"]["DeletionPolicy"] = "Retain"
    kept = Story(aws, body)
    assert kept.plan(queue)["does"] == "not asked"
    kept.execute()
    assert aws.keys("plan/kept.manifest.xml")

    added = template(instance, "plan/added")
    said = kept.plan(_with(added, queue))
    assert (said["does"], said["action"]) == ("make", "Add")
    assert former(said) == [(kept.bundle_id, "kept")]
    kept.execute()
    assert aws.keys("plan/added.manifest.xml")


def _a_request_that_fails(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    story = Story(aws, template(instance, "plan/wrong"))
    said = story.plan(template(instance, "plan/wrong", Colour="red"), code=1)
    assert said["does"] == "fail"
    story.execute("UPDATE_ROLLBACK_COMPLETE")
    assert [p for p in said["problems"] if p.startswith("Colour")]


def _a_value_that_is_known_later(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    body = template(instance, "plan/known")
    story = Story(aws, body)
    [image] = aws.clients.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    launched = {"ImageId": image["Instances"][0]["ImageId"], "InstanceType": "m3.medium"}
    later = template({"Ref": "Server"}, "plan/known")
    later["Resources"]["Server"] = {"Type": "AWS::EC2::Instance", "Properties": launched}

    said = story.plan(later)

    assert said["knownAfterApply"] == ["InstanceId"]
    assert said["does"] == "nothing"
    assert said["ifChanged"]["does"] == "replace"
    assert former(said["ifChanged"]) == [(story.bundle_id, "kept")]


def _with(body: Body, more: Body) -> Body:
    return body | {"Resources": body["Resources"] | more["Resources"]}
