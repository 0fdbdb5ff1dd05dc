"""The EventBridge event of a bundle that was removed after it was announced as complete."""

import time
from dataclasses import replace
from typing import Any

import pytest
import time_machine

from instance_bundle import app
from instance_bundle.errors import PassingFault, Throttled
from instance_bundle.state.bundles import Bundles
from tests.fixtures import Context

from . import test_bus_events
from .conftest import Answers
from .test_bus_events import Events, asking, detail, entry, error, finished
from .test_lifecycle import Ec2
from .test_resource import complete, deliver, polls

ec2, published_events = test_bus_events.ec2, test_bus_events.published_events
calls = test_bus_events.calls

REMOVED = {"RequestId": "r2", "State": "removed"}


def test_a_removed_bundle_publishes_an_event_with_what_was_announced(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    finished(ec2, answers, context, Image={"Name": "web"}, OnDelete="Delete")
    [complete_event] = published_events()

    app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    [published] = published_events()
    assert published["detail"] == complete_event["detail"] | REMOVED


def test_a_removed_stored_image_publishes_an_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    stored: dict[str, Any] = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}
    app.handler(asking(answers, **stored, OnDelete="Delete"), context)
    ec2.tasks["ami-1"] = replace(ec2.tasks["ami-1"], phase="complete", state="complete")
    deliver(polls(), context)
    [complete_event] = published_events()

    app.handler(asking(answers, "Delete", "r2", "ami-1", **stored, OnDelete="Delete"), context)

    [published] = published_events()
    assert published["detail"] == complete_event["detail"] | REMOVED


def test_each_ami_that_was_announced_has_an_event_when_the_bundle_is_removed(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    named: list[dict[str, Any]] = [{"Name": "web"}, {"Name": "other"}, {"Name": "web"}]
    finished(ec2, answers, context, Image=named[0], OnDelete="Delete")
    for number in (1, 2):
        old = {"Image": named[number - 1], "OnDelete": "Delete"}
        asked = old | {"Image": named[number]}
        app.handler(asking(answers, "Update", f"u{number}", "bun-1", old=old, **asked), context)
    assert [each["detail"]["ImageId"] for each in published_events()] == [
        *("ami-registered1", "ami-registered2", "ami-registered1")
    ]

    app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)

    assert [published["detail"] for published in published_events()] == [
        detail(**REMOVED, ImageId="ami-registered1"),
        detail(**REMOVED, ImageId="ami-registered2"),
    ]


def test_a_bundle_that_was_complete_before_its_ami_has_an_event_of_both(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    asked: dict[str, Any] = {"Image": {"Name": "web"}, "OnDelete": "Delete"}
    finished(ec2, answers, context, OnDelete="Delete")
    app.handler(asking(answers, "Update", "u1", "bun-1", **asked), context)
    assert [each["detail"]["ImageId"] for each in published_events()] == ["", "ami-registered1"]

    app.handler(asking(answers, "Delete", "r2", "bun-1", **asked), context)

    assert [published["detail"] for published in published_events()] == [
        detail(**REMOVED),
        detail(**REMOVED, ImageId="ami-registered1"),
    ]


def test_an_ami_that_the_stack_no_longer_asks_for_has_an_event_when_its_bundle_is_removed(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    asked: dict[str, Any] = {"Image": {"Name": "web"}, "OnDelete": "Delete"}
    finished(ec2, answers, context, **asked)
    app.handler(asking(answers, "Update", "u1", "bun-1", old=asked, OnDelete="Delete"), context)
    published_events()

    app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)

    [published] = published_events()
    assert published["detail"] == detail(**REMOVED, ImageId="ami-registered1")


@pytest.mark.parametrize(
    "asked", [{"OnDelete": "Retain"}, {"DryRun": "true", "OnDelete": "Delete"}]
)
def test_a_delete_that_removes_nothing_publishes_no_event(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    asked: dict[str, Any],
) -> None:
    finished(ec2, answers, context, **asked)
    published_events()

    physical_id = answers.bodies[0]["PhysicalResourceId"]
    app.handler(asking(answers, "Delete", "r2", physical_id, **asked), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert published_events() == []


def test_a_delete_of_work_that_was_not_announced_publishes_no_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    app.handler(asking(answers, OnDelete="Delete"), context)
    complete(ec2)

    app.handler(asking(answers, "Delete", "r2", "Bundle-r1", OnDelete="Delete"), context)
    with time_machine.travel(time.time() + 40, tick=False):
        deliver(polls(), context)

    assert {body["RequestId"] for body in answers.bodies} == {"r1", "r2"}
    assert {each["detail"]["State"] for each in published_events()} <= {"failed"}


def test_a_removal_that_was_cut_off_is_announced_by_the_poll_that_completes_it(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished(ec2, answers, context, OnDelete="Delete")
    published_events()

    def stop(*_: Any) -> None:
        raise PassingFault("The process ends.")

    with monkeypatch.context() as patched:
        patched.setattr(Bundles, "leave_tombstone", stop)
        app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)
    assert ec2.removed != []
    assert published_events() == []

    deliver(polls(), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert [each["detail"] for each in published_events()] == [detail(**REMOVED)]


@pytest.mark.parametrize("times", [1, 2])
def test_a_removal_whose_event_met_a_fault_is_announced_again(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    calls: list[Any],
    times: int,
) -> None:
    finished(ec2, answers, context, OnDelete="Delete")
    published_events()
    calls += [error("ThrottlingException")] * times

    with pytest.raises(Throttled):
        app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)
    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert published_events() == []

    for number in range(1, times + 1):
        with time_machine.travel(time.time() + 60 * number, tick=False):
            deliver(polls(), context)

    assert [each["detail"] for each in published_events()] == [detail(**REMOVED)]
    assert {body["Status"] for body in answers.bodies} == {"SUCCESS"}


@pytest.mark.parametrize(
    "refusal", [error("AccessDeniedException"), entry("InvalidArgument")], ids=["call", "entry"]
)
def test_a_bus_that_refuses_the_event_holds_no_delete(
    ec2: Ec2, answers: Answers, context: Context, calls: list[Any], refusal: Any
) -> None:
    finished(ec2, answers, context, OnDelete="Delete")
    calls += [refusal] * 2

    app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete="Delete"), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert deliver(polls(), context) == []
    assert polls() == []
