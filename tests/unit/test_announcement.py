"""The event of work that has ended: moto's bus hands it to a queue, as to whom a rule names."""

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
from instance_bundle.request.event import Request
from instance_bundle.responses import announcement
from instance_bundle.state.outcome import Done
from instance_bundle.state.records import Record
from tests.fixtures import Context

from .conftest import Answers
from .test_lifecycle import RUNNING, STACK, Ec2, methods
from .test_resource import complete, deliver, event, polls

INSTANCE = "i-1234567890abcdef0"


@pytest.fixture
def ec2(cloud: None, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """The handler's own ledger, queue and bus, with a method that does as the test says."""
    method = Ec2()
    monkeypatch.setattr(app, "methods", cache(lambda: methods(method)))
    monkeypatch.setenv("EVENT_BUS", "default")
    return method


News = Callable[[], list[dict[str, Any]]]


def listen(bus: str) -> News:
    """What came through a bus since it was asked before."""
    queue = aws.sqs().create_queue(QueueName=f"news-{bus}")["QueueUrl"]
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
        Targets=[{"Id": "news", "Arn": attributes["Attributes"]["QueueArn"]}],
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
def news(cloud: None) -> News:
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
    """The details of a complete bundle bun-1, with what is other."""
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
        "State": "complete",
        "Reason": "",
    } | others


def finished(ec2: Ec2, answers: Answers, context: Context, **properties: Any) -> None:
    app.handler(asking(answers, **properties), context)
    complete(ec2)
    assert deliver(polls(), context) == []


def test_a_complete_bundle_is_told_of_once_it_is_answered(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    app.handler(asking(answers, Image={"Name": "web"}), context)
    deliver(polls(), context)
    assert news() == []

    complete(ec2)
    deliver(polls(), context)

    assert answers.bodies[0]["Status"] == "SUCCESS"
    [told] = news()
    assert told["source"] == "cfn-instance-bundle"
    assert told["detail-type"] == "Instance Bundle State Change"
    assert told["resources"] == [STACK]
    assert told["detail"] == detail(ImageId="ami-registered1")


def test_a_stored_image_is_told_of_with_no_prefix(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    asked = asking(answers, Method="StoreImage", Storage={"S3": {"Bucket": "images"}})
    app.handler(asked, context)
    ec2.tasks["ami-1"] = replace(ec2.tasks["ami-1"], phase="complete", state="complete")
    deliver(polls(), context)

    [told] = news()
    assert told["detail"] == detail(
        Method="StoreImage",
        BundleId="ami-1",
        ImageId="ami-1",
        Prefix="",
        S3Uri="s3://images/ami-1.bin",
    )


def test_a_stored_image_that_failed_is_told_of_with_its_id(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    asked = asking(answers, Method="StoreImage", Storage={"S3": {"Bucket": "images"}})
    app.handler(asked, context)
    ec2.tasks["ami-1"] = replace(
        ec2.tasks["ami-1"], phase="failed", error_code="StoreTaskFailed", error_message="Full."
    )
    deliver(polls(), context)

    [told] = news()
    assert told["detail"] == detail(
        Method="StoreImage",
        BundleId="ami-1",
        ImageId="ami-1",
        Prefix="",
        S3Uri="",
        State="failed",
        Reason="Task ami-1 failed. StoreTaskFailed: Full.",
    )


def test_a_failed_task_is_told_of_with_its_id_and_reason(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    app.handler(asking(answers), context)
    ec2.tasks["bun-1"] = replace(
        RUNNING, phase="failed", error_code="Client.S3Error", error_message="No such bucket."
    )
    deliver(polls(), context)

    [told] = news()
    reason = "Task bun-1 failed. Client.S3Error: No such bucket."
    assert answers.bodies[0]["Reason"] == reason
    assert told["detail"] == detail(S3Uri="", State="failed", Reason=reason)


def test_work_that_ec2_refused_is_told_of_with_no_task(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "IncorrectInstanceState", "It is stopped.")

    app.handler(asking(answers), context)

    [told] = news()
    reason = answers.bodies[0]["Reason"]
    assert "IncorrectInstanceState" in reason
    assert told["detail"] == detail(BundleId="", S3Uri="", State="failed", Reason=reason)


def test_a_reason_is_told_without_its_secrets(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    ec2.obstacle = refusals.denied(
        "ec2:BundleInstance", "InvalidParameter", f"Not {answers.handle()}"
    )

    app.handler(asking(answers, CompletionHandle=answers.handle()), context)

    [told] = news()
    assert "[concealed]" in told["detail"]["Reason"]
    assert "h4ndl3s0wn" not in json.dumps(told)


def test_work_that_was_accepted_is_told_of_when_it_has_ended(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    app.handler(asking(answers, CompletionHandle=answers.handle()), context)
    deliver(polls(), context)
    assert len(answers.bodies) == 1
    assert news() == []

    complete(ec2)
    deliver(polls(), context)

    assert len(answers.signals) == 1
    assert [told["detail"] for told in news()] == [detail()]


def test_another_ami_is_told_of(ec2: Ec2, answers: Answers, context: Context, news: News) -> None:
    finished(ec2, answers, context, Image={"Name": "web"})
    news()

    old = {"Image": {"Name": "web"}}
    update = asking(answers, "Update", "r2", "bun-1", old=old, Image={"Name": "other"})
    app.handler(update, context)

    assert [told["detail"] for told in news()] == [
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
def test_an_update_that_brings_nothing_new_is_not_told_of(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    news: News,
    old: dict[str, Any],
    new: dict[str, Any],
) -> None:
    finished(ec2, answers, context, **old)
    news()

    app.handler(asking(answers, "Update", "r2", "bun-1", old=old, **new), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert news() == []


def test_a_failed_update_that_began_nothing_is_not_told_of(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    finished(ec2, answers, context)
    news()
    ec2.obstacle = refusals.denied("ec2:RegisterImage", "UnauthorizedOperation", "You may not.")

    app.handler(asking(answers, "Update", "r2", "bun-1", Image={"Name": "web"}), context)

    assert answers.bodies[1]["Status"] == "FAILED"
    assert news() == []


def test_an_update_in_place_of_a_stored_image_is_not_told_of(
    ec2: Ec2, answers: Answers, context: Context, news: News
) -> None:
    asked: dict[str, Any] = {"Method": "StoreImage", "Storage": {"S3": {"Bucket": "images"}}}
    app.handler(asking(answers, **asked), context)
    ec2.tasks["ami-1"] = replace(ec2.tasks["ami-1"], phase="complete", state="complete")
    deliver(polls(), context)
    news()

    described = {"Description": "new"}
    app.handler(
        asking(answers, "Update", "r2", "ami-1", old=asked, **asked, Image=described), context
    )

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert news() == []


@pytest.mark.parametrize("image", [{"Description": "new"}, {"Name": "other"}])
def test_an_ami_with_another_name_or_one_that_is_made_is_another(
    ec2: Ec2, answers: Answers, context: Context, news: News, image: dict[str, str]
) -> None:
    finished(ec2, answers, context, Image={})
    news()

    app.handler(asking(answers, "Update", "r2", "bun-1", old={"Image": {}}, Image=image), context)

    assert [told["detail"]["ImageId"] for told in news()] == ["ami-registered2"]


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_what_began_nothing_is_not_told_of(
    ec2: Ec2, answers: Answers, context: Context, news: News, dry_run: str
) -> None:
    app.handler(asking(answers, DryRun=dry_run, Storage={}), context)
    app.handler(asking(answers, request_id="r2", DryRun="true"), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED", "SUCCESS"]
    assert news() == []


@pytest.mark.parametrize("on_delete", ["Delete", "Retain"])
def test_a_delete_is_not_told_of(
    ec2: Ec2, answers: Answers, context: Context, news: News, on_delete: str
) -> None:
    finished(ec2, answers, context, Image={"Name": "web"})
    news()

    app.handler(asking(answers, "Delete", "r2", "bun-1", OnDelete=on_delete), context)

    assert answers.bodies[1]["Status"] == "SUCCESS"
    assert news() == []


def test_what_kept_crashing_is_told_of_by_the_last_resort(
    ec2: Ec2, answers: Answers, context: Context, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(asking(answers), context)
    batch = polls()
    for _ in range(last_resort.CRASHES):
        app.ledger().take(Request.parse(asking(answers)).key, 0, lease=0)
    monkeypatch.setattr(last_resort, "ledger", app.ledger)

    last_resort.handler({"Records": batch}, context)

    [told] = news()
    reason = answers.bodies[0]["Reason"]
    assert "its polls kept failing" in reason
    assert told["detail"] == detail(S3Uri="", State="failed", Reason=reason)


# A bus that takes no event


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What PutEvents answers, one after the other, in the place of moto; raised where an error."""
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
    record, _ = app.ledger().open(request, lease=30)
    names = ("InstanceId", "BundleId", "ImageId", "Bucket", "Prefix", "S3Uri", "State")
    return request, record, Done("bun-1", {name: detail()[name] or "ami-1" for name in names})


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_bus_that_refuses_an_event_is_logged_and_given_up(
    ec2: Ec2,
    answers: Answers,
    calls: list[Any],
    refusal: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls.append(refusal)

    announcement.put("default", *ended(answers))

    assert calls == []
    assert "No event tells of the work that has ended" in caplog.text
    assert "EventBridge says no." in caplog.text


@pytest.mark.parametrize(("fault", "meaning"), PASSING)
def test_a_bus_that_can_not_take_an_event_now_is_a_passing_fault(
    ec2: Ec2, answers: Answers, calls: list[Any], fault: Any, meaning: type[PassingFault]
) -> None:
    calls.append(fault)

    with pytest.raises(PassingFault) as raised:
        announcement.put("default", *ended(answers))

    assert type(raised.value) is meaning


def test_a_bus_that_is_not_there_keeps_no_stack_waiting(
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
    assert "No event tells of the work that has ended" in caplog.text


def test_an_event_that_met_a_fault_is_put_again_with_the_answer_that_stands(
    ec2: Ec2, answers: Answers, context: Context, news: News, calls: list[Any]
) -> None:
    app.handler(asking(answers), context)
    complete(ec2)
    calls.append(error("ThrottlingException"))
    assert deliver(polls(), context) == []
    assert news() == []

    with time_machine.travel(time.time() + 31, tick=False):
        assert deliver(polls(), context) == []

    assert [told["detail"] for told in news()] == [detail()]
    assert len(answers.bodies) == 2
    assert answers.bodies[0] == answers.bodies[1]
    assert polls() == []


def test_a_bus_that_stays_away_keeps_no_request_for_ever(
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


def test_with_no_bus_no_event_is_put(
    ec2: Ec2, answers: Answers, context: Context, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_BUS", "")
    calls.append(AssertionError("an event was put"))

    finished(ec2, answers, context)
    announcement.put("", *ended(answers))

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert len(calls) == 1


def test_an_event_goes_to_the_bus_that_is_named(
    ec2: Ec2, answers: Answers, context: Context, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.events().create_event_bus(Name="images")
    news_of_images = listen("images")
    monkeypatch.setenv("EVENT_BUS", "images")

    finished(ec2, answers, context)

    assert news() == []
    assert [told["detail"] for told in news_of_images()] == [detail()]
