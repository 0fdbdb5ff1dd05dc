"""A request is confirmed before it changes what another request made, and only then."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from instance_bundle.aws import refusals, stacks
from instance_bundle.aws.stacks import Resource, Stack
from instance_bundle.errors import Doubtful, Refused, Throttled
from instance_bundle.lifecycle.lifecycle import Lifecycle
from instance_bundle.request import Location
from instance_bundle.settings import Limits
from instance_bundle.state import Done, Failed, Ledger, Pending, Record
from tests.fixtures import Clock

from .test_lifecycle import RUNNING, Ec2, methods, opened, request, stored_record

DENIAL = Doubtful(refusals.denied("cloudformation:DescribeStacks", "AccessDenied", "No."))
HERE = Location("images", "web")
ROOT = "arn:aws:cloudformation:us-east-1:123456789012:stack/top/1"


@dataclass
class CloudFormation:
    """A simulated CloudFormation.

    Attributes:
        root: the stack at the top, if the stack is nested.
        had: the physical IDs that the resource has had.
        obstacle: the exception that each call raises.
        asked: how many calls were made.
    """

    stack: Stack
    resource: Resource
    root: Stack | None = None
    had: tuple[str, ...] = ()
    obstacle: Exception | None = None
    asked: int = 0

    def describe_stack(self, stack_id: str) -> Stack:
        self.asked += 1
        if self.obstacle is not None:
            raise self.obstacle
        return self.root if self.root and stack_id == ROOT else self.stack


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    made = CloudFormation(Stack("CREATE_COMPLETE"), Resource(status=""))
    monkeypatch.setattr(stacks, "describe_stack", made.describe_stack)
    monkeypatch.setattr(stacks, "describe_resource", lambda *_: made.resource)
    monkeypatch.setattr(stacks, "has_had", lambda *asked: asked[2] in made.had)
    return made


@pytest.fixture
def ec2() -> Ec2:
    return Ec2()


@pytest.fixture
def life(ledger: Ledger, ec2: Ec2, clock: Clock, cloudformation: CloudFormation) -> Lifecycle:
    return Lifecycle(ledger, methods(ec2), Limits(), clock=clock)


def finished(life: Lifecycle, ledger: Ledger, ec2: Ec2, *, on_delete: str = "Delete") -> Record:
    """A Create whose bundle bun-1 is finished, and answered."""
    record = opened(ledger, request(OnDelete=on_delete))
    life.drive(record)
    ec2.stored.add(HERE)
    ec2.tasks["bun-1"] = replace(RUNNING, phase="complete", state="complete")
    done = life.drive(stored_record(ledger, record), lambda: ec2.tasks["bun-1"])
    assert isinstance(done, Done)
    return ledger.store_answer(record, done)[0]


BLUE: dict[str, Any] = {"Storage": {"S3": {"Bucket": "images"}}}
GREEN = {**BLUE, "InstanceId": "i-abcdef01234567890"}


def replaced(life: Lifecycle, ledger: Ledger, ec2: Ec2) -> None:
    """An Update to GREEN, whose bundle bun-2 has replaced bun-1, of BLUE."""
    for number, (kind, before, asked) in enumerate(
        [("Create", "", BLUE), ("Update", "bun-1", GREEN)], start=1
    ):
        record = opened(ledger, request(kind, f"r{number}", before, **asked))
        life.drive(record)
        complete = replace(RUNNING, id=f"bun-{number}", phase="complete", state="complete")
        ec2.tasks[complete.id] = complete
        done = life.drive(stored_record(ledger, record), lambda task=complete: task)  # type: ignore[misc]
        assert isinstance(done, Done)
        ledger.store_answer(record, done)


def until_answered(life: Lifecycle, ledger: Ledger, clock: Clock, record: Record) -> Done | Failed:
    """Poll until there is an answer."""
    while isinstance(outcome := life.drive(stored_record(ledger, record)), Pending):
        clock.now += outcome.seconds
    return outcome


def test_creates_of_new_resources_ask_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, cloudformation: CloudFormation
) -> None:
    for number in range(20):
        asked = request(request_id=f"r{number}")
        key = replace(asked.key, logical_id=f"Bundle{number}")
        prefix = {"S3": {"Bucket": "images", "Prefix": f"web{number}"}}
        asked = replace(asked, key=key, properties={**asked.properties, "Storage": prefix})
        assert isinstance(life.drive(opened(ledger, asked)), Pending)

    assert len(ec2.started) == 20
    assert cloudformation.asked == 0


@pytest.mark.parametrize("physical_id", ["bun-1", "made-up"])
def test_a_delete_that_cloudformation_does_not_confirm_changes_nothing(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    cloudformation: CloudFormation,
    physical_id: str,
) -> None:
    record = finished(life, ledger, ec2)
    cloudformation.resource = Resource("CREATE_COMPLETE", "bun-1")
    delete = opened(ledger, request("Delete", "r2", physical_id, ServiceTimeout="60"))

    answer = until_answered(life, ledger, clock, delete)

    assert (ec2.removed, len(ledger.resource(record.key).bundles)) == ([], 1)
    if physical_id == "bun-1":
        assert isinstance(answer, Failed)
        assert "stack CREATE_COMPLETE, resource CREATE_COMPLETE" in answer.reason


def test_a_delete_that_cloudformation_confirms_is_carried_out_at_once(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, cloudformation: CloudFormation
) -> None:
    finished(life, ledger, ec2)
    cloudformation.stack = Stack("DELETE_IN_PROGRESS")

    assert life.drive(opened(ledger, request("Delete", "r2", "bun-1"))) == Done("bun-1")
    assert ec2.removed == [(HERE, "what bun-1 finished")]


@pytest.mark.parametrize(("had", "removed"), [((), 1), (("bun-1",), 0)])
def test_a_create_that_was_not_received_is_deleted_without_harm_to_the_one_before(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    cloudformation: CloudFormation,
    had: tuple[str, ...],
    removed: int,
) -> None:
    finished(life, ledger, ec2)  # and then retained, if CloudFormation received the answer
    cloudformation.stack, cloudformation.had = Stack("UPDATE_ROLLBACK_IN_PROGRESS"), had
    cloudformation.resource = Resource("DELETE_IN_PROGRESS", "web-Bundle-1ABC")

    answer = life.drive(opened(ledger, request("Delete", "r2", "web-Bundle-1ABC")))

    assert answer == Done("web-Bundle-1ABC")
    assert len(ec2.removed) == removed


def test_a_nested_stack_deletes_what_it_replaced_once_the_root_stack_is_updated(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, cloudformation: CloudFormation
) -> None:
    replaced(life, ledger, ec2)
    cloudformation.stack = Stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", root_id=ROOT)
    cloudformation.resource = Resource("UPDATE_COMPLETE", "bun-2")
    cloudformation.root = Stack("UPDATE_IN_PROGRESS")
    delete = opened(ledger, request("Delete", "r3", "bun-1", **BLUE, OnDelete="Delete"))

    assert isinstance(life.drive(delete), Pending)
    cloudformation.root = Stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    assert life.drive(stored_record(ledger, delete)) == Done("bun-1")


def test_a_clean_up_leaves_work_whose_acceptance_cloudformation_may_have(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, cloudformation: CloudFormation
) -> None:
    finished(life, ledger, ec2)
    update = opened(ledger, request("Update", "r2", "bun-1", old=BLUE, **GREEN))
    life.drive(update)
    ledger.store_acceptance(stored_record(ledger, update), Done("bun-2"))
    clock.now += 60  # its process was killed right after it had sent the acceptance
    cloudformation.stack = Stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    cloudformation.resource = Resource("UPDATE_COMPLETE", "bun-2")

    answer = life.drive(opened(ledger, request("Delete", "r3", "bun-1")))

    assert answer == Done("bun-1")
    assert (ec2.cancelled, len(ec2.removed)) == ([], 1)
    assert not stored_record(ledger, update).superseded


@pytest.mark.parametrize(
    ("status", "removed"), [("DELETE_IN_PROGRESS", 0), ("ROLLBACK_IN_PROGRESS", 1)]
)
def test_retain_except_on_create_removes_what_a_rolled_back_creation_made(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    cloudformation: CloudFormation,
    status: str,
    removed: int,
) -> None:
    finished(life, ledger, ec2, on_delete="RetainExceptOnCreate")
    cloudformation.stack = Stack(status)
    cloudformation.resource = Resource("DELETE_IN_PROGRESS", "bun-1")

    assert life.drive(opened(ledger, request("Delete", "r2", "bun-1"))) == Done("bun-1")
    assert len(ec2.removed) == removed


def test_a_create_over_a_finished_bundle_releases_it_once_cloudformation_confirms(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, cloudformation: CloudFormation
) -> None:
    first = finished(life, ledger, ec2)
    elsewhere = {"S3": {"Bucket": "images", "Prefix": "elsewhere"}}
    create = opened(ledger, request(request_id="r2", Storage=elsewhere))

    assert isinstance(life.drive(create), Pending)
    assert (len(ec2.started), ledger.resource(first.key).released) == (1, ())
    cloudformation.stack = Stack("UPDATE_IN_PROGRESS")
    for _ in range(2):
        assert isinstance(life.drive(stored_record(ledger, create)), Pending)
        clock.now += 10

    assert len(ec2.started) == 2
    assert [bundle.physical_id for bundle in ledger.resource(first.key).released] == ["bun-1"]
    cloudformation.stack = Stack("DELETE_IN_PROGRESS")
    delete = opened(ledger, request("Delete", "r3", "bun-1"))
    until_answered(life, ledger, clock, delete)
    assert ec2.removed == []


def test_a_create_that_cloudformation_does_not_confirm_starts_and_releases_nothing(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, cloudformation: CloudFormation
) -> None:
    first = finished(life, ledger, ec2)
    create = opened(ledger, request(request_id="r2", ServiceTimeout="60"))

    answer = until_answered(life, ledger, clock, create)

    assert isinstance(answer, Failed)
    assert "CloudFormation does not confirm this Create" in answer.reason
    assert len(ec2.started) == 1
    assert len(ledger.resource(first.key).bundles) == 1


@pytest.mark.parametrize("is_rollback", [True, False])
def test_an_update_to_an_earlier_identity_makes_a_new_bundle_unless_it_is_a_rollback(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    cloudformation: CloudFormation,
    is_rollback: bool,
) -> None:
    replaced(life, ledger, ec2)
    status = "UPDATE_ROLLBACK_IN_PROGRESS" if is_rollback else "UPDATE_IN_PROGRESS"
    cloudformation.stack = Stack(status)
    back = opened(ledger, request("Update", "r3", "bun-2", **BLUE))

    outcome = life.drive(back)
    if is_rollback:
        assert outcome == Done("bun-1", ledger.resource(back.key).bundles[0].attributes)
        return
    while isinstance(outcome, Pending) and len(ec2.started) == 2:
        clock.now += outcome.seconds
        outcome = life.drive(stored_record(ledger, back))
    assert len(ec2.started) == 3
    assert [bundle.physical_id for bundle in ledger.resource(back.key).released] == ["bun-1"]


@pytest.mark.parametrize("first", ["r3", "r4"])
def test_an_update_is_not_started_after_the_rollback_of_the_same_second(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    cloudformation: CloudFormation,
    first: str,
) -> None:
    record = finished(life, ledger, ec2)
    there = dict(request().properties) | {"OnDelete": "Delete"}
    other = there | {"InstanceId": "i-abcdef01234567890"}
    clock.now += 600
    cloudformation.stack = Stack("UPDATE_ROLLBACK_IN_PROGRESS")
    asked = {
        "r3": request("Update", "r3", "bun-1", old=there, **other),
        "r4": request("Update", "r4", "bun-1", old=other, **there),
    }
    received = {name: opened(ledger, asked[name]) for name in sorted(asked, key=first.__ne__)}

    late = life.drive(received["r3"])
    assert isinstance(late, Failed)
    ledger.store_answer(received["r3"], late)
    back = life.drive(received["r4"])

    assert back == Done("bun-1", ledger.resource(record.key).bundles[0].attributes)
    assert len(ec2.started) == 1


def test_what_a_rollback_has_left_under_retain_is_not_removed_by_the_next_update(
    life: Lifecycle, ledger: Ledger, ec2: Ec2, clock: Clock, cloudformation: CloudFormation
) -> None:
    replaced(life, ledger, ec2)
    cloudformation.stack = Stack("UPDATE_ROLLBACK_IN_PROGRESS")
    back = opened(ledger, request("Update", "r3", "bun-2", old=GREEN, **BLUE))
    answer = life.drive(back)
    assert isinstance(answer, Done)
    ledger.store_answer(back, answer)
    clock.now += 600
    cloudformation.stack = Stack("UPDATE_IN_PROGRESS")

    again = opened(ledger, request("Update", "r4", "bun-1", old=BLUE, **BLUE, OnDelete="Delete"))
    answer = life.drive(again)

    assert (answer.physical_id, ec2.removed) == ("bun-1", [])  # type: ignore[union-attr]
    held = {bundle.physical_id for bundle in ledger.resource(again.key).bundles}
    assert held == {"bun-1", "bun-2"}


@pytest.mark.parametrize("obstacle", [DENIAL, Throttled("cloudformation:DescribeStacks")])
def test_where_cloudformation_can_not_be_asked_nothing_is_harmed(
    life: Lifecycle,
    ledger: Ledger,
    ec2: Ec2,
    clock: Clock,
    cloudformation: CloudFormation,
    obstacle: Exception,
) -> None:
    finished(life, ledger, ec2)
    cloudformation.obstacle = obstacle
    delete = opened(ledger, request("Delete", "r2", "bun-1"))

    for _ in range(2):
        with pytest.raises(Refused if obstacle is DENIAL else Throttled):
            life.drive(stored_record(ledger, delete))
        clock.now += 1800

    assert ec2.removed == []
    assert cloudformation.asked == 2
