"""The failure handler answers dead letters FAILED, once."""

import json
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from instance_bundle import app, budget, last_resort
from instance_bundle.aws import refusals
from instance_bundle.errors import PassingFault
from instance_bundle.last_resort import CRASHES
from instance_bundle.methods.method import Bundle, Task
from instance_bundle.request import Location
from instance_bundle.request.event import Request, RequestKey
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done
from instance_bundle.state.poll_queue import Poll
from instance_bundle.state.records import Record, Tombstone, dated
from tests.fixtures import Clock, Context

from .conftest import Answers
from .test_lifecycle import RUNNING

ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture(autouse=True)
def _one_ledger_and_no_pauses(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure handler and its ledger have the test's clock; there are no pauses."""
    monkeypatch.setattr(last_resort, "ledger", cache(lambda: ledger))
    monkeypatch.setattr(last_resort, "time", SimpleNamespace(time=clock))
    monkeypatch.setattr(budget, "_PAUSES", (0, 0))


def event(answers: Answers, **others: Any) -> dict[str, Any]:
    return {
        "RequestType": "Create",
        "ResponseURL": answers.url,
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/1",
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "ResourceProperties": {},
    } | others


def dead_letter(body: str) -> dict[str, Any]:
    return {"Records": [{"messageId": "m1", "body": body, "eventSource": "aws:sqs"}]}


def crashed(payload: Any) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": payload,
            "responsePayload": {"errorType": "Runtime.ExitError"},
        }
    )


def poll_of(
    ledger: Ledger, request: Request, task: Task | None = None, *, begun: int = CRASHES
) -> str:
    """The dead letter of a request whose polls began so often, and did not end."""
    record, _ = ledger.receive(request, lease=0)
    if task is not None:
        ledger.merge_task(record, task)
    for _ in range(begun):
        ledger.take(request.key, 0, lease=0)
    return Poll(request.key, 0).body()


NOTHING_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}


def test_a_poll_that_kept_failing_is_answered_failed_with_the_tasks_id(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    body = poll_of(ledger, Request.parse(event(answers)), RUNNING)

    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert answers.bodies[0]["Status"] == "FAILED"
    assert answers.bodies[0]["PhysicalResourceId"] == "bun-1"
    assert "its polls kept failing" in answers.bodies[0]["Reason"]


def test_an_event_that_kept_crashing_the_function_is_answered_failed(
    answers: Answers, context: Context
) -> None:
    assert last_resort.handler(dead_letter(crashed(event(answers))), context) == NOTHING_FAILED

    assert answers.bodies[0]["Status"] == "FAILED"
    assert answers.bodies[0]["PhysicalResourceId"] == "Bundle-r1"
    assert "RetriesExhausted after 3 invocations" in answers.bodies[0]["Reason"]


def test_lambda_itself_hands_over_an_event_that_kept_crashing_the_function(
    answers: Answers, context: Context
) -> None:
    assert last_resort.handler(json.loads(crashed(event(answers))), context) is None

    assert "RetriesExhausted after 3 invocations" in answers.bodies[0]["Reason"]


def test_an_event_that_can_not_be_answered_yet_comes_again(
    answers: Answers, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.statuses += [503] * 3

    with pytest.raises(PassingFault):
        last_resort.handler(json.loads(crashed(event(answers))), context)
    last_resort.handler(json.loads(crashed(event(answers))), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED"] * 4
    assert all(body == answers.bodies[0] for body in answers.bodies)
    assert capsys.readouterr().out.count('"TimeToAnswer":[0.0]') == 1


def test_an_event_is_passed_between_failure_handler_and_function_until_it_is_answered(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    """The function handles the event in a record, however often it was passed."""
    record = json.loads(crashed(json.loads(crashed(event(answers)))))

    app.handler(record, context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert "problems in the properties" in answers.bodies[0]["Reason"]
    last_resort.handler(json.loads(crashed(record)), context)
    assert len(answers.bodies) == 1  # the ledger shows that it was answered


def test_an_event_that_has_timed_out_is_not_retried(
    answers: Answers, context: Context, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    answers.statuses += [503] * 10
    date = dated(clock.now - 3700)
    old = event(answers, ResponseURL=f"{answers.url}&X-Amz-Date={date}")

    assert last_resort.handler(json.loads(crashed(old)), context) is None

    assert "it is not retried" in caplog.text


def test_a_crashed_event_that_would_be_answered_elsewhere_is_not(
    answers: Answers, context: Context, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = event(answers, ResponseURL="https://images.s3.amazonaws.com/mine?Signature=s3cr3t")

    last_resort.handler(json.loads(crashed(elsewhere)), context)

    assert "of host images.s3.amazonaws.com" in str([r.__dict__ for r in caplog.records])
    assert "s3cr3t" not in str([r.__dict__ for r in caplog.records])
    assert ledger.read(Request.parse(elsewhere).key) is None


def test_a_crashed_event_of_another_account_is_refused(
    answers: Answers, context: Context, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERIFY_REQUESTS", "true")
    foreign = "arn:aws:cloudformation:us-east-1:999999999999:stack/web/1"
    given = event(answers, StackId=foreign)

    last_resort.handler(json.loads(crashed(given)), context)
    last_resort.handler(dead_letter(crashed(given)), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED", "FAILED"]
    assert {body["Reason"].partition(":")[0] for body in answers.bodies} == {"StackId"}
    assert ledger.read(RequestKey(foreign, "Bundle", "r1")) is None


def test_a_refusal_that_does_not_arrive_comes_again_until_it_times_out(
    answers: Answers, context: Context, clock: Clock
) -> None:
    record = json.loads(crashed(event(answers, StackId="web")))
    record["timestamp"] = datetime.fromtimestamp(clock.now, UTC).isoformat()
    answers.statuses = [503] * 20

    with pytest.raises(PassingFault):
        last_resort.handler(record, context)
    clock.advance(3600)

    assert last_resort.handler(record, context) is None


def test_an_update_or_delete_keeps_its_physical_id(answers: Answers, context: Context) -> None:
    body = crashed(event(answers, RequestType="Delete", PhysicalResourceId="bun-7"))

    last_resort.handler(dead_letter(body), context)

    assert answers.bodies[0]["PhysicalResourceId"] == "bun-7"


def test_a_dead_letter_that_comes_twice_is_answered_once(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    body = poll_of(ledger, Request.parse(event(answers)))

    last_resort.handler(dead_letter(body), context)
    last_resort.handler(dead_letter(body), context)

    assert len(answers.bodies) == 1


def test_a_stored_answer_is_sent_instead_of_failed(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    request = Request.parse(event(answers))
    body = poll_of(ledger, request)
    record = ledger.read(request.key)
    assert record is not None
    ledger.store_answer(record, Done("bun-1", {"BundleId": "bun-1"}))

    last_resort.handler(dead_letter(body), context)

    assert answers.bodies[0]["Status"] == "SUCCESS"
    assert answers.bodies[0]["Data"] == {"BundleId": "bun-1"}


@pytest.mark.parametrize(("kind", "answered"), [("Create", "bun-1"), ("Update", "bun-0")])
def test_a_failed_update_keeps_the_id_and_a_create_has_that_of_its_task(
    answers: Answers, context: Context, ledger: Ledger, kind: str, answered: str
) -> None:
    physical_id = {"PhysicalResourceId": "bun-0"} if kind == "Update" else {}
    request = Request.parse(event(answers, RequestType=kind, **physical_id))
    body = poll_of(ledger, request)
    record = ledger.read(request.key)
    assert record is not None
    ledger.merge_task(record, RUNNING)

    last_resort.handler(dead_letter(body), context)

    assert answers.bodies[0]["Status"] == "FAILED"
    assert answers.bodies[0]["PhysicalResourceId"] == answered


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"format": 1}', crashed("no event")])
def test_a_dead_letter_without_a_request_is_dropped_with_a_log_line(
    answers: Answers, context: Context, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert answers.bodies == []
    assert "about no request" in caplog.text


def test_a_dead_letter_that_can_not_be_answered_now_comes_again(
    answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: object) -> None:
        raise PassingFault("The response did not arrive")

    monkeypatch.setattr("instance_bundle.responses.response.deliver", lost)

    response = last_resort.handler(dead_letter(crashed(event(answers))), context)

    assert response == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_each_answered_dead_letter_is_counted(
    answers: Answers, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    last_resort.handler(dead_letter(crashed(event(answers))), context)

    metrics = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line
    ]
    assert [line["DeadLettersAnswered"] for line in metrics] == [[1.0]]


def polls() -> list[Poll]:
    """The messages of the poll queue."""
    return [
        Poll.parse(message.body)
        for message in sqs_backends[ACCOUNT][REGION].queues["polls"]._messages
    ]


def test_an_event_that_crashed_is_answered_alike_when_it_comes_again(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    last_resort.handler(dead_letter(crashed(event(answers))), context)

    record, is_new = ledger.receive(Request.parse(event(answers)), lease=30)

    assert not is_new
    assert record.answer is not None
    assert record.answer.physical_id == answers.bodies[0]["PhysicalResourceId"]


@pytest.mark.parametrize("error", ["PassingFault", "Throttled"])
def test_an_event_that_met_passing_faults_only_is_handed_to_the_polls(
    answers: Answers, context: Context, ledger: Ledger, error: str
) -> None:
    body = json.loads(crashed(event(answers))) | {"responsePayload": {"errorType": error}}

    assert last_resort.handler(dead_letter(json.dumps(body)), context) == NOTHING_FAILED

    assert answers.bodies == []
    [poll] = polls()
    assert ledger.take(poll.key, poll.generation, lease=30).request is not None


def test_an_event_whose_polls_continue_is_left_to_them(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    request = Request.parse(event(answers))
    record, _ = ledger.receive(request, lease=0)
    ledger.save_progress(record, RUNNING, 4)

    last_resort.handler(dead_letter(crashed(event(answers))), context)

    assert answers.bodies == []
    assert polls() == [Poll(request.key, 4)]


def test_a_poll_whose_request_has_continued_does_not_fail_it(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    request = Request.parse(event(answers))
    record, _ = ledger.receive(request, lease=0)
    ledger.save_progress(record, RUNNING, 1)

    assert last_resort.handler(dead_letter(Poll(request.key, 0).body()), context) == NOTHING_FAILED

    assert answers.bodies == []


def test_a_poll_whose_request_is_being_driven_comes_again(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    request = Request.parse(event(answers))
    ledger.receive(request, lease=30)

    response = last_resort.handler(dead_letter(Poll(request.key, 0).body()), context)

    assert response == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert answers.bodies == []


def test_where_the_ledger_can_not_be_written_to_the_stack_is_answered_all_the_same(
    answers: Answers, context: Context, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> None:
        raise refusals.denied("dynamodb:PutItem", "AccessDeniedException", "You may not.")

    monkeypatch.setattr(ledger, "receive", deny)

    assert last_resort.handler(dead_letter(crashed(event(answers))), context) == NOTHING_FAILED

    assert "Allow dynamodb:PutItem in the role" in answers.bodies[0]["Reason"]


@pytest.mark.parametrize(("age", "is_dropped"), [(3700, False), (43100, False), (43300, True)])
def test_a_dead_letter_that_can_not_be_answered_is_dropped_once_it_has_timed_out(
    answers: Answers,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    age: int,
    *,
    is_dropped: bool,
) -> None:
    def lost(*args: object) -> None:
        raise PassingFault("The response did not arrive")

    monkeypatch.setattr("instance_bundle.responses.response.deliver", lost)
    old = dead_letter(crashed(event(answers)))
    old["Records"][0]["attributes"] = {"SentTimestamp": str(int((clock.now - age) * 1000))}

    left = [] if is_dropped else [{"itemIdentifier": "m1"}]
    assert last_resort.handler(old, context) == {"batchItemFailures": left}


def test_an_event_with_no_date_times_out_by_the_time_of_its_first_record(
    answers: Answers, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    answers.statuses += [503] * 10
    first = json.loads(crashed(event(answers))) | {"timestamp": "2026-01-01T00:00:00.000Z"}

    assert last_resort.handler(json.loads(crashed(first)), context) is None

    assert "it is not retried" in caplog.text


@pytest.mark.parametrize("begun", range(CRASHES))
def test_a_request_whose_polls_were_throttled_is_resumed(
    answers: Answers, context: Context, ledger: Ledger, begun: int
) -> None:
    """Lambda received the message three times, but the function began with it less often."""
    request = Request.parse(event(answers))
    body = poll_of(ledger, request, RUNNING, begun=begun)

    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert answers.bodies == []
    assert polls() == [Poll(request.key, 0)]
    assert ledger.take(request.key, 0, lease=30).task == RUNNING  # the lease is released


def test_a_request_that_was_throttled_beyond_its_deadline_is_failed(
    answers: Answers, context: Context, ledger: Ledger, clock: Clock
) -> None:
    body = poll_of(ledger, Request.parse(event(answers)), RUNNING, begun=0)
    clock.now += 3570

    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert "its polls did not run in time" in answers.bodies[0]["Reason"]
    assert answers.bodies[0]["PhysicalResourceId"] == "bun-1"


@pytest.mark.parametrize("condition", ["EventAgeExceeded", "ZeroReservedConcurrency"])
def test_an_event_for_which_lambda_had_no_room_is_resumed(
    answers: Answers, context: Context, ledger: Ledger, condition: str
) -> None:
    record = json.loads(crashed(event(answers)))
    del record["responsePayload"]
    record["requestContext"] = {"condition": condition, "approximateInvokeCount": 0}

    assert last_resort.handler(record, context) is None

    assert answers.bodies == []
    [poll] = polls()
    assert ledger.take(poll.key, poll.generation, lease=30).request is not None


def test_a_dead_letter_that_can_not_be_handled_at_all_leaves_the_others_to_be_answered(
    answers: Answers,
    context: Context,
    ledger: Ledger,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Request.parse(event(answers)), Request.parse(event(answers, RequestId="r2"))
    bodies = [poll_of(ledger, request) for request in (first, second)]
    answer = ledger.store_answer

    def broken(record: Record, given: Any) -> Any:
        if record.key == first.key:
            raise TypeError("'NoneType' object is not subscriptable")
        return answer(record, given)

    monkeypatch.setattr(ledger, "store_answer", broken)
    batch = {"Records": [dead_letter(body)["Records"][0] | {"messageId": body} for body in bodies]}

    assert last_resort.handler(batch, context) == {
        "batchItemFailures": [{"itemIdentifier": bodies[0]}]
    }
    assert [body["RequestId"] for body in answers.bodies] == ["r2"]

    clock.now += 3601
    assert last_resort.handler(batch, context) == NOTHING_FAILED
    assert len(answers.bodies) == 1


@pytest.mark.parametrize(
    "lost",
    [
        {"requestContext": {"condition": "RetriesExhausted"}, "responsePayload": {}},
        {"requestContext": "?", "requestPayload": None},
        {"requestPayload": "an event that was cut o"},
        {},
        None,
        [],
        "text",
    ],
)
def test_a_record_that_has_lost_its_event_is_logged_and_never_repeated(
    answers: Answers, context: Context, caplog: pytest.LogCaptureFixture, lost: Any
) -> None:
    assert last_resort.handler(lost, context) is None
    assert app.handler(lost, context) is None

    assert answers.bodies == []
    assert "about no request" in caplog.text


@pytest.mark.parametrize("number", [-1, 10**38 - 1, 1.5, True, "1", None])
def test_a_poll_of_an_impossible_generation_is_about_nothing(
    answers: Answers, context: Context, caplog: pytest.LogCaptureFixture, number: Any
) -> None:
    body = json.loads(Poll(Request.parse(event(answers)).key, 0).body()) | {"generation": number}

    assert last_resort.handler(dead_letter(json.dumps(body)), context) == NOTHING_FAILED

    assert "about no request" in caplog.text


def test_dead_letters_that_an_invocation_has_no_time_for_come_again(
    answers: Answers, ledger: Ledger
) -> None:
    body = poll_of(ledger, Request.parse(event(answers)))

    left = last_resort.handler(dead_letter(body), Context(seconds_left=budget.WORK - 1))

    assert left == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert answers.bodies == []


# Requests whose handle is signalled at the end


ACCEPTED = Done("bun-1", {"BundleId": "bun-1", "ImageId": "", "S3Uri": "s3://images/web"})


def accepted(answers: Answers, ledger: Ledger, *, is_sent: bool) -> str:
    """The dead letter of a request whose work is accepted."""
    request = Request.parse(
        event(answers, ResourceProperties={"CompletionHandle": answers.handle()})
    )
    record, _ = ledger.receive(request, lease=0)
    ledger.merge_task(record, RUNNING)
    ledger.store_acceptance(record, ACCEPTED)
    if is_sent:
        ledger.acceptance_sent(record)
    for _ in range(CRASHES):
        ledger.take(request.key, 0, lease=0)
    return Poll(request.key, 0).body()


def test_an_accepted_request_is_a_failure_at_its_handle_and_not_answered_again(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    body = accepted(answers, ledger, is_sent=True)

    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED
    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert answers.bodies == []
    [(handle, signal)] = answers.signals
    assert (handle, signal["Status"], signal["UniqueId"]) == ("one", "FAILURE", "r1")
    assert "its polls kept failing" in signal["Reason"]
    assert json.loads(signal["Data"])["BundleId"] == "bun-1"


def test_an_acceptance_that_was_not_sent_is_sent_with_the_failure(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    last_resort.handler(dead_letter(accepted(answers, ledger, is_sent=False)), context)

    [body] = answers.bodies
    assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "bun-1")
    assert body["Data"] == ACCEPTED.attributes
    assert [signal["Status"] for _, signal in answers.signals] == ["FAILURE"]


def test_a_request_that_was_not_accepted_is_failed_at_cloudformation_alone(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    properties = {"CompletionHandle": answers.handle()}
    request = Request.parse(event(answers, ResourceProperties=properties))

    last_resort.handler(dead_letter(poll_of(ledger, request)), context)

    assert [body["Status"] for body in answers.bodies] == ["FAILED"]
    assert answers.signals == []


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_stored_result_is_signalled_instead_of_a_failure(
    answers: Answers, context: Context, ledger: Ledger, *, is_deleted: bool
) -> None:
    body = accepted(answers, ledger, is_sent=True)
    key = Request.parse(event(answers)).key
    done = Done("bun-1", {**ACCEPTED.attributes, "ImageId": "ami-1"})
    ledger.bundles.put(
        key, Bundle("bun-1", key.request_id, Location("images", "web"), attributes=done.attributes)
    )
    record = ledger.read(key)
    assert record is not None
    ledger.store_answer(record, done)
    if is_deleted:
        ledger.bundles.leave_tombstone(key, Tombstone("bun-1", "", unseen=False))

    last_resort.handler(dead_letter(body), context)

    assert answers.bodies == []
    if is_deleted:
        assert answers.signals == []
        return
    [(_, signal)] = answers.signals
    assert signal["Status"] == "SUCCESS"
    assert json.loads(signal["Data"])["ImageId"] == "ami-1"


def test_a_dead_letter_whose_signal_does_not_arrive_comes_again(
    answers: Answers, context: Context, ledger: Ledger, clock: Clock
) -> None:
    body = accepted(answers, ledger, is_sent=True)
    answers.signal_statuses += [503] * 3

    response = last_resort.handler(dead_letter(body), context)
    assert response == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    clock.now += 33
    assert last_resort.handler(dead_letter(body), context) == NOTHING_FAILED

    assert len(answers.signals) == 4
    assert all(signal == answers.signals[0] for signal in answers.signals)
    assert answers.bodies == []


def test_an_event_that_crashed_after_its_work_was_accepted_is_left_to_the_polls(
    answers: Answers, context: Context, ledger: Ledger
) -> None:
    accepted(answers, ledger, is_sent=True)
    properties = {"CompletionHandle": answers.handle()}

    last_resort.handler(
        dead_letter(crashed(event(answers, ResourceProperties=properties))), context
    )

    assert (answers.bodies, answers.signals) == ([], [])
    assert len(polls()) == 1
