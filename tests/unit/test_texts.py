"""The texts of requests: they are stored first, read by polls, and removed once answered."""

import json
import logging
import time
from functools import cache
from typing import Any

import pytest
from botocore.client import BaseClient

from instance_bundle import app, aws, budget, last_resort
from instance_bundle.errors import Doubtful, Stale
from instance_bundle.request import (
    DEFAULT_COMPLETION_TIMEOUT,
    Request,
    RequestKey,
    upload_policy,
)
from instance_bundle.state import Done, Ledger, Poll, texts
from instance_bundle.state.items import request_key
from instance_bundle.state.table import NEW, Table
from tests.fixtures import Clock, Context

from .conftest import Answers
from .test_items import BEFORE
from .test_lifecycle import Ec2, methods, opened, request
from .test_resource import complete, deliver, denying, event, polls

MAKE_API_CALL = BaseClient._make_api_call  # type: ignore[attr-defined]


@pytest.fixture
def ec2(cloud: None, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Ec2:
    """The handler's own ledger and queue, with a simulated method."""
    method = Ec2()
    monkeypatch.setattr(app, "methods", cache(lambda: methods(method)))
    return method


def stored(table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = aws.dynamodb().scan(TableName=table)["Items"]
    return items


def test_a_text_outlives_any_request() -> None:
    # A request's date, from which its timeout counts, is at most so much after its receipt.
    skew = 5 * 60
    assert budget.believed(skew, received=0) == skew
    assert skew + DEFAULT_COMPLETION_TIMEOUT < texts.KEPT


def test_a_text_has_the_time_when_it_expires(ledger: Ledger, clock: Clock) -> None:
    opened(ledger, request())

    [text] = stored("requests")
    assert text["expires"] == {"N": str(int(clock.now) + texts.KEPT)}


def test_a_record_that_a_killed_process_did_not_store_is_stored_by_the_next_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Table.put

    def killed(table: Table, item: Any, condition: Any = None) -> None:
        if table is ledger._table:
            raise KeyboardInterrupt
        put(table, item, condition)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            ledger.receive(request(), lease=30)
    assert [len(stored(table)) for table in ("ledger", "requests")] == [0, 1]

    record, is_new = ledger.receive(request(), lease=30)

    assert (record.request, is_new) == (request(), True)


def test_what_was_asked_first_counts(ledger: Ledger) -> None:
    first = opened(ledger, request())

    again, is_new = ledger.receive(request(DryRun="true"), lease=30)

    assert (again.request, is_new) == (first.request, False)
    assert ledger.texts.read(first.key) == request()


def test_an_event_that_comes_again_after_its_answer_leaves_no_text(ledger: Ledger) -> None:
    record = opened(ledger, request())
    ledger.store_answer(record, Done("bun-1"))
    ledger.delivered(record.key)
    assert stored("requests") == []

    again, is_new = ledger.receive(request(), lease=30)

    assert (again.request, again.answer, is_new) == (None, Done("bun-1"), False)
    assert stored("requests") == []


def test_a_text_stays_while_another_request_about_the_resource_is_answered(ledger: Ledger) -> None:
    opened(ledger, request())
    record = opened(ledger, request("Delete", "r2", "bun-1"))
    ledger.store_answer(record, Done("bun-1"))

    ledger.delivered(record.key)

    assert ledger.texts.read(request().key) == request()


@pytest.mark.parametrize("error", ["AccessDeniedException", "ThrottlingException"])
def test_a_text_that_can_not_be_removed_is_left_to_expire(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    record = opened(ledger, request())
    ledger.store_answer(record, Done("bun-1"))

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying("DeleteItem", code=error))
        ledger.delivered(record.key)

    found = ledger.read(record.key)
    assert found is not None
    assert not found.undelivered
    assert "A request's text is not removed; it expires" in caplog.text
    [text] = stored("requests")
    assert "expires" in text


def test_a_poll_whose_text_can_not_be_read_takes_no_lease(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, _ = ledger.receive(request(), lease=0)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying("Query", "requests"))
        with pytest.raises(Doubtful, match="dynamodb:Query"):
            ledger.take(record.key, 0, lease=30)

    assert ledger.take(record.key, 0, lease=30).begun == 1


def lose_text(key: RequestKey) -> None:
    aws.dynamodb().delete_item(
        TableName="requests", Key={name: {"S": value} for name, value in request_key(key).items()}
    )


def test_a_poll_of_a_request_whose_text_is_lost_is_dropped(
    ec2: Ec2, answers: Answers, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    app.handler(event(answers), context)
    batch = polls()
    lose_text(Request.parse(event(answers)).key)

    with caplog.at_level(logging.ERROR):
        assert deliver(batch, context) == []

    assert polls() == []
    assert answers.bodies == []
    assert "A request can't be answered: its text has expired" in caplog.text


def test_a_dead_letter_of_a_request_whose_text_is_lost_is_dropped(
    ledger: Ledger,
    answers: Answers,
    context: Context,
    caplog: pytest.LogCaptureFixture,
) -> None:
    record, _ = ledger.receive(Request.parse(event(answers)), lease=0)
    lose_text(record.key)
    message = {"messageId": "m1", "body": Poll(record.key, 0).body()}

    assert last_resort.handler({"Records": [message]}, context) == {"batchItemFailures": []}

    assert answers.bodies == []
    assert "A request can't be answered: its text has expired" in caplog.text


def test_a_later_request_ends_the_work_of_one_whose_text_is_lost(
    ec2: Ec2, answers: Answers, context: Context
) -> None:
    app.handler(event(answers), context)
    polls()
    lose_text(Request.parse(event(answers)).key)

    app.handler(event(answers, "Delete", RequestId="r2", PhysicalResourceId="bun-1"), context)

    assert ec2.cancelled == ["bun-1"]


def test_a_request_that_an_earlier_version_received_goes_on(ledger: Ledger, clock: Clock) -> None:
    ledger._table.put(BEFORE, NEW)
    key = request().key

    taken = ledger.take(key, 3, lease=30)
    assert taken.request == request()
    ledger.store_answer(taken, Done("bun-1"))
    ledger.delivered(key)

    [item] = stored("ledger")
    assert "request" not in item
    with pytest.raises(Stale):
        ledger.take(key, 3, lease=30)


def test_the_ledger_never_has_a_text(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = upload_policy.make("images", "web", time.time() + 90_000)
    policy = {
        "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "UploadPolicy": document.decode(),
        "UploadPolicySignature": upload_policy.sign(document, "a secret"),
    }
    dumps: list[str] = []

    def dumping(client: BaseClient, name: str, arguments: Any) -> Any:
        answer = MAKE_API_CALL(client, name, arguments)
        if name in ("PutItem", "UpdateItem"):
            dumps.append(json.dumps(stored("ledger")))
        return answer

    asked = event(answers)
    s3 = {"Bucket": "images", "Prefix": "web", **policy}
    asked["ResourceProperties"] |= {
        "Storage": {"S3": s3},
        "CompletionHandle": answers.handle(),
    }
    monkeypatch.setattr(BaseClient, "_make_api_call", dumping)
    app.handler(asked, context)
    [text] = stored("requests")
    complete(ec2)
    deliver(polls(), context)

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert len(dumps) > 8
    for secret in ("X-Amz-Signature", "expiration", policy["UploadPolicySignature"]):
        assert secret in text["request"]["S"]
        assert [dump for dump in dumps if secret in dump] == []
    assert stored("requests") == []
