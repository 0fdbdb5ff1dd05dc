"""docs/operating.md has an entry for each alarm, class of Reason, and state of failure."""

import inspect
import re
from collections.abc import Iterator

import pytest
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import errors
from instance_bundle.aws import advice
from instance_bundle.errors import Problem, Refusal, Timeout
from instance_bundle.methods import Task
from instance_bundle.settings import Identity
from sandbox.artifact import REPOSITORY

DOCS = REPOSITORY / "docs"
TEXT = (DOCS / "operating.md").read_text()
ENTRIES: dict[str, str] = dict(
    re.findall(
        r"^### (.+)\n((?:(?!##).*\n)+)", TEXT.partition("## States of a stack")[2], re.MULTILINE
    )
)
STATES = {"ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"}
REASONS = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Refusal) and kind is not Refusal
}
HOUR = Timeout("ServiceTimeout", 3600)
TASK, INSTANCE = "bun-0c1d2e3f4a5b6c7d8", "i-1234567890abcdef0"
IMAGE, WEB = "ami-0a1b2c3d4e5f6a7b8", "s3://my-images/web/windows"
STORING = Task(TASK, "running", "storing", "80%", "", "")
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:owner-AbCdEf"  # noqa: S105
NOT_PERMITTED = "UnauthorizedOperation", "You are not authorized to perform this operation"


def examples() -> Iterator[Refusal]:
    """A Reason of each class, as the function makes it."""
    yield errors.Paused("cfn-instance-bundle")
    yield errors.InvalidProperties([Problem("OnDelete", "must be Retain, Delete or …")])
    yield errors.NotAllowed(INSTANCE, "bundles=yes")
    yield errors.Unsuitable(
        "InstanceId", f"there is no instance {INSTANCE} in the stack's account and region."
    )
    yield errors.NotSuited(INSTANCE, "BundleInstance", "StoreImage", "")
    yield errors.NotDeletable(WEB)
    yield errors.UnusableSecret(SECRET, "it is no JSON object")
    yield errors.NameTaken("web", IMAGE)
    yield errors.LocationTaken(WEB, "there is a bundle, or a key of one of its parts, already")
    yield errors.ConditionFailed(None)
    yield errors.Superseded()
    yield refused("ec2:CreateImage", *NOT_PERMITTED)
    yield errors.Gone(
        "ec2:CreateTags", "InvalidAMIID.NotFound", f"The image id '[{IMAGE}]' does not exist"
    )
    yield errors.ImageGone(IMAGE, "Change Image.Name")
    yield errors.TaskFailed(TASK, "Client.S3Error", "The bucket could not be accessed")
    yield errors.NotRegistered(TASK, WEB, str(refused("ec2:RegisterImage", *NOT_PERMITTED)))
    yield errors.DeadlineExceeded(HOUR, f"{STORING}; its cancel was requested")
    yield errors.RefusedToTheEnd(
        HOUR, str(refused("ec2:DescribeBundleTasks", *NOT_PERMITTED)), str(STORING)
    )
    yield errors.NotConfirmed("Delete", "stack UPDATE_COMPLETE, resource UPDATE_COMPLETE")
    yield errors.CannotTell("stack UPDATE_IN_PROGRESS, resource UPDATE_IN_PROGRESS")
    yield errors.NotEnded(3600, f"{STORING}; its cancel was requested")


def refused(call: str, code: str, message: str) -> errors.Denied:
    """A refused call, with what the function advises."""
    return errors.Denied(call, code, message, advice.on(call, code, message))


@pytest.fixture(autouse=True)
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has a name and a role."""
    whose = Identity("cfn-instance-bundle", "bundles", "cfn-instance-bundle")
    monkeypatch.setattr(advice, "identity", lambda: whose)


def test_each_state_alarm_and_class_of_reason_has_an_entry() -> None:
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    alarms = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }

    assert ENTRIES.keys() == STATES | alarms | REASONS.keys()


@pytest.mark.parametrize("name", ENTRIES)
def test_each_entry_says_what_to_do_and_what_is_left(name: str) -> None:
    assert re.findall(r"^- \*\*(\w+)\*\*:", ENTRIES[name], re.MULTILINE) == ["Do", "Left"]


@pytest.mark.parametrize("name", REASONS)
def test_an_entry_has_a_reason_as_the_class_words_it(name: str) -> None:
    [example] = [each for each in examples() if type(each) is REASONS[name]]
    shown = re.findall(r"```text\n(.+?)\n```", ENTRIES[name], re.DOTALL)

    assert [" ".join(each.split()) for each in shown] == [str(example)]


@pytest.mark.parametrize("page", ["operating.md", "installations.md", "command.md"])
def test_each_link_leads_to_a_heading(page: str) -> None:
    links = re.findall(r"\]\(([\w./]*)#([^)]+)\)", (DOCS / page).read_text())

    assert [(to, anchor) for to, anchor in links if anchor not in anchors(to or page)] == []


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
