"""The handler with a real ledger, queue and server for answers."""

import inspect
import io
import itertools
import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import quote

import crhelper
import pytest
import time_machine
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from instance_bundle import __version__, app, aws, budget, telemetry
from instance_bundle.aws import refusals
from instance_bundle.errors import (
    Doubtful,
    InstanceBundleError,
    NothingDone,
    PassingFault,
    Throttled,
)
from instance_bundle.methods.method import Task, Work
from instance_bundle.polling import messages
from instance_bundle.request import Location, properties
from instance_bundle.request.event import Request
from instance_bundle.responses.resource import BundleResource, NextPoll
from instance_bundle.settings import settings
from instance_bundle.state import Ledger, items, poll_queue
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import Record
from tests.fixtures import Context

from .conftest import Answers
from .test_lifecycle import POLICY_UNTIL_2028, RUNNING, Ec2, methods

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d"


@pytest.fixture
def ec2(cloud: None, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """The handler's own ledger and queue, with a simulated method."""
    method = Ec2()
    monkeypatch.setattr(app, "methods", cache(lambda: methods(method)))
    return method


def event(answers: Answers, kind: str = "Create", **others: Any) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
        "ResponseURL": answers.url,
        "StackId": STACK,
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "ResourceType": "Custom::InstanceBundle",
        "ResourceProperties": {
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bundle",
            "InstanceId": "i-1234567890abcdef0",
            "Storage": {"S3": {"Bucket": "images", "Prefix": "web"}},
        },
    } | others


def polls() -> list[dict[str, Any]]:
    """All messages of the poll queue, also delayed ones, as records; they are deleted."""
    from moto.sqs.models import sqs_backends

    queue = sqs_backends["123456789012"]["us-east-1"].queues["polls"]
    messages, queue._messages = queue._messages, []
    return [
        {
            "messageId": f"m{number}",
            "body": message.body,
            "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, message in enumerate(messages)
    ]


def deliver(records: list[dict[str, Any]], context: Context) -> list[str]:
    """Pass a batch to the handler; returns the messages that it reports as failed."""
    response = app.handler({"Records": records}, context)
    assert response is not None
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def complete(ec2: Ec2, task_id: str = "bun-1") -> None:
    ec2.tasks[task_id] = replace(RUNNING, id=task_id, phase="complete", state="complete")


def test_a_create_is_answered_by_the_poll_that_sees_it_complete(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    assert answers.bodies == []

    assert deliver(polls(), context) == []
    assert answers.bodies == []

    complete(ec2)
    assert deliver(polls(), context) == []
    assert len(answers.bodies) == 1
    assert answers.bodies[0]["Status"] == "SUCCESS"
    assert answers.bodies[0]["PhysicalResourceId"] == "bun-1"
    assert answers.bodies[0]["Data"]["BundleId"] == "bun-1"
    assert polls() == []


def test_invalid_properties_are_answered_at_once_and_no_call_is_made_but_to_the_ledger(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: BaseClient, name: str, parameters: Any) -> Any:
        called.append(f"{client.meta.service_model.service_name}:{name}")
        return make_api_call(client, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)

    app.handler(event(answers, ResourceProperties={"InstanceId": "x", "Colour": "red"}), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    for path in ("InstanceId: ", "Storage: ", "Colour: "):
        assert path in answers.bodies[0]["Reason"]
    received = ["dynamodb:PutItem", "dynamodb:Query", "dynamodb:PutItem"]
    answered = ["dynamodb:UpdateItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    assert called == received + answered


def test_a_property_too_large_for_the_ledger_is_answered_with_what_is_wrong_with_it(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    properties = event(answers)["ResourceProperties"] | {"Colour": "r" * 450_000}

    app.handler(event(answers, ResourceProperties=properties), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert "Colour: is not a property here" in answers.bodies[0]["Reason"]


def test_an_event_that_comes_again_is_answered_alike_though_it_would_be_refused_now(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    narrower = replace(settings(), limits=replace(settings().limits, buckets=("others",)))
    monkeypatch.setattr(app, "settings", lambda: narrower)

    app.handler(event(answers), context)
    assert answers.bodies == []

    complete(ec2)
    deliver(polls(), context)
    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]


def generated_id(answers: Answers, **others: Any) -> dict[str, Any]:
    """A Delete with an ID that CloudFormation generated, of a resource that removes its bundle."""
    return event(answers, "Delete", PhysicalResourceId="web-Bundle-1A2B3C4D5E6F") | others


def removing(answers: Answers, **properties: Any) -> dict[str, Any]:
    given = event(answers)["ResourceProperties"] | {"OnDelete": "Delete"} | properties
    return {"ResourceProperties": given}


@pytest.mark.parametrize(
    "wrong",
    [
        {"Colour": "red"},  # refused before anything is done
        {},  # refused, since the location is taken
    ],
)
def test_a_delete_after_a_refused_create_leaves_the_bundle_of_a_create_before_it(
    ec2: Ec2, answers: Answers, context: Context, wrong: dict[str, Any]
) -> None:
    """CloudFormation has retained the first one (DeletionPolicy: Retain)."""
    app.handler(event(answers) | removing(answers), context)
    complete(ec2)
    ec2.stored.add(Location("images", "web"))
    deliver(polls(), context)

    app.handler(event(answers, RequestId="r2") | removing(answers, **wrong), context)
    app.handler(generated_id(answers, RequestId="r3") | removing(answers, **wrong), context)

    statuses = [body["Status"] for body in answers.bodies]
    assert statuses == ["SUCCESS", "FAILED", "SUCCESS"]
    assert ec2.removed == []
    resource = app.ledger().resource(Request.parse(event(answers)).key)
    [kept] = (*resource.bundles, *resource.released)
    assert kept.physical_id == "bun-1"


def test_a_delete_with_a_generated_id_removes_what_the_create_finished_too_late(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers) | removing(answers), context)
    complete(ec2)
    deliver(polls(), context)

    app.handler(generated_id(answers, RequestId="r2") | removing(answers), context)

    assert len(ec2.removed) == 1
    assert app.ledger().resource(Request.parse(event(answers)).key).bundles == ()


def test_a_delete_with_a_generated_id_leaves_what_a_later_request_has_named(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers) | removing(answers), context)
    complete(ec2)
    deliver(polls(), context)
    app.handler(
        event(answers, "Update", RequestId="r2", PhysicalResourceId="bun-1") | removing(answers),
        context,
    )

    app.handler(generated_id(answers, RequestId="r3") | removing(answers), context)

    assert ec2.removed == []


def test_a_refusal_of_ec2_is_answered_at_once(ec2: Ec2, answers: Answers, context: Context) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "IncorrectInstanceState", "It is stopped.")

    app.handler(event(answers), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert "IncorrectInstanceState: It is stopped" in answers.bodies[0]["Reason"]


def test_an_event_that_comes_twice_starts_one_bundle_and_is_answered_alike(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    app.handler(event(answers), context)
    assert len(ec2.started) == 1

    complete(ec2)
    assert deliver(polls(), context) == []
    app.handler(event(answers), context)

    assert len(ec2.started) == 1
    assert len(answers.bodies) == 2
    assert answers.bodies[0] == answers.bodies[1]


def update(
    answers: Answers, request_id: str, now: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    """An Update from one set of properties to another."""
    given = event(answers)["ResourceProperties"]
    properties = {"ResourceProperties": given | now, "OldResourceProperties": given | before}
    return event(answers, "Update", RequestId=request_id, PhysicalResourceId="bun-1") | properties


def test_an_invocation_checks_the_same_properties_once(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Any] = []
    properties._checked.cache_clear()
    monkeypatch.setattr(properties, "_validator", lambda: checked.append)

    app.handler(event(answers), context)
    assert len(checked) == 1

    complete(ec2)
    deliver(polls(), context)
    app.handler(update(answers, "r2", {"Image": {"Name": "web"}}, {}), context)
    assert len(checked) == 2  # those of before were the Create's


def forbid_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_IMAGES", "false")
    for made_once in (settings, app.lifecycle):
        made_once.cache_clear()


def test_an_update_gets_no_image_where_none_may_be_made_however_often_it_is_tried(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_images(monkeypatch)
    app.handler(event(answers), context)
    complete(ec2)
    deliver(polls(), context)
    image = {"Image": {"Name": "web"}}

    app.handler(update(answers, "r2", image, {}), context)
    app.handler(update(answers, "r3", {}, image), context)  # its rollback
    app.handler(update(answers, "r4", image, {}), context)

    statuses = [body["Status"] for body in answers.bodies]
    assert statuses == ["SUCCESS", "FAILED", "SUCCESS", "FAILED"]
    assert "AllowImages is false" in answers.bodies[1]["Reason"]
    assert ec2.registered == {}


def test_a_rollback_goes_back_to_the_image_that_may_no_longer_be_made(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = {"Image": {"Name": "web"}}
    created = event(answers)
    app.handler(created | {"ResourceProperties": created["ResourceProperties"] | image}, context)
    complete(ec2)
    deliver(polls(), context)
    forbid_images(monkeypatch)

    app.handler(update(answers, "r2", {}, image), context)
    app.handler(update(answers, "r3", image, {}), context)

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"] * 3, answers.bodies


def test_polls_that_were_delivered_twice_are_dropped(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    first = polls()

    deliver(first + [record | {"messageId": "again"} for record in first], context)
    deliver(first, context)
    deliver(polls(), context)

    assert len(polls()) == 1


def test_a_poll_of_a_request_that_another_process_drives_comes_again_soon(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    [record] = polls()
    poll = Poll.parse(record["body"])
    app.ledger().take(poll.key, poll.generation, lease=30)

    assert deliver([record], context) == []

    assert [again["body"] for again in polls()] == [record["body"]]
    assert answers.bodies == []


def test_a_batch_shares_one_describe(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        properties = {
            "InstanceId": "i-1234567890abcdef0",
            "Storage": {"S3": {"Bucket": "images", "Prefix": f"web{number}"}},
        }
        app.handler(
            event(answers, LogicalResourceId=f"Bundle{number}", ResourceProperties=properties),
            context,
        )
    describes: list[set[str]] = []
    describe = ec2.describe

    def counting(task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        describes.append(set(task_ids))
        return describe(task_ids)

    monkeypatch.setattr(ec2, "describe", counting)

    deliver(polls(), context)

    assert describes == [{f"bun-{number}" for number in range(1, 6)}]


def test_a_describe_that_is_throttled_is_retried(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)

    with monkeypatch.context() as patch:
        patch.setattr(ec2, "describe", throttled)
        assert deliver(polls(), context) == []
    assert answers.bodies == []

    complete(ec2)
    deliver(polls(), context)
    assert answers.bodies[0]["Status"] == "SUCCESS"


def test_a_describe_that_is_denied_to_the_end_is_failed_with_the_action_and_the_bundles_id(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)

    def denied(task_ids: Collection[str]) -> Mapping[str, InstanceBundleError]:
        denied = refusals.denied("ec2:DescribeBundleTasks", "UnauthorizedOperation", "You may not.")
        return dict.fromkeys(task_ids, Doubtful(denied))

    monkeypatch.setattr(ec2, "describe", denied)
    for later in (0, 20, 1000):
        with time_machine.travel(time.time() + later, tick=False):
            assert deliver(polls(), context) == []
    assert answers.bodies == []
    with time_machine.travel(time.time() + 3600, tick=False):
        deliver(polls(), context)

    assert answers.bodies[0]["PhysicalResourceId"] == "bun-1"
    reason = answers.bodies[0]["Reason"]
    assert reason.startswith("Not complete within ServiceTimeout (3600 s): ec2:DescribeBundleTasks")
    assert "Allow ec2:DescribeBundleTasks in the role" in reason
    assert reason.endswith("Last seen: task bun-1 is bundling at 20%.")


def test_a_refusal_that_repeats_a_secret_is_stored_without_it_and_final_if_repeated(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    secret = POLICY_UNTIL_2028["S3"]["UploadPolicySignature"]
    code, message = "InvalidInstanceID.NotFound", f"No instance for {secret}."
    ec2.obstacle = Doubtful(refusals.denied("ec2:BundleInstance", code, message))
    asked = event(answers)
    asked["ResourceProperties"]["Storage"] = POLICY_UNTIL_2028
    app.handler(asked, context)

    record = app.ledger().read(Request.parse(asked).key)
    assert record is not None
    assert record.doubt is not None
    assert f"{code}: No instance for [concealed]." in record.doubt.reason
    with time_machine.travel(time.time() + 20, tick=False):
        deliver(polls(), context)
    assert answers.bodies[0]["Reason"] == record.doubt.reason


def test_a_fault_in_the_create_is_left_to_the_poll(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    ec2.obstacle = PassingFault("ec2:BundleInstance: ReadTimeoutError")
    app.handler(event(answers), context)
    assert answers.bodies == []

    ec2.obstacle = None
    assert deliver(polls(), context) == []

    assert len(polls()) == 1
    assert answers.bodies == []


def test_a_request_whose_item_is_removed_by_hand_is_answered(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ec2.start

    def removed_meanwhile(work: Work) -> Task:
        key = items.request_key(Request.parse(event(answers)).key)
        aws.dynamodb().delete_item(
            TableName="ledger", Key={name: {"S": text} for name, text in key.items()}
        )
        return start(work)

    monkeypatch.setattr(ec2, "start", removed_meanwhile)
    app.handler(event(answers), context)

    [body] = answers.bodies
    assert body["Status"] == "FAILED"
    assert "was changed or removed by hand" in body["Reason"]
    assert deliver(polls(), context) == []


def test_an_answer_that_did_not_arrive_is_sent_again_by_the_next_poll(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    complete(ec2)
    batch = polls()

    def lost(*args: object) -> None:
        raise PassingFault("The response did not arrive")

    with monkeypatch.context() as patch:
        patch.setattr("instance_bundle.responses.response.deliver", lost)
        assert deliver(batch, context) == []
    assert answers.bodies == []

    app.ledger()._clock = lambda: 4_000_000_000.0
    assert deliver(polls(), context) == []
    assert answers.bodies[0]["Data"]["BundleId"] == "bun-1"


def test_a_crash_is_no_answer(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ec2, "start", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        app.handler(event(answers), context)

    assert answers.bodies == []
    assert len(polls()) == 1


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"RequestType": "Upsert"},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"Records": []},
        {"detail-type": "Scheduled Event", "source": "aws.events"},
        [],
        "text",
        None,
    ],
)
def test_an_event_of_another_kind_is_refused_and_does_not_show_in_the_next_answer(
    ec2: Ec2, answers: Answers, context: Context, strange: Any
) -> None:
    app.handler(strange, context)
    assert answers.bodies == []

    app.handler(event(answers, ResourceProperties={}), context)
    app.handler(strange, context)

    assert [body["RequestId"] for body in answers.bodies] == ["r1"]


def logged_by(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Collects what is logged from now on."""
    logged = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", logged)
    return logged


@pytest.mark.parametrize(
    "others",
    [
        {"StackId": STACK.replace("123456789012", "999999999999")},
        {"StackId": STACK.replace("us-east-1", "eu-west-1")},
        {"StackId": "web"},
        {"RequestType": "Upsert"},
        {"RequestType": "Delete"},
    ],
)
def test_a_request_that_is_not_taken_is_answered_at_once_and_alike_when_it_comes_again(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    others: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERIFY_REQUESTS", "true")
    given = event(answers, **others)

    app.handler(given, context)
    app.handler(given, context)

    [first, second] = answers.bodies
    assert first == second
    assert first["Status"] == "FAILED"
    assert first["StackId"] == given["StackId"]
    assert (first["RequestId"], first["LogicalResourceId"]) == ("r1", "Bundle")
    assert first["PhysicalResourceId"] == "Bundle-r1"
    assert first["Reason"].partition(":")[0] in (*others, "PhysicalResourceId")
    assert ec2.started == []
    assert aws.dynamodb().scan(TableName="ledger")["Items"] == []


def test_the_answer_to_a_request_that_is_not_taken_is_sent_again_if_it_did_not_arrive(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_REQUESTS", "true")
    monkeypatch.setattr(budget, "_PAUSES", ())
    answers.statuses = [503]
    given = event(answers, StackId="web")

    with pytest.raises(PassingFault):
        app.handler(given, context)
    app.handler(given, context)

    assert {body["Status"] for body in answers.bodies} == {"FAILED"}


def named(answers: Answers, key: str) -> str:
    """A ResponseURL of the test's server, with a key in the form of CloudFormation's."""
    return (
        f"{answers.origin}/cloudformation-custom-resource-response/{quote(key, safe='')}?x=s3cr3t"
    )


def test_an_answer_never_goes_to_the_url_of_another_request(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = logged_by(monkeypatch)
    own = named(answers, f"{STACK}|Bundle|r1")

    app.handler(event(answers, ResponseURL=own, RequestId="r2"), context)
    app.handler(event(answers, ResponseURL=own, StackId="web", RequestType="Upsert"), context)
    app.handler(event(answers, ResponseURL=own, LogicalResourceId="Other"), context)

    assert (answers.bodies, ec2.started) == ([], [])
    assert logged.getvalue().count("ResponseURL: is that of another request") == 2
    assert "s3cr3t" not in logged.getvalue()

    app.handler(event(answers, ResponseURL=own), context)
    assert len(ec2.started) == 1


def by_topic(message: Any) -> dict[str, Any]:
    """The event that Amazon SNS invokes a function with."""
    topic = "arn:aws:sns:us-east-1:123456789012:requests"
    sns = {"Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": message}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]}


def test_a_request_that_comes_by_a_topic_is_carried_out_and_answered(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(by_topic(json.dumps(event(answers))), context)
    complete(ec2)
    deliver(polls(), context)
    app.handler(
        by_topic(json.dumps(event(answers, ResourceProperties={}, RequestId="r2"))), context
    )

    statuses = [(body["RequestId"], body["Status"]) for body in answers.bodies]
    assert statuses == [("r1", "SUCCESS"), ("r2", "FAILED")]


@pytest.mark.parametrize("message", [None, "", "{", "[]", {"RequestType": "Create"}])
def test_a_message_of_a_topic_that_holds_no_request_is_refused_with_a_log_line(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch, message: Any
) -> None:
    logged = logged_by(monkeypatch)

    app.handler(by_topic(message), context)

    assert answers.bodies == []
    assert "Records[0].Sns.Message: " in logged.getvalue()


def test_members_that_crhelper_would_take_for_its_own_are_dropped(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers, CrHelperPoll=True, CrHelperData={"x": 1}), context)

    assert len(ec2.started) == 1


def test_a_poll_that_is_no_poll_of_ours_comes_again_until_it_is_a_dead_letter(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    complete(ec2)
    poison = {"messageId": "poison", "body": "{}", "eventSource": "aws:sqs", "attributes": {}}

    assert deliver([poison, *polls()], context) == ["poison"]
    assert answers.bodies[0]["Status"] == "SUCCESS"


def test_a_delete_is_answered_at_once_where_nothing_runs(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers, "Delete", PhysicalResourceId="invented"), context)

    assert answers.bodies[0]["Status"] == "SUCCESS"
    assert answers.bodies[0]["PhysicalResourceId"] == "invented"


def test_nothing_secret_is_in_the_queue_or_the_log(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", logged)

    app.handler(event(answers), context)
    complete(ec2)
    batch = polls()
    deliver(batch, context)

    assert "Answering" in logged.getvalue()
    assert "s3cr3t" not in logged.getvalue() + json.dumps(batch)


def test_the_item_forgets_the_request_once_its_answer_has_arrived(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    complete(ec2)
    deliver(polls(), context)

    items = aws.dynamodb().scan(TableName="ledger")["Items"]
    assert "s3cr3t" not in json.dumps(items)


def test_each_log_line_has_the_version_and_stack_resource_and_request(
    ec2: Ec2, answers: Answers, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = app.logger.registered_handler.stream  # type: ignore[attr-defined]
    app.logger.registered_handler.stream = __import__("sys").stdout  # type: ignore[attr-defined]
    try:
        app.handler(event(answers), context)
    finally:
        app.logger.registered_handler.stream = stream  # type: ignore[attr-defined]

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"level"' in line]
    assert lines
    for line in lines:
        assert (line["stack_id"], line["logical_id"], line["request_id"]) == (STACK, "Bundle", "r1")
        assert line["version"] == __version__


# The private methods of crhelper that the subclass replaces, as the pinned version calls them.


@pytest.mark.parametrize(
    "name",
    ["_log_setup", "_set_timeout", "_wrap_function", "_polling_init", "_cfn_response"],
)
def test_a_replaced_method_of_crhelper_is_there_with_the_same_parameters(name: str) -> None:
    theirs = inspect.signature(getattr(crhelper.CfnResource, name)).parameters
    ours = inspect.signature(getattr(BundleResource, name)).parameters

    assert list(ours) == list(theirs)


def test_crhelper_sends_through_send_with_a_status_only_for_what_crashed() -> None:
    theirs = list(inspect.signature(vars(crhelper.CfnResource)["_send"]).parameters)
    ours = list(inspect.signature(BundleResource._send).parameters)

    assert theirs[: len(ours)] == ours
    assert "self._send(FAILED, str(e))" in inspect.getsource(crhelper.CfnResource.__call__)


def test_crhelper_calls_what_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(crhelper.CfnResource)

    for call in (
        "self._log_setup(event, context)",
        "self._set_timeout()",
        "self._wrap_function(self._get_func())",
        "self._polling_init(event)",
        "self._cfn_response(event)",
    ):
        assert call in source


def test_crhelper_creates_no_clients_and_the_environment_stays_as_it_was(
    ec2: Ec2, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")

    resource = BundleResource(Request.parse(event(answers)), settings(), app.ledger())

    assert not hasattr(resource, "_lambda_client")
    assert resource._sam_local is None
    assert os.environ["AWS_SAM_LOCAL"] == "true"


# Faults, and messages that come again


def throttled(task_ids: Collection[str]) -> Mapping[str, InstanceBundleError]:
    return dict.fromkeys(task_ids, Throttled("ec2:DescribeBundleTasks: RequestLimitExceeded"))


def test_a_fault_that_lasts_beyond_the_deadline_is_answered_and_polled_no_more(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    batch = polls()
    monkeypatch.setattr(ec2, "describe", throttled)
    with time_machine.travel(time.time() + 3600, tick=False):
        assert deliver(batch, context) == []
        assert answers.bodies[0]["PhysicalResourceId"] == "bun-1"
        assert "Not complete within ServiceTimeout (3600 s)" in answers.bodies[0]["Reason"]
        assert "RequestLimitExceeded" in answers.bodies[0]["Reason"]

        assert deliver(polls(), context) == []
        assert polls() == []
    assert len(answers.bodies) == 1


def test_an_answer_whose_storing_is_denied_is_not_sent_before_it_is_stored(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise refusals.meaning("dynamodb:UpdateItem", "AccessDeniedException", "No.")

    app.handler(event(answers), context)
    complete(ec2)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "store_answer", denied)
        assert deliver(polls(), context) == []
    assert answers.bodies == []

    assert deliver(polls(), context) == []
    assert [answer["Status"] for answer in answers.bodies] == ["SUCCESS"]


def test_an_update_whose_answer_can_never_be_stored_fails_with_the_old_id(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise refusals.meaning("dynamodb:UpdateItem", "ResourceNotFoundException", "No table.")

    app.handler(event(answers, "Update", PhysicalResourceId="bun-0"), context)
    complete(ec2)
    monkeypatch.setattr(Ledger, "store_answer", refused)

    assert deliver(polls(), context) == []
    [answer] = answers.bodies
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "bun-0")
    assert "No table" in answer["Reason"]


def test_at_the_deadline_the_next_poll_goes_before_anything_can_crash(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    batch = polls()
    monkeypatch.setattr(ec2, "cancel", lambda _: 1 / 0)
    with time_machine.travel(time.time() + 3600, tick=False) as clock:
        assert deliver(batch, context) == ["m0"]
        [after] = polls()
        monkeypatch.setattr(ec2, "cancel", lambda _: None)
        clock.shift(33)
        assert deliver([after], context) == []

    assert answers.bodies[0]["Status"] == "FAILED"


def denying(operation: str, table: str | None = None, code: str = "AccessDeniedException") -> Any:
    """A stub of boto3's calls that refuses one of them, or only that about a table."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make(client: Any, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation and table in (None, arguments.get("TableName")):
            response: Any = {
                "Error": {"Code": code, "Message": "You may not."},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(response, name)
        return call(client, name, arguments)

    return make


@pytest.mark.parametrize(
    ("operation", "action", "is_stored"),
    [
        ("SendMessage", "sqs:SendMessage", True),
        ("PutItem", "dynamodb:PutItem", False),
        ("Query", "dynamodb:Query", False),
    ],
)
def test_what_may_not_be_called_is_failed_with_its_action_where_the_time_is_short(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    action: str,
    is_stored: bool,
) -> None:
    """Lambda could retry the event, but not before the request times out."""
    short = event(answers)
    short["ResourceProperties"] |= {"ServiceTimeout": "240"}
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying(operation))
        app.handler(short, context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert f"Allow {action} in the role" in answers.bodies[0]["Reason"]
    assert ec2.started == []
    if is_stored:
        app.handler(short, context)
        assert answers.bodies[1] == answers.bodies[0]
        assert ec2.started == []


def test_a_ledger_that_can_not_be_read_fails_a_create_when_that_is_repeated(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying("Query", "ledger"))
        app.handler(event(answers), context)
        assert answers.bodies == []
        with time_machine.travel(time.time() + 20, tick=False):
            assert deliver(polls(), context) == []

    assert answers.bodies[0]["Status"] == "FAILED"
    assert "Allow dynamodb:Query in the role" in answers.bodies[0]["Reason"]
    assert ec2.started == []


def test_a_ledger_that_can_not_be_written_to_any_more_is_left_to_lambda_to_repeat(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying("UpdateItem"))
        with pytest.raises(Doubtful, match="Allow dynamodb:UpdateItem in the role"):
            app.handler(event(answers), context)

    assert answers.bodies == []
    assert ec2.started == []


@pytest.mark.parametrize(
    ("kind", "timeout", "waits"),
    [
        ("Create", "3600", True),
        ("Create", "240", False),
        ("Update", "3600", True),
        ("Delete", "3600", True),
        ("Delete", "240", False),
    ],
)
def test_a_ledger_that_is_denied_is_retried_while_lambda_can_send_the_event_again(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    timeout: str,
    *,
    waits: bool,
) -> None:
    properties = event(answers)["ResourceProperties"] | {"ServiceTimeout": timeout}
    request = event(answers, kind, PhysicalResourceId="bun-1", ResourceProperties=properties)

    monkeypatch.setattr(BaseClient, "_make_api_call", denying("PutItem"))
    if waits:
        with pytest.raises(PassingFault):
            app.handler(request, context)
        assert answers.bodies == []
    else:
        app.handler(request, context)
        assert "Allow dynamodb:PutItem in the role" in answers.bodies[0]["Reason"]


def test_an_event_whose_first_poll_could_not_be_sent_is_repeated(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise PassingFault("sqs:SendMessage: ConnectionClosedError")

    with monkeypatch.context() as patch:
        patch.setattr(poll_queue, "send", cut_off)
        with pytest.raises(PassingFault):
            app.handler(event(answers), context)
    assert ec2.started == []

    app.handler(event(answers), context)
    assert len(polls()) == 1


def test_a_poll_that_can_not_be_taken_comes_again_as_a_new_message(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    batch = polls()

    def cut_off(*_: object, **__: object) -> None:
        raise PassingFault("dynamodb:UpdateItem: ConnectionClosedError")

    with monkeypatch.context() as patch:
        patch.setattr(app.ledger(), "take", cut_off)
        assert deliver(batch, context) == []

    assert [record["body"] for record in polls()] == [batch[0]["body"]]


def test_a_busy_requests_poll_comes_when_the_other_process_has_no_time_left(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    [record] = polls()
    poll = Poll.parse(record["body"])
    app.ledger().take(poll.key, poll.generation, lease=17)

    deliver([record], context)

    assert 15 <= delays()[0] <= 17


def delays() -> list[float]:
    """Seconds until each message of the poll queue becomes visible."""
    from moto.sqs.models import sqs_backends

    queue = sqs_backends["123456789012"]["us-east-1"].queues["polls"]
    return [message.delayed_until / 1000 - time.time() for message in queue._messages]


def received(record: dict[str, Any], number: int, count: int) -> dict[str, Any]:
    return record | {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "attributes": {"ApproximateReceiveCount": str(count)},
    }


def test_a_message_that_comes_again_is_taken_alone(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        properties = {"InstanceId": "i-1234567890abcdef0", "Storage": {"S3": {"Bucket": "images"}}}
        app.handler(
            event(answers, LogicalResourceId=f"Bundle{number}", ResourceProperties=properties),
            context,
        )
    records = [
        received(record, number, count=3 if number == 2 else 1)
        for number, record in enumerate(polls())
    ]
    removed: list[str] = []
    monkeypatch.setattr(poll_queue, "remove", lambda _, handles: removed.extend(handles))
    taken: list[str] = []
    resume = BundleResource.resume

    def crash(resource: BundleResource, context: Any) -> NextPoll | None:
        taken.append(resource._request.logical_id)
        if resource._request.logical_id == "Bundle2":
            raise SystemExit
        return resume(resource, context)

    monkeypatch.setattr(BundleResource, "resume", crash)
    with pytest.raises(SystemExit):
        app.handler({"Records": records}, context)

    assert taken == ["Bundle2"]
    assert removed == ["r0", "r1", "r3"]
    gaps = delays()
    assert [later - sooner > 1 for sooner, later in itertools.pairwise(gaps)] == [True, True]
    assert deliver(polls(), context) == []
    assert taken == ["Bundle2", "Bundle0", "Bundle1", "Bundle3"]


def test_a_message_that_comes_again_leaves_others_in_the_queue_that_can_not_be_sent_again(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    [record] = polls()
    poison = {"body": "{}", "eventSource": "aws:sqs"}

    def cut_off(*_: object) -> None:
        raise PassingFault("sqs:SendMessage: ConnectionClosedError")

    monkeypatch.setattr(poll_queue, "send", cut_off)

    assert deliver([received(poison, 0, count=2), received(record, 1, count=1)], context) == [
        *("m0", "m1")
    ]


def create_several(count: int, answers: Answers, context: Context) -> None:
    for number in range(count):
        properties = {"InstanceId": "i-1234567890abcdef0", "Storage": {"S3": {"Bucket": "images"}}}
        app.handler(
            event(answers, LogicalResourceId=f"Bundle{number}", ResourceProperties=properties),
            context,
        )


def of_lambda(count: int) -> list[dict[str, Any]]:
    """So many messages, as Lambda's poller receives them; the others stay in the queue."""
    from moto.sqs.models import sqs_backends

    queue = _queue()
    for message in queue._messages:
        message.delayed_until = 0
    backend = sqs_backends["123456789012"]["us-east-1"]
    return [
        {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for message in backend.receive_message("polls", count, 0, 180)
    ]


def _queue() -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends["123456789012"]["us-east-1"].queues["polls"]


@pytest.fixture
def describes(ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks each Describe call was about."""
    counts: list[int] = []
    describe = ec2.describe

    def counting(task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        counts.append(len(task_ids))
        return describe(task_ids)

    monkeypatch.setattr(ec2, "describe", counting)
    return counts


def test_messages_that_come_together_are_joined_by_those_that_follow_and_share_a_describe(
    ec2: Ec2, answers: Answers, context: Context, describes: list[int]
) -> None:
    create_several(25, answers, context)
    for number in (1, 24):
        complete(ec2, f"bun-{number}")
    batch = of_lambda(2)

    assert deliver(batch, context) == []

    assert describes == [25]
    assert len(answers.bodies) == 2
    bodies = [json.loads(message.body) for message in _queue()._messages]
    assert [body["generation"] for body in bodies].count(1) == 23
    left = {each.id for each in _queue()._messages if json.loads(each.body)["generation"] == 0}
    assert left == {each["messageId"] for each in batch}


def test_a_message_that_comes_alone_waits_for_no_other(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    describes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_several(2, answers, context)
    monkeypatch.setattr(poll_queue, "receive", pytest.fail)

    deliver(polls()[:1], context)

    assert describes == [1]


def test_no_more_messages_are_gathered_than_an_invocation_is_good_for(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def endless(_: str, __: int) -> list[dict[str, Any]]:
        asked.append(1)
        return [
            {
                "messageId": f"m{len(asked)}-{number}",
                "receiptHandle": "r",
                "body": "{}",
                "attributes": {},
            }
            for number in range(10)
        ]

    monkeypatch.setattr(poll_queue, "receive", endless)
    monkeypatch.setattr(poll_queue, "remove", lambda *_: None)
    create_several(10, answers, context)

    assert deliver(polls(), context) == []

    assert len(asked) == 9


@pytest.mark.parametrize(
    "error",
    [
        PassingFault("sqs: ConnectionClosedError"),
        refusals.denied("sqs:SendMessage", "AccessDenied", "not authorized"),
    ],
)
@pytest.mark.parametrize("failing", ["receive", "remove"])
def test_a_batch_whose_receive_or_delete_calls_fail_is_driven(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: InstanceBundleError,
) -> None:
    def fails(*_: object) -> None:
        raise error

    create_several(3, answers, context)
    batch = of_lambda(2)
    monkeypatch.setattr(poll_queue, failing, fails)

    assert deliver(batch, context) == []

    generations = [json.loads(message.body)["generation"] for message in _queue()._messages]
    assert generations.count(1) >= 2


def test_a_gathered_message_that_fails_stays_in_the_queue_and_is_not_reported_to_lambda(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_several(2, answers, context)
    poison = {"messageId": "p", "receiptHandle": "p", "body": "{}", "attributes": {}}
    come = [[poison], []]
    monkeypatch.setattr(poll_queue, "receive", lambda *_: come.pop(0))
    removed: list[str] = []
    monkeypatch.setattr(poll_queue, "remove", lambda _, handles: removed.extend(handles))

    assert deliver(polls(), context) == []

    assert removed == []


def test_a_batch_that_no_queue_sends_is_refused(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    create_several(1, answers, context)
    [poll] = polls()
    without_a_body = {name: value for name, value in poll.items() if name != "body"}

    for records in ([poll] * 11, [without_a_body], [poll, {"eventSource": "aws:s3"}], [None]):
        assert app.handler({"Records": records}, context) is None

    assert deliver([poll], context) == []
    assert len(polls()) == 1


def test_polls_of_one_delay_are_sent_together_ten_a_call(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_several(12, answers, context)
    batch = polls()
    calls: list[int] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def counting(client: Any, name: str, arguments: Any) -> Any:
        if name == "SendMessageBatch":
            calls.append(len(arguments["Entries"]))
        return call(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counting)
    monkeypatch.setattr(messages, "gather", lambda *_: batch[10:])
    monkeypatch.setattr(messages, "remove", lambda *_: None)
    assert deliver(batch[:10], context) == []

    assert calls == [10, 2]
    assert len(polls()) == 12


@pytest.mark.parametrize(
    ("sender_fault", "code", "is_reported"),
    [
        (False, "InternalError", False),
        (True, "AccessDenied", False),
        (True, "InvalidMessageContents", True),
    ],
)
def test_a_poll_that_alone_is_not_sent_harms_no_other(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    sender_fault: bool,
    code: str,
    is_reported: bool,
) -> None:
    create_several(3, answers, context)
    batch = polls()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def failing(client: Any, name: str, arguments: Any) -> Any:
        if name != "SendMessageBatch":
            return call(client, name, arguments)
        failed = [{"Id": "1", "SenderFault": sender_fault, "Code": code}]
        kept = [entry for entry in arguments["Entries"] if entry["Id"] != "1"]
        return call(client, name, arguments | {"Entries": kept}) | {"Failed": failed}

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", failing)
        assert deliver(batch, context) == (["m1"] if is_reported else [])

    again = [Poll.parse(record["body"]) for record in polls()]
    generations = {poll.key.logical_id: poll.generation for poll in again}
    of_the_other = {} if is_reported else {"Bundle1": 0}
    assert generations == {"Bundle0": 1, "Bundle2": 1} | of_the_other


def test_a_batch_whose_calls_are_slow_puts_off_what_its_time_is_too_short_for(
    ec2: Ec2, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_several(5, answers, Context())
    batch = polls()
    context = Context(seconds_left=30)
    resume = BundleResource.resume

    def slow(resource: BundleResource, of_batch: Any) -> NextPoll | None:
        context.seconds_left -= 9
        return resume(resource, of_batch)

    monkeypatch.setattr(BundleResource, "resume", slow)
    assert deliver(batch, context) == []

    assert [Poll.parse(record["body"]).generation for record in polls()] == [0, 0, 0, 1, 1]


def test_a_poll_that_is_alone_is_driven_however_short_the_time_is(
    ec2: Ec2, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context()
    app.handler(event(answers), context)
    take = app.ledger().take

    def slow(*arguments: Any) -> Record:
        context.seconds_left = budget.SAVE
        return take(*arguments)

    monkeypatch.setattr(app.ledger(), "take", slow)
    assert deliver(polls(), context) == []

    assert [Poll.parse(record["body"]).generation for record in polls()] == [1]


def test_an_answer_to_a_request_that_has_timed_out_is_not_retried(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(event(answers), context)
    complete(ec2)
    batch = polls()

    def lost(*args: object) -> None:
        raise PassingFault("The response did not arrive")

    monkeypatch.setattr("instance_bundle.responses.response.deliver", lost)
    with time_machine.travel(time.time() + 3700, tick=False) as clock:
        deliver(batch, context)
        clock.shift(60)
        deliver(polls(), context)
        assert polls() == []


# AMIs that take their time


NOT_YET = NothingDone("the AMI ami-registered1 is not available yet")


def asking_for_an_ami(answers: Answers, kind: str = "Create", **others: Any) -> dict[str, Any]:
    raw = event(answers)["ResourceProperties"]
    return event(answers, kind, ResourceProperties=raw | {"Image": {"Name": "web"}}, **others)


def test_a_bundle_is_answered_once_its_ami_is_available(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking_for_an_ami(answers), context)
    complete(ec2)
    ec2.obstacle = NOT_YET
    assert deliver(polls(), context) == []
    assert answers.bodies == []
    ec2.obstacle = None

    assert deliver(polls(), context) == []

    assert answers.bodies[0]["Data"]["ImageId"] == "ami-registered1"
    assert len(answers.bodies) == len(ec2.registered) == 1


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_an_ami_that_is_not_available_in_time_is_failed_with_the_bundles_id_and_named(
    ec2: Ec2, answers: Answers, context: Context, kind: str
) -> None:
    if kind == "Create":
        app.handler(asking_for_an_ami(answers), context)
        complete(ec2)
        ec2.obstacle = NOT_YET
    else:
        app.handler(event(answers), context)
        complete(ec2)
        deliver(polls(), context)
        answers.bodies.clear()
        ec2.obstacle = NOT_YET
        update = asking_for_an_ami(answers, kind, RequestId="r2", PhysicalResourceId="bun-1")
        app.handler(update, context)
    deliver(polls(), context)
    assert answers.bodies == []
    batch = polls()

    with time_machine.travel(time.time() + 3580, tick=False):
        assert deliver(batch, context) == []

    [body] = answers.bodies
    assert (body["Status"], body["PhysicalResourceId"]) == ("FAILED", "bun-1")
    assert body["Reason"].startswith(
        f"Not complete within ServiceTimeout (3600 s): {NOT_YET}. Raise ServiceTimeout"
    )
    assert ec2.cancelled == []


@pytest.mark.parametrize("superseded", [False, True])
def test_a_poll_of_an_update_that_was_never_admitted_is_answered_with_its_problems(
    ec2: Ec2, answers: Answers, context: Context, *, superseded: bool
) -> None:
    wrong = event(
        answers, "Update", PhysicalResourceId="bun-1", ResourceProperties={"Colour": "red"}
    )
    # As the failure handler does for an event that crashed, if it is killed right after.
    record, _ = app.ledger().receive(Request.parse(wrong), 0)
    if superseded:
        app.ledger().supersede(record)
    poll_queue.send(settings().poll_queue_url, Poll(record.key, 0), 1)

    assert deliver(polls(), context) == []

    [body] = answers.bodies
    assert body["Status"] == "FAILED"
    said = "A later request about this resource" if superseded else "Colour: is not a property here"
    assert said in body["Reason"]
    assert ec2.tasks == {}


def test_an_update_in_place_that_was_never_admitted_is_held_to_what_the_deployment_allows(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_OBJECT_DELETION", "false")
    create = event(answers)
    app.handler(create, context)
    complete(ec2)
    deliver(polls(), context)
    properties = create["ResourceProperties"]
    removing = properties | {"OnDelete": "Delete"}
    update = event(
        answers,
        "Update",
        RequestId="r2",
        PhysicalResourceId="bun-1",
        ResourceProperties=removing,
        OldResourceProperties=properties,
    )
    record, _ = app.ledger().receive(Request.parse(update), 0)
    poll_queue.send(settings().poll_queue_url, Poll(record.key, 0), 1)

    assert deliver(polls(), context) == []

    assert answers.bodies[-1]["Status"] == "FAILED"
    assert "OnDelete: can't be Delete" in answers.bodies[-1]["Reason"]
