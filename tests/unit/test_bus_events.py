"""The EventBridge event of work that has ended; a rule on moto's bus sends it to a queue."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import time_machine
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ConnectTimeoutError

from instance_bundle import app, aws, last_resort
from instance_bundle.aws import refusals
from instance_bundle.errors import PassingFault, Throttled
from instance_bundle.methods import Bundle
from instance_bundle.request import Location
from instance_bundle.request.event import Request
from instance_bundle.responses import events
from instance_bundle.state.outcome import Done
from instance_bundle.state.records import Announcement, Record
from tests.fixtures import Context

from .conftest import Answers
from .test_lifecycle import RUNNING, STACK, Ec2, methods
from .test_resource import complete, deliver, event, polls

INSTANCE = "i-1234567890abcdef0"
OF_A_TASK = ("BundleId", "Progress", "StartTime", "UpdateTime", "TaskState")


@pytest.fixture
def ec2(cloud: None, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """The handler's own ledger, queue and bus, with a simulated method."""
    method = Ec2()
    monkeypatch.setattr(app, "methods", cache(lambda: methods(method)))
    monkeypatch.setenv("EVENT_BUS", "default")
    return method


Events = Callable[[], list[dict[str, Any]]]


def listen(bus: str) -> Events:
    """Returns a function that receives the events published to a bus since its last call."""
    queue = aws.sqs().create_queue(QueueName=f"events-{bus}")["QueueUrl"]
    attributes = aws.sqs().get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    aws.events().put_rule(
        Name="ended",
        EventBusName=bus,
        EventPattern=json.dumps(
            {"source": ["cfn-instance-bundle"], "detail-type": ["Instance Bundle State Change"]}
        ),
    )
    aws.events().put_targets(
        Rule="ended",
        EventBusName=bus,
        Targets=[{"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}],
    )

    def take() -> list[dict[str, Any]]:
        taken = []
        while messages := aws.sqs().receive_message(QueueUrl=queue).get("Messages"):
            for message in messages:
                taken.append(json.loads(message["Body"]))
                aws.sqs().delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return taken

    return take


@pytest.fixture
def published_events(cloud: None) -> Events:
    return listen("default")


def asking(
    answers: Answers,
    kind: str = "Create",
    request_id: str = "r1",
    physical_id: str = "",
    *,
    old: dict[str, Any] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    raw = event(answers)["ResourceProperties"]
    others = {"OldResourceProperties": raw | (old or {})} if kind == "Update" else {}
    return event(
        answers,
        kind,
        RequestId=request_id,
        PhysicalResourceId=physical_id,
        ResourceProperties=raw | properties,
        **others,
    )


def detail(**others: str) -> dict[str, str]:
    """The event's detail for a complete bundle bun-1, with some members replaced."""
    return {
        "StackId": STACK,
        "StackName": "web",
        "LogicalResourceId": "Bundle",
        "RequestId": "r1",
        "Method": "BundleInstance",
        "InstanceId": INSTANCE,
        "BundleId": "bun-1",
        "ImageId": "",
        "Bucket": "images",
        "Prefix": "web",
        "S3Uri": "s3://images/web",
        "Progress": "100%",
        "StartTime": RUNNING.started,
        "UpdateTime": RUNNING.updated,
        "TaskState": "complete",
        "State": "complete",
        "Reason": "",
    } | others


def unfinished(**others: str) -> dict[str, str]:
    """The detail for a bundle that is not complete, as its task was described last."""
    return detail(**{"S3Uri": "", "Progress": "20%", "TaskState": "bundling"} | others)


def finished(ec2: Ec2, answers: Answers, context: Context, **properties: Any) -> None:
    app.handler(asking(answers, **properties), context)
    complete(ec2)
    assert deliver(polls(), context) == []


def test_a_complete_bundle_publishes_an_event_once_it_is_answered(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    app.handler(asking(answers, Image={"Name": "web"}), context)
    deliver(polls(), context)
    published_events()

    complete(ec2)
    deliver(polls(), context)

    assert answers.bodies[0]["Status"] == "SUCCESS"
    [published] = published_events()
    assert published["source"] == "cfn-instance-bundle"
    assert published["detail-type"] == "Instance Bundle State Change"
    assert published["resources"] == [STACK]
    assert published["detail"] == detail(ImageId="ami-registered1")


def test_the_event_of_a_stored_image_has_no_prefix(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    asked = asking(answers, Method="StoreImage", Storage={"S3": {"Bucket": "images"}})
    app.handler(asked, context)
    ec2.tasks["ami-1"] = replace(ec2.tasks["ami-1"], phase="complete", state="complete")
    deliver(polls(), context)

    [published] = published_events()
    assert published["detail"] == detail(
        Method="StoreImage",
        BundleId="ami-1",
        ImageId="ami-1",
        Prefix="",
        S3Uri="s3://images/ami-1.bin",
    )


def test_the_event_of_a_stored_image_that_failed_has_its_id(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    asked = asking(answers, Method="StoreImage", Storage={"S3": {"Bucket": "images"}})
    app.handler(asked, context)
    ec2.tasks["ami-1"] = replace(
        ec2.tasks["ami-1"], phase="failed", error_code="StoreTaskFailed", error_message="Full."
    )
    deliver(polls(), context)

    [published] = published_events()
    assert published["detail"] == unfinished(
        Method="StoreImage",
        BundleId="ami-1",
        ImageId="ami-1",
        Prefix="",
        State="failed",
        Reason="Task ami-1 failed. StoreTaskFailed: Full.",
    )


def test_the_event_of_a_failed_task_has_its_id_and_reason(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    app.handler(asking(answers), context)
    ec2.tasks["bun-1"] = replace(
        RUNNING, phase="failed", error_code="Client.S3Error", error_message="No such bucket."
    )
    deliver(polls(), context)

    [published] = published_events()
    reason = "Task bun-1 failed. Client.S3Error: No such bucket."
    assert answers.bodies[0]["Reason"] == reason
    assert published["detail"] == unfinished(State="failed", Reason=reason)


def test_the_event_of_work_that_ec2_refused_has_no_task(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "IncorrectInstanceState", "It is stopped.")

    app.handler(asking(answers), context)

    [published] = published_events()
    reason = answers.bodies[0]["Reason"]
    assert "IncorrectInstanceState" in reason
    assert published["detail"] == detail(
        State="failed", Reason=reason, **dict.fromkeys(("S3Uri", *OF_A_TASK), "")
    )


def test_the_reason_in_an_event_has_no_secrets(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    ec2.obstacle = refusals.denied(
        "ec2:BundleInstance", "InvalidParameter", f"Not {answers.handle()}"
    )

    app.handler(asking(answers, CompletionHandle=answers.handle()), context)

    [published] = published_events()
    assert "[concealed]" in published["detail"]["Reason"]
    assert "h4ndl3s0wn" not in json.dumps(published)


def test_accepted_work_publishes_an_event_when_it_has_ended(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    app.handler(asking(answers, CompletionHandle=answers.handle()), context)
    deliver(polls(), context)
    assert len(answers.bodies) == 1
    assert [published["detail"]["State"] for published in published_events()] == ["started"]

    complete(ec2)
    deliver(polls(), context)

    assert len(answers.signals) == 1
    assert [published["detail"] for published in published_events()] == [detail()]


def test_another_ami_publishes_an_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    finished(ec2, answers, context, Image={"Name": "web"})
    published_events()

    old = {"Image": {"Name": "web"}}
    update = asking(answers, "Update", "r2", "bun-1", old=old, Image={"Name": "other"})
    app.handler(update, context)

    assert [published["detail"] for published in published_events()] == [
        detail(RequestId="r2", ImageId="ami-registered2")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"ServiceTimeout": "60"}),
        ({"Image": {"Name": "web"}}, {"Image": {"Name": "web"}, "OnDelete": "Delete"}),
        ({"Image": {"Name": "web"}}, {}),
        (
            {"Image": {"Name": "web"}},
            {"Image": {"Name": "web", "Description": "new", "Tags": [{"Key": "a", "Value": "b"}]}},
        ),
        ({}, {"DryRun": "true"}),
        ({}, {"DryRun": "true", "Image": {"Name": "other"}}),
    ],
)
def test_an_update_that_brings_nothing_new_publishes_no_event(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    old: dict[str, Any],
    new: dict[str, Any],
) -> None:
    finished(ec2, answers, context, **old)
    published_events()

    app.handler(asking(answers, "Update", "r2", "bun-1", old=old, **new), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert published_events() == []


def test_a_failed_update_that_started_nothing_publishes_no_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    finished(ec2, answers, context)
    published_events()
    ec2.obstacle = refusals.denied("ec2:RegisterImage", "UnauthorizedOperation", "You may not.")

    app.handler(asking(answers, "Update", "r2", "bun-1", Image={"Name": "web"}), context)

    assert answers.bodies[1]["Status"] == "FAILED"
    assert published_events() == []


def test_an_update_in_place_of_a_stored_image_publishes_no_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    asked: dict[str, Any] = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}
    app.handler(asking(answers, **asked), context)
    ec2.tasks["ami-1"] = replace(ec2.tasks["ami-1"], phase="complete", state="complete")
    deliver(polls(), context)
    published_events()

    described = {"Description": "new"}
    app.handler(
        asking(answers, "Update", "r2", "ami-1", old=asked, **asked, Image=described), context
    )

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert published_events() == []


@pytest.mark.parametrize("image", [{"Description": "new"}, {"Name": "other"}])
def test_an_ami_with_another_name_or_a_first_name_is_another(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events, image: dict[str, str]
) -> None:
    finished(ec2, answers, context, Image={})
    published_events()

    app.handler(asking(answers, "Update", "r2", "bun-1", old={"Image": {}}, Image=image), context)

    assert [published["detail"]["ImageId"] for published in published_events()] == [
        "ami-registered2"
    ]


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_request_that_started_nothing_publishes_no_event(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events, dry_run: str
) -> None:
    app.handler(asking(answers, DryRun=dry_run, Storage={}), context)
    app.handler(asking(answers, request_id="r2", DryRun="true"), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED", "SUCCESS"]
    assert published_events() == []


def test_the_failure_handler_publishes_an_event_too(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app.handler(asking(answers), context)
    batch = polls()
    for _ in range(last_resort.CRASHES):
        app.ledger().take(Request.parse(asking(answers)).key, 0, lease=0)
    monkeypatch.setattr(last_resort, "ledger", app.ledger)

    last_resort.handler({"Records": batch}, context)

    [published] = published_events()
    reason = answers.bodies[0]["Reason"]
    assert "its polls kept failing" in reason
    assert published["detail"] == unfinished(State="failed", Reason=reason)


# A bus that refuses events


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Results of the next PutEvents calls, instead of moto's; an exception is raised."""
    results: list[Any] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make(client: Any, name: str, arguments: dict[str, Any]) -> Any:
        if name != "PutEvents" or not results:
            return call(client, name, arguments)
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(BaseClient, "_make_api_call", make)
    return results


def error(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "EventBridge says no."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "PutEvents")


def entry(code: str) -> dict[str, Any]:
    return {
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": code, "ErrorMessage": "EventBridge says no."}],
    }


REFUSALS = [
    error("AccessDeniedException"),
    error("ResourceNotFoundException"),
    entry("NotAuthorizedForDetailTypeException"),
    entry("InvalidArgument"),
]
PASSING = [
    (error("ThrottlingException"), Throttled),
    (error("InternalException", 500), PassingFault),
    (ConnectTimeoutError(endpoint_url="https://events"), PassingFault),
    (entry("ThrottlingException"), Throttled),
    (entry("InternalFailure"), PassingFault),
]


def ended(answers: Answers) -> tuple[Request, Record, Done]:
    request = Request.parse(asking(answers, "Update", "r2", "bun-1", Image={"Name": "web"}))
    record, _ = app.ledger().receive(request, lease=30)
    shown = detail(ImageId="ami-1")
    done = Done("bun-1", shown)
    bundle = Bundle("bun-1", "r1", Location("images", "web"), attributes=done.attributes)
    return request, replace(record, announcements=(Announcement("complete", bundle),)), done


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_bus_that_refuses_an_event_is_only_logged(
    ec2: Ec2,
    answers: Answers,
    calls: list[Any],
    refusal: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls.append(refusal)

    events.publish("default", *ended(answers))

    assert calls == []
    assert "The event could not be published" in caplog.text
    assert "EventBridge says no." in caplog.text


@pytest.mark.parametrize(("fault", "meaning"), PASSING)
def test_a_transient_error_of_the_bus_is_a_passing_fault(
    ec2: Ec2, answers: Answers, calls: list[Any], fault: Any, meaning: type[PassingFault]
) -> None:
    calls.append(fault)

    with pytest.raises(PassingFault) as raised:
        events.publish("default", *ended(answers))

    assert type(raised.value) is meaning


def test_a_bus_that_does_not_exist_keeps_no_stack_waiting(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("EVENT_BUS", "elsewhere")

    finished(ec2, answers, context)

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert polls() == []
    assert "The event could not be published" in caplog.text


def test_an_event_that_met_a_fault_is_published_again_with_the_stored_answer(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events, calls: list[Any]
) -> None:
    app.handler(asking(answers), context)
    complete(ec2)
    calls.append(error("ThrottlingException"))
    assert deliver(polls(), context) == []
    assert published_events() == []

    with time_machine.travel(time.time() + 31, tick=False):
        assert deliver(polls(), context) == []

    assert [published["detail"] for published in published_events()] == [detail()]
    assert len(answers.bodies) == 2
    assert answers.bodies[0] == answers.bodies[1]
    assert polls() == []


def test_a_bus_that_keeps_failing_keeps_no_request_for_ever(
    ec2: Ec2, answers: Answers, context: Context, calls: list[Any]
) -> None:
    app.handler(asking(answers), context)
    complete(ec2)
    calls += [error("InternalException", 500)] * 9
    batch = polls()

    with time_machine.travel(time.time() + 3601, tick=False):
        assert deliver(batch, context) == []
        assert deliver(polls(), context) == []
        assert polls() == []


def test_without_a_bus_no_event_is_published(
    ec2: Ec2, answers: Answers, context: Context, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_BUS", "")
    calls.append(AssertionError("an event was put"))

    finished(ec2, answers, context)
    events.publish("", *ended(answers))

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert len(calls) == 1


def test_an_event_is_published_to_the_named_bus(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aws.events().create_event_bus(Name="images")
    events_of_images = listen("images")
    monkeypatch.setenv("EVENT_BUS", "images")

    finished(ec2, answers, context)

    assert published_events() == []
    assert [published["detail"] for published in events_of_images()] == [detail()]
