"""Where and when answers are sent: the handler with a real ledger, queue and server."""

import io
import json
import time
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import time_machine

from instance_bundle import app, aws, budget, telemetry
from instance_bundle.aws import refusals
from instance_bundle.errors import PassingFault
from instance_bundle.methods.method import Task, Work
from instance_bundle.request.event import Request
from instance_bundle.responses import delivery, response
from instance_bundle.settings import settings
from instance_bundle.state.outcome import Done, Failed
from instance_bundle.state.records import Record
from tests.fixtures import Context

from .conftest import Answers
from .test_lifecycle import RUNNING, Ec2, methods, stored_record
from .test_resource import complete, deliver, event, polls, throttled

ELSEWHERE = {"S3": {"Bucket": "images", "Prefix": "elsewhere"}}


@pytest.fixture
def ec2(cloud: None, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """The handler's own ledger and queue, with a simulated method."""
    method = Ec2()
    monkeypatch.setattr(app, "methods", cache(lambda: methods(method)))
    monkeypatch.setattr(budget, "_PAUSES", (0, 0))
    return method


def asking(
    answers: Answers,
    kind: str = "Create",
    request_id: str = "r1",
    physical_id: str = "",
    *,
    handle: str | None = "one",
    old_handle: str | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """An event whose resource has a handle."""
    raw = event(answers)["ResourceProperties"] | properties
    now, before = (
        raw | ({"CompletionHandle": answers.handle(name)} if name else {})
        for name in (handle, old_handle)
    )
    others = {"OldResourceProperties": before} if kind == "Update" else {}
    return event(
        answers,
        kind,
        RequestId=request_id,
        PhysicalResourceId=physical_id,
        ResourceProperties=now,
        **others,
    )


def record_of(answers: Answers, request_id: str = "r1") -> Record:
    key = Request.parse(asking(answers, request_id=request_id)).key
    found = app.ledger().read(key)
    assert found is not None
    return found


def finished(ec2: Ec2, answers: Answers, context: Context) -> None:
    """A finished bundle bun-1 of a Create with the handle "one"; what was sent is cleared."""
    app.handler(asking(answers), context)
    complete(ec2)
    assert deliver(polls(), context) == []
    assert len(answers.signals) == 1
    answers.bodies.clear()
    answers.signals.clear()


def test_accepted_work_is_answered_at_once_and_its_handle_is_signalled_at_the_end(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers, Image={"Name": "web"}), context)

    [accepted] = answers.bodies
    assert (accepted["Status"], accepted["PhysicalResourceId"]) == ("SUCCESS", "bun-1")
    assert accepted["Data"]["State"] == "bundling"
    assert (accepted["Data"]["ImageId"], accepted["Data"]["S3Uri"]) == ("", "s3://images/web")
    assert deliver(polls(), context) == []
    assert answers.signals == []

    complete(ec2)
    assert deliver(polls(), context) == []
    [(handle, signal)] = answers.signals
    assert handle == "one"
    assert signal | {"Data": json.loads(signal["Data"])} == {
        "Status": "SUCCESS",
        "UniqueId": "r1",
        "Data": {"BundleId": "bun-1", "ImageId": "ami-registered1", "S3Uri": "s3://images/web"},
        "Reason": "",
    }
    assert answers.signal_headers[0]["Content-Type"] == ""
    assert answers.bodies == [accepted]
    assert polls() == []


def test_a_failed_task_is_a_failure_at_its_handle(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers), context)
    ec2.tasks["bun-1"] = replace(
        RUNNING, phase="failed", error_code="Client.S3Error", error_message="No such bucket"
    )

    assert deliver(polls(), context) == []

    [(_, signal)] = answers.signals
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"] == "Task bun-1 failed. Client.S3Error: No such bucket"
    assert json.loads(signal["Data"]) == {
        "BundleId": "bun-1",
        "ImageId": "",
        "S3Uri": "s3://images/web",
    }
    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]


def test_an_acceptance_is_stored_before_it_is_sent(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Record] = []
    send = delivery.send_acceptance

    def read_and_send(request: Request, accepted: Done, *arguments: Any) -> None:
        stored.append(record_of(answers))
        assert stored[0].acceptance == accepted
        send(request, accepted, *arguments)

    monkeypatch.setattr(delivery, "send_acceptance", read_and_send)
    app.handler(asking(answers), context)

    assert [record.acceptance_sent for record in stored] == [False]
    assert record_of(answers).acceptance_sent
    assert len(answers.bodies) == 1


def test_the_acceptance_that_was_stored_first_is_the_one_that_is_sent(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ec2.start

    def meanwhile(work: Work) -> Task:
        """Another process, whose lease has expired, stores an acceptance too."""
        task = start(work)
        stored = stored_record(app.ledger(), record_of(answers))
        app.ledger().store_acceptance(stored, Done("bun-1", {"State": "pending"}))
        return task

    monkeypatch.setattr(ec2, "start", meanwhile)
    app.handler(asking(answers), context)

    assert [body["Data"] for body in answers.bodies] == [{"State": "pending"}]


def test_an_acceptance_that_did_not_arrive_is_sent_again_alike_by_the_next_poll(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    answers.statuses += [503] * 6
    app.handler(asking(answers), context)
    ec2.tasks["bun-1"] = replace(RUNNING, progress="80%")
    assert deliver(polls(), context) == []
    assert len(answers.bodies) == 6
    assert not record_of(answers).acceptance_sent

    assert deliver(polls(), context) == []
    assert deliver(polls(), context) == []

    assert len(answers.bodies) == 7
    assert all(body == answers.bodies[0] for body in answers.bodies)
    assert record_of(answers).acceptance_sent
    assert answers.signals == []


def test_an_acceptance_is_sent_again_by_a_poll_whose_describe_is_throttled(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.statuses += [503] * 3
    app.handler(asking(answers), context)
    monkeypatch.setattr(ec2, "describe", throttled)

    assert deliver(polls(), context) == []

    assert len(answers.bodies) == 4
    assert record_of(answers).acceptance_sent


@pytest.mark.parametrize("killed", ["before it is sent", "before that is stored"])
def test_after_a_kill_at_an_acceptance_the_next_poll_continues(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    def kill(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        if killed == "before it is sent":
            patch.setattr(delivery, "send_acceptance", kill)
        else:
            patch.setattr(app.ledger(), "acceptance_sent", kill)
        with pytest.raises(SystemExit):
            app.handler(asking(answers), context)
    assert record_of(answers).acceptance is not None
    ec2.tasks["bun-1"] = replace(RUNNING, progress="80%")

    with time_machine.travel(time.time() + 33, tick=False):
        assert deliver(polls(), context) == []

    assert len(answers.bodies) == (1 if killed == "before it is sent" else 2)
    assert all(body == answers.bodies[0] for body in answers.bodies)
    assert answers.bodies[0]["Data"]["Progress"] == "20%"
    assert record_of(answers).acceptance_sent
    assert len(ec2.started) == 1


@pytest.mark.parametrize("phase", ["complete", "failed"])
def test_a_poll_that_sees_the_end_first_sends_the_acceptance_and_the_signal(
    ec2: Ec2, answers: Answers, context: Context, phase: Any
) -> None:
    answers.statuses += [503] * 3
    app.handler(asking(answers), context)
    ec2.tasks["bun-1"] = replace(RUNNING, phase=phase, state=phase)

    assert deliver(polls(), context) == []

    assert len(answers.bodies) == 4
    assert answers.bodies[3] == answers.bodies[0]
    assert answers.bodies[3]["Data"]["State"] == "bundling"
    [(_, signal)] = answers.signals
    assert signal["Status"] == ("SUCCESS" if phase == "complete" else "FAILURE")
    assert polls() == []


def test_a_signal_that_did_not_arrive_is_sent_again_alike_by_the_next_poll(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers), context)
    complete(ec2)
    answers.signal_statuses += [503] * 3
    assert deliver(polls(), context) == []
    assert len(answers.signals) == 3

    with time_machine.travel(time.time() + 33, tick=False):
        assert deliver(polls(), context) == []

    assert len(answers.signals) == 4
    assert all(signal == answers.signals[0] for signal in answers.signals)
    assert len(answers.bodies) == 1
    assert polls() == []


def test_a_signal_is_not_retried_once_its_condition_no_longer_waits(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers, CompletionTimeout="7200"), context)
    complete(ec2)
    batch = polls()
    answers.signal_statuses += [503] * 600
    with time_machine.travel(time.time() + 7100, tick=False) as clock:
        assert deliver(batch, context) == []
        assert record_of(answers).undelivered
        clock.shift(110)
        assert deliver(polls(), context) == []
        assert not record_of(answers).undelivered
        assert deliver(polls(), context) == []
        assert polls() == []


def test_an_event_that_comes_again_is_answered_and_signalled_alike(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers), context)
    app.handler(asking(answers), context)
    assert len(answers.bodies) == len(ec2.started) == 1
    complete(ec2)
    deliver(polls(), context)

    app.handler(asking(answers), context)

    assert len(ec2.started) == 1
    assert all(body == answers.bodies[0] for body in answers.bodies)
    assert len(answers.signals) == 2
    assert answers.signals[0] == answers.signals[1]


def test_an_event_that_comes_again_after_its_bundles_delete_signals_nothing(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    finished(ec2, answers, context)
    app.handler(asking(answers, "Delete", "r2", "bun-1"), context)
    answers.signals.clear()

    app.handler(asking(answers), context)

    assert answers.signals == []
    assert answers.bodies[-1]["Status"] == "SUCCESS"


# How long the work may take


@pytest.mark.parametrize(
    ("properties", "seconds"), [({}, 43200), ({"CompletionTimeout": "7200"}, 7200)]
)
def test_accepted_work_times_out_when_its_condition_no_longer_waits(
    ec2: Ec2, answers: Answers, context: Context, properties: dict[str, Any], seconds: int
) -> None:
    start = time.time()
    with time_machine.travel(start, tick=False) as clock:
        app.handler(asking(answers, ServiceTimeout="60", **properties), context)
        for passed in (61, 3700, seconds - 31):
            clock.move_to(start + passed)
            assert deliver(polls(), context) == []
            assert answers.signals == []
        clock.move_to(start + seconds - 29)
        assert deliver(polls(), context) == []

    [(_, signal)] = answers.signals
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"].startswith(
        f"Not complete within CompletionTimeout ({seconds} s): task bun-1 is bundling at 20%"
    )
    assert ec2.cancelled == ["bun-1"]
    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]


def test_a_fault_that_lasts_until_the_completion_timeout_is_a_failure(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.handler(asking(answers, CompletionTimeout="7200"), context)
    batch = polls()
    monkeypatch.setattr(ec2, "describe", throttled)
    with time_machine.travel(time.time() + 7200, tick=False):
        assert deliver(batch, context) == []

    [(_, signal)] = answers.signals
    assert "Not complete within CompletionTimeout (7200 s)" in signal["Reason"]
    assert "RequestLimitExceeded" in signal["Reason"]


def test_work_that_is_not_accepted_in_time_is_failed_at_cloudformation_alone(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2.obstacle, ec2.starts_all_the_same = PassingFault("cut off"), True
    app.handler(asking(answers, ServiceTimeout="600"), context)
    batch = polls()
    with time_machine.travel(time.time() + 600, tick=False):
        assert deliver(batch, context) == []

    [body] = answers.bodies
    assert body["Status"] == "FAILED"
    assert "Not complete within ServiceTimeout (600 s): task bun-1" in body["Reason"]
    assert ec2.cancelled == ["bun-1"]
    assert answers.signals == []


# Requests that end before they are accepted


def test_what_is_refused_is_failed_at_cloudformation_alone(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    ec2.obstacle = refusals.denied("ec2:BundleInstance", "IncorrectInstanceState", "It is stopped.")

    app.handler(asking(answers), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED"]
    assert answers.signals == []


def test_properties_that_are_wrong_are_failed_at_cloudformation_alone(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers, InstanceId="mine"), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED"]
    assert answers.signals == []


def test_a_dry_run_is_answered_and_signalled(ec2: Ec2, answers: Answers, context: Context) -> None:
    app.handler(asking(answers, DryRun="true"), context)

    [body] = answers.bodies
    [(_, signal)] = answers.signals
    assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "dryrun-r1")
    assert signal["Status"] == "SUCCESS"
    assert json.loads(signal["Data"])["BundleId"] == "dryrun-r1"


def test_an_update_in_place_signals_a_new_handle_at_once(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    finished(ec2, answers, context)

    app.handler(asking(answers, "Update", "r2", "bun-1", handle="two", old_handle="one"), context)

    [body] = answers.bodies
    [(handle, signal)] = answers.signals
    assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "bun-1")
    assert (handle, signal["Status"], signal["UniqueId"]) == ("two", "SUCCESS", "r2")


def test_an_update_in_place_does_not_signal_the_same_handle_again(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    finished(ec2, answers, context)

    app.handler(asking(answers, "Update", "r2", "bun-1", old_handle="one"), context)

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert answers.signals == []


def test_an_update_that_makes_a_bundle_with_the_same_handle_is_refused(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    finished(ec2, answers, context)

    app.handler(
        asking(answers, "Update", "r2", "bun-1", old_handle="one", Storage=ELSEWHERE), context
    )

    [body] = answers.bodies
    assert body["Status"] == "FAILED"
    assert "CompletionHandle: is that of the earlier bundle" in body["Reason"]
    assert body["PhysicalResourceId"] == "bun-1"
    assert answers.signals == []
    assert len(ec2.started) == 1


def test_a_replacement_signals_its_own_handle(ec2: Ec2, answers: Answers, context: Context) -> None:
    finished(ec2, answers, context)
    update = asking(
        answers, "Update", "r2", "bun-1", handle="two", old_handle="one", Storage=ELSEWHERE
    )
    app.handler(update, context)
    complete(ec2, "bun-2")
    assert deliver(polls(), context) == []

    assert [body["PhysicalResourceId"] for body in answers.bodies] == ["bun-2"]
    assert [(handle, signal["Status"]) for handle, signal in answers.signals] == [
        ("two", "SUCCESS")
    ]


def test_a_delete_of_accepted_work_ends_it_and_its_create_is_a_failure(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(asking(answers), context)
    create = polls()
    answers.bodies.clear()

    app.handler(asking(answers, "Delete", "r2", "bun-1"), context)
    assert ec2.cancelled == ["bun-1"]
    assert answers.bodies == []
    delete = polls()
    assert deliver(create, context) == []
    [(_, signal)] = answers.signals
    assert (signal["Status"], signal["UniqueId"]) == ("FAILURE", "r1")
    assert "has replaced this one" in signal["Reason"]
    assert answers.bodies == []

    ec2.tasks["bun-1"] = replace(RUNNING, phase="failed", state="failed")
    assert deliver(delete, context) == []
    assert [(body["RequestId"], body["Status"]) for body in answers.bodies] == [("r2", "SUCCESS")]
    assert len(answers.signals) == 1
    assert polls() == []


# The content of a signal


def record(answers: Answers, prefix: str, **others: Any) -> tuple[Request, Record]:
    """A request whose acceptance was sent, and whose work writes to a prefix."""
    request = Request.parse(asking(answers) | others)
    opened, _ = app.ledger().receive(request, lease=30)
    accepted = Done(
        "bun-0123456789abcdef0",
        {
            "BundleId": "bun-0123456789abcdef0",
            "ImageId": "",
            "S3Uri": f"s3://{'b' * 63}/{prefix}",
            "State": "bundling",
        },
    )
    app.ledger().store_acceptance(opened, accepted)
    app.ledger().acceptance_sent(opened)
    found = app.ledger().read(request.key)
    assert found is not None
    return request, found


@pytest.mark.parametrize("character", ["p", "é", '"', "\\", "\N{PERSONAL COMPUTER}", "\u4e2d"])
@pytest.mark.parametrize("reason", ["x", "é", '"', "\N{PERSONAL COMPUTER}", "\ud800"])
def test_a_signal_has_room_for_any_data_and_a_long_reason_is_truncated(
    ec2: Ec2, answers: Answers, character: str, reason: str
) -> None:
    longest = character * (900 // (len(json.dumps(character, ensure_ascii=False).encode()) - 2))
    request, found = record(answers, longest, RequestId="r" * 128)

    failed = Failed("bun-0123456789abcdef0", "Task failed. " + reason * 9000)
    delivery.deliver(request, found, failed, settings())

    [(_, signal)] = answers.signals
    size = int(answers.signal_headers[0]["Content-Length"])
    assert response.LIMIT - 40 < size <= response.LIMIT
    assert json.loads(signal["Data"])["S3Uri"].endswith(longest)
    assert signal["Reason"].startswith("Task failed. ")
    assert signal["Reason"].endswith("…")
    assert answers.bodies == []


def test_a_handle_that_is_not_cloudformations_is_not_signalled(
    ec2: Ec2, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    others = json.loads(json.dumps(asking(answers)).replace("/handle/", "@evil.example/"))
    request, found = record(answers, "web", ResourceProperties=others["ResourceProperties"])

    delivery.deliver(request, found, Failed("bun-1", "No."), settings())

    assert answers.signals == []
    assert "not one of CloudFormation's" in caplog.text


# Secrets


def test_a_handles_url_is_neither_sent_nor_logged_nor_kept(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", logged)
    answers.statuses += [503] * 3
    answers.signal_statuses += [503] * 3 + [403]
    handle = answers.handle()

    app.handler(asking(answers), context)
    queued = polls()
    ec2.tasks["bun-1"] = replace(
        RUNNING,
        phase="failed",
        error_code="Client.S3Error",
        error_message=f"Can't write for {handle}, {handle.partition('?')[2]}",
    )
    deliver(queued, context)
    queued += polls()
    with time_machine.travel(time.time() + 33, tick=False):
        deliver(queued[1:], context)

    assert len(answers.signals) == 4
    reason = answers.signals[0][1]["Reason"]
    assert reason == "Task bun-1 failed. Client.S3Error: Can't write for [concealed], [concealed]"
    items = json.dumps(aws.dynamodb().scan(TableName="ledger")["Items"])
    assert "403" in logged.getvalue() + caplog.text
    for text in (logged.getvalue(), caplog.text, json.dumps(queued), items):
        assert "h4ndl3s0wn" not in text
        assert "s3cr3t" not in text


def test_a_handle_that_is_refused_is_not_repeated_in_the_reason(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    url = "https://images.s3.amazonaws.com/mine?X-Amz-Signature=h4ndl3s0wn"

    app.handler(asking(answers, handle=None, CompletionHandle=url), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert "CompletionHandle: must be the URL of a wait" in answers.bodies[0]["Reason"]
    assert "h4ndl3s0wn" not in json.dumps(answers.bodies)


@pytest.mark.parametrize("url", ["https://[x" + "y" * 20, "https://é.example/" + "\ud800" * 20])
def test_a_handle_that_no_parser_reads_is_answered_like_any_mistake(
    ec2: Ec2, answers: Answers, context: Context, url: str
) -> None:
    app.handler(asking(answers, handle=None, CompletionHandle=url), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert answers.bodies[0]["Reason"].startswith("1 problem in the properties. CompletionHandle: ")
