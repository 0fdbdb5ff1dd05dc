"""What a paused application does: each row of the table in docs/operating.md."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError

from instance_bundle import app, aws
from instance_bundle.aws import stacks
from instance_bundle.aws.calls import CALLS, Purpose, require_unpaused
from instance_bundle.errors import Paused, Refused
from instance_bundle.lifecycle.lifecycle import Lifecycle
from instance_bundle.methods import BundleInstance, Methods, StoreImage
from instance_bundle.request import RequestKey
from instance_bundle.request.admission import admit, admit_update
from instance_bundle.settings import Limits, identity, is_paused
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done, Failed, Pending
from instance_bundle.state.records import Record
from sandbox.ec2 import api as sandbox_ec2
from tests.fixtures import Clock, Context

from .conftest import Answers
from .test_images import own_images
from .test_lifecycle import STACK, Ec2, opened, refused, request, stored_record
from .test_resource import complete, deliver, ec2, event, polls, removing, update

__all__ = ["ec2"]

IMAGE = {"Name": "web"}
REASON = (
    "The application our-bundles is paused: its parameter Paused is true. Set it to false, then "
    "deploy or delete the stack again."
)


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("INSTALLATION", "our-bundles")
    identity.cache_clear()
    yield
    identity.cache_clear()


class Switch:
    """The application's parameter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def on(self) -> None:
        """Pause the application."""
        self._monkeypatch.setenv("PAUSED", "true")

    def off(self) -> None:
        """End that."""
        self._monkeypatch.setenv("PAUSED", "false")


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Switch:
    return Switch(monkeypatch)


@pytest.fixture
def life(ledger: Ledger, clock: Clock) -> Iterator[Lifecycle]:
    """The lifecycle with both methods, in an EC2 that keeps EC2's rules."""
    limits = Limits()
    methods = Methods({"BundleInstance": BundleInstance(limits), "StoreImage": StoreImage(limits)})
    with sandbox_ec2.install(clock, delay=0):
        aws.s3().create_bucket(Bucket="images")
        yield Lifecycle(ledger, methods, limits, asks=False, clock=clock)


def bundling(life: Lifecycle, **properties: Any) -> Record:
    """The record of a Create whose bundle task runs."""
    instance = sandbox_ec2.run_windows_instance_store(aws.ec2())
    return started(life, InstanceId=instance, **properties)


def imaging(life: Lifecycle, **properties: Any) -> Record:
    """The record of a Create whose AMI is pending."""
    instance = sandbox_ec2.run_ebs_instance(aws.ec2())
    s3 = {"S3": {"Bucket": "images"}}
    return started(life, InstanceId=instance, Method="StoreImage", Storage=s3, **properties)


def started(life: Lifecycle, **properties: Any) -> Record:
    record = opened(life.ledger, request(**properties))
    assert isinstance(life.drive(record), Pending)
    return stored_record(life.ledger, record)


def finished(life: Lifecycle, clock: Clock, record: Record) -> Done:
    """The Create's answer, once its work is complete."""
    for _ in range(3):
        clock.now += 10
        outcome = life.drive(stored_record(life.ledger, record))
    assert isinstance(outcome, Done)
    life.ledger.store_answer(record, outcome)
    return outcome


def delete_of(record: Record, physical_id: str) -> Any:
    assert record.request is not None
    return replace(
        record.request,
        key=RequestKey(STACK, "Bundle", "r9"),
        request_type="Delete",
        physical_id=physical_id,
    )


def keys() -> list[str]:
    return [each["Key"] for each in aws.s3().list_objects_v2(Bucket="images").get("Contents", [])]


def stored() -> int:
    """How many images are stored, or being stored."""
    try:
        return len(aws.ec2().describe_store_image_tasks()["StoreImageTaskResults"])
    except ClientError:
        return 0


# Calls


@pytest.mark.parametrize(
    ("given", "means"),
    [(None, False), ("", False), ("false", False), ("True", False), ("true", True)],
)
def test_the_application_is_paused_only_where_that_is_said_in_so_many_words(
    monkeypatch: pytest.MonkeyPatch, given: str | None, *, means: bool
) -> None:
    monkeypatch.delenv("PAUSED", raising=False)
    if given is not None:
        monkeypatch.setenv("PAUSED", given)

    assert is_paused() is means


@pytest.mark.parametrize("call", CALLS)
def test_a_paused_application_makes_no_call_that_starts_work_or_removes(
    pause: Switch, call: str
) -> None:
    require_unpaused(call)
    pause.on()
    changes = CALLS[call].purpose in {Purpose.START, Purpose.GO_ON, Purpose.REMOVE}

    if changes and call != "ec2:CancelBundleTask":
        with pytest.raises(Refused) as raised:
            require_unpaused(call)
        assert str(raised.value.refusal) == REASON
    else:
        require_unpaused(call)


# Creates and Updates


def test_a_create_and_an_update_that_goes_on_are_refused(pause: Switch) -> None:
    pause.on()

    for asked in (request(), request(Colour="red")):
        with pytest.raises(Paused) as raised:
            admit(asked, Limits(), 0)
        assert str(raised.value) == REASON
    with pytest.raises(Paused):
        admit_update(request("Update"), Limits())
    assert admit_update(request("Update"), Limits(), lambda: True)


def test_a_create_is_failed_at_once_and_its_delete_is_answered(
    ec2: Ec2, answers: Answers, context: Context, pause: Switch
) -> None:
    pause.on()

    app.handler(event(answers), context)
    failed = answers.bodies[0]
    id_ = failed["PhysicalResourceId"]
    app.handler(event(answers, "Delete", RequestId="r2", PhysicalResourceId=id_), context)

    assert (failed["Status"], failed["Reason"]) == ("FAILED", REASON)
    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert ec2.started == []


@pytest.mark.parametrize("changed", [{"OnDelete": "Delete"}, {"InstanceId": "i-00000000000000001"}])
def test_an_update_is_failed_at_once_and_its_rollback_is_answered(
    ec2: Ec2, answers: Answers, context: Context, pause: Switch, changed: dict[str, Any]
) -> None:
    app.handler(event(answers), context)
    complete(ec2)
    deliver(polls(), context)
    pause.on()

    app.handler(update(answers, "r2", changed, {}), context)
    app.handler(update(answers, "r3", {}, changed), context)

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS", "FAILED", "SUCCESS"]
    assert answers.bodies[1]["Reason"] == REASON
    assert {body["PhysicalResourceId"] for body in answers.bodies} == {"bun-1"}


@pytest.mark.parametrize(
    ("status", "rolls_back"), [("UPDATE_ROLLBACK_IN_PROGRESS", True), ("UPDATE_IN_PROGRESS", False)]
)
def test_a_rollback_that_the_ledger_does_not_show_is_one_if_cloudformation_says_so(
    life: Lifecycle, monkeypatch: pytest.MonkeyPatch, status: str, *, rolls_back: bool
) -> None:
    monkeypatch.setattr(stacks, "describe_stack", lambda _: stacks.Stack(status))
    asked = request("Update", "r2", "bun-1")
    opened(life.ledger, asked)

    assert replace(life, asks=True).is_rollback(asked.key) is rolls_back
    assert not life.is_rollback(asked.key)


def test_an_update_that_was_received_before_is_failed(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = bundling(life)
    done = finished(life, clock, record)
    asked = request("Update", "r2", done.physical_id, old=record.request.properties)  # type: ignore[union-attr]
    received = opened(life.ledger, asked)
    pause.on()

    with pytest.raises(Paused):
        life.drive(received)


# Running work


def test_a_bundle_that_needs_nothing_more_is_answered(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = bundling(life)
    pause.on()

    assert finished(life, clock, record).attributes["State"] == "complete"


def test_no_ami_is_registered_until_that_is_over(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = bundling(life, Image=IMAGE)
    pause.on()
    clock.now += 10

    with pytest.raises(Refused) as raised:
        life.drive(record)
    assert "is complete and kept at s3://images/web, but no AMI" in str(raised.value)
    assert str(raised.value).endswith(REASON)
    assert own_images() == []
    assert stored_record(life.ledger, record).attempted_at == record.attempted_at

    pause.off()
    assert finished(life, clock, record).attributes["ImageId"] == own_images()[0]


def test_an_ami_is_stored_once_that_is_over(life: Lifecycle, clock: Clock, pause: Switch) -> None:
    record = imaging(life)
    pause.on()
    clock.now += 10

    for _ in range(2):
        with refused(life.ledger, record, clock):
            life.drive(stored_record(life.ledger, record))
        clock.now += 10
    assert stored() == 0
    assert stored_record(life.ledger, record).attempted_at == record.attempted_at

    pause.off()
    assert finished(life, clock, record).attributes["ImageId"] == own_images()[0]


def test_at_the_deadline_the_reason_says_that_the_application_is_paused(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = imaging(life, ServiceTimeout="300")
    pause.on()
    clock.now = record.deadline - 125
    with refused(life.ledger, record, clock):
        life.drive(stored_record(life.ledger, record))
    clock.now = record.deadline

    outcome = life.drive(stored_record(life.ledger, record))

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"Not complete within ServiceTimeout (300 s): {REASON} Last")
    assert outcome.reason.endswith("is available at 50%; it was not cancelled.")
    assert own_images() == [outcome.physical_id]


# Deletes


@pytest.mark.parametrize("make", [bundling, imaging])
def test_a_delete_that_removes_waits(
    life: Lifecycle, clock: Clock, pause: Switch, make: Any
) -> None:
    record = make(life, OnDelete="Delete")
    done = finished(life, clock, record)
    before = keys(), own_images()
    pause.on()
    delete = opened(life.ledger, delete_of(record, done.physical_id))

    with pytest.raises(Refused, match="The application our-bundles is paused"):
        life.drive(delete)
    assert (keys(), own_images()) == before

    pause.off()
    assert isinstance(life.drive(stored_record(life.ledger, delete)), Done)
    assert (keys(), own_images()) == ([], [])


def test_a_delete_that_waited_to_its_deadline_is_failed(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    pause: Switch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app.handler(event(answers) | removing(answers), context)
    complete(ec2)
    deliver(polls(), context)
    monkeypatch.setattr(ec2, "remove", lambda _: require_unpaused("s3:DeleteObjects"))
    pause.on()
    delete = event(answers, "Delete", RequestId="r2", PhysicalResourceId="bun-1")

    app.handler(delete | removing(answers), context)
    assert len(answers.bodies) == 1
    with time_machine.travel(time.time() + 3600, tick=False):
        deliver(polls(), context)

    assert answers.bodies[1]["Status"] == "FAILED"
    assert answers.bodies[1]["Reason"] == f"Not complete within ServiceTimeout (3600 s): {REASON}"


@pytest.mark.parametrize("make", [bundling, imaging])
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_delete_that_removes_nothing_is_answered(
    life: Lifecycle, clock: Clock, pause: Switch, make: Any, *, is_gone: bool
) -> None:
    """The resource is to be retained, or others have removed all of it."""
    record = make(life, OnDelete="Delete" if is_gone else "Retain")
    done = finished(life, clock, record)
    if is_gone:
        for image_id in own_images():
            aws.ec2().deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
        for key in keys():
            aws.s3().delete_object(Bucket="images", Key=key)
    pause.on()

    delete = opened(life.ledger, delete_of(record, done.physical_id))

    assert isinstance(life.drive(delete), Done)


def test_the_clean_up_of_a_create_waits_until_that_is_over(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = imaging(life)
    clock.now += 40
    pause.on()
    delete = opened(life.ledger, delete_of(record, "invented"))

    with pytest.raises(Refused, match="The application our-bundles is paused"):
        life.drive(delete)
    assert len(own_images()) == 1

    pause.off()
    for _ in range(3):
        clock.now += 10
        outcome = life.drive(stored_record(life.ledger, delete))
    assert isinstance(outcome, Done)
    assert own_images() == []


def test_a_bundle_task_is_cancelled_all_the_same(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = bundling(life)
    pause.on()

    life.drive(opened(life.ledger, delete_of(record, "invented")))

    [task] = aws.ec2().describe_bundle_tasks()["BundleTasks"]
    assert task["State"] in ("cancelling", "failed")


def test_a_rollback_does_not_wait_for_what_a_later_delete_removes(
    life: Lifecycle, clock: Clock, pause: Switch
) -> None:
    record = imaging(life, Image={"Name": "one"})
    done = finished(life, clock, record)
    old = dict(record.request.properties)  # type: ignore[union-attr]
    new = {**old, "Image": {"Name": "two"}}
    asked = request("Update", "r2", done.physical_id, old=old, **new)
    forward = opened(life.ledger, asked)
    assert isinstance(life.drive(forward), Pending)
    life.ledger.store_answer(forward, Failed(done.physical_id, "The stack's update was cancelled."))
    clock.now += 40
    pause.on()

    back = opened(life.ledger, request("Update", "r3", done.physical_id, old=new, **old))
    assert life.drive(back) == done
    assert len(own_images()) == 2

    life.ledger.store_answer(back, done)
    pause.off()
    delete = opened(life.ledger, delete_of(record, done.physical_id))
    for _ in range(3):
        clock.now += 10
        outcome = life.drive(stored_record(life.ledger, delete))
    assert isinstance(outcome, Done)
    assert own_images() == [done.physical_id]
