import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.functions import event_sources
from sandbox.functions.event_sources import EventSources
from sandbox.functions.service import Functions
from tests.sandbox.functions.conftest import Account, is_running, wait_for


@pytest.fixture(autouse=True)
def sources(functions: Functions) -> Iterator[EventSources]:
    sources = event_sources.install(functions)
    yield sources
    sources.close()


def test_a_message_reaches_the_function_as_aws_hands_it_over_and_is_deleted(
    account: Account,
) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    account.map_queue(arn)
    sqs = account.client("sqs")
    before = time.time() * 1000
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="good",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "t"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
        },
    )
    [seen] = wait_for(account.records)
    [record] = seen["event"]["Records"]
    attributes = record.pop("attributes")
    assert len(record.pop("receiptHandle")) > 50
    assert record == {
        "messageId": sent["MessageId"],
        "body": "good",
        "messageAttributes": {
            "text": {
                "dataType": "String",
                "stringValue": "t",
                "stringListValues": [],
                "binaryListValues": [],
            },
            "bytes": {
                "dataType": "Binary",
                "binaryValue": "AAE=",
                "stringListValues": [],
                "binaryListValues": [],
            },
        },
        "md5OfBody": hashlib.md5(b"good").hexdigest(),  # noqa: S324  SQS's own checksum
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "us-east-1",
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["SenderId"]
    now = time.time() * 1000
    assert before - 1 <= int(attributes["SentTimestamp"]) <= now
    assert before - 1 <= int(attributes["ApproximateFirstReceiveTimestamp"]) <= now
    wait_for(lambda: account.held(url) == 0)


def test_only_the_messages_that_failed_come_back_after_the_visibility_timeout(
    account: Account,
) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work", VisibilityTimeout="1")
    _send(account, url, "good", "bad", "fine")
    account.map_queue(arn, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_for(lambda: len(account.records()) == 2)
    first, second = account.records()
    assert _bodies(first) == ["good", "bad", "fine"]
    assert _bodies(second) == ["bad"]
    attributes = second["event"]["Records"][0]["attributes"]
    assert attributes["ApproximateReceiveCount"] == "2"
    # The timeout runs from the receive, not from when the function got to see the batch.
    received = int(attributes["ApproximateFirstReceiveTimestamp"]) / 1000
    assert second["at"] - received >= 1
    wait_for(lambda: account.held(url) == 0)


def test_a_batch_that_crashes_its_function_comes_back_and_ends_in_the_dead_letter_queue(
    account: Account,
) -> None:
    account.deploy("die")
    dead_url, dead_arn = account.create_queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = account.create_queue("work", VisibilityTimeout="1", RedrivePolicy=redrive)
    _send(account, url, "one", "two")
    account.map_queue(arn)
    wait_for(lambda: account.held(dead_url) == 2)
    assert [_bodies(record) for record in account.records()] == [["one", "two"]] * 2
    assert {message["Body"] for message in account.messages(dead_url)} == {"one", "two"}
    assert account.held(url) == 0


def test_without_batch_item_failures_whatever_the_function_returns_is_success(
    account: Account,
) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work", VisibilityTimeout="1")
    _send(account, url, "bad")
    account.map_queue(arn)
    wait_for(lambda: account.held(url) == 0)
    assert len(account.records()) == 1


def test_an_invalid_batch_response_fails_its_whole_batch(account: Account) -> None:
    answers = [
        '"not an object"',
        "[1]",
        '{"batchItemFailures": "all"}',
        '{"batchItemFailures": [{"itemIdentifier": ""}]}',
        '{"batchItemFailures": [{"itemIdentifier": null}]}',
        '{"batchItemFailures": [{"wrongKey": "id"}]}',
        '{"batchItemFailures": [{"itemIdentifier": "of no message"}]}',
    ]
    account.deploy("answer_as_given")
    url, arn = account.create_queue("work", VisibilityTimeout="1")
    _send(account, url, *answers)
    account.map_queue(arn, BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"])

    def times_received() -> Counter[str]:
        return Counter(body for record in account.records() for body in _bodies(record))

    wait_for(lambda: all(times_received()[answer] >= 2 for answer in answers))
    assert set(times_received()) == set(answers)


def test_an_empty_batch_response_means_success(account: Account) -> None:
    answers = ["null", "{}", '{"batchItemFailures": null}', '{"batchItemFailures": []}']
    account.deploy("answer_as_given")
    url, arn = account.create_queue("work")
    _send(account, url, *answers)
    account.map_queue(arn, BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    wait_for(lambda: account.held(url) == 0)
    assert len(account.records()) == len(answers)


def test_a_delayed_message_comes_when_its_delay_is_over(account: Account) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    account.map_queue(arn)
    sent = time.time()
    account.client("sqs").send_message(QueueUrl=url, MessageBody="late", DelaySeconds=1)
    _send(account, url, "now")
    wait_for(lambda: len(account.records()) == 2)
    first, second = account.records()
    assert _bodies(first) == ["now"]
    assert _bodies(second) == ["late"]
    assert second["at"] - sent >= 1


def test_messages_within_the_batching_window_come_as_one_batch(account: Account) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    account.map_queue(arn, MaximumBatchingWindowInSeconds=1)
    _send(account, url, "one")
    wait_for(lambda: account.held(url, "ApproximateNumberOfMessagesNotVisible") == 1)
    _send(account, url, "two", "three")
    wait_for(account.records)
    assert _bodies(account.records()[0]) == ["one", "two", "three"]


def test_a_full_batch_does_not_wait_for_the_end_of_its_window(account: Account) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    account.map_queue(arn, BatchSize=2, MaximumBatchingWindowInSeconds=300)
    _send(account, url, "one", "two", "three")
    wait_for(account.records)
    assert [_bodies(record) for record in account.records()] == [["one", "two"]]


def test_batches_run_at_once_up_to_the_maximum_concurrency(account: Account) -> None:
    account.deploy("hold")
    url, arn = account.create_queue("work")
    _send(account, url, "one", "two", "three")
    account.map_queue(arn, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    wait_for(lambda: len(account.records()) == 2)
    assert len({record["pid"] for record in account.records()}) == 2
    assert account.held(url, "ApproximateNumberOfMessages") == 1
    account.release.touch()
    wait_for(lambda: len(account.records()) == 3)
    wait_for(lambda: account.held(url) == 0)


@pytest.mark.parametrize("ending", ["mapping deleted", "mapping disabled", "queue deleted"])
def test_polling_ends_with_the_mapping_and_its_queue(account: Account, ending: str) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    uuid = account.map_queue(arn)
    wait_for(lambda: _pollers(arn))
    if ending == "mapping deleted":
        account.client("lambda").delete_event_source_mapping(UUID=uuid)
    elif ending == "mapping disabled":
        account.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=False)
    else:
        account.client("sqs").delete_queue(QueueUrl=url)
    wait_for(lambda: not _pollers(arn))
    if ending == "mapping disabled":
        _send(account, url, "kept")
        account.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=True)
        [record] = wait_for(account.records)
        assert _bodies(record) == ["kept"]


def test_moto_itself_delivers_nothing(account: Account) -> None:
    account.deploy("take_batch")
    url, arn = account.create_queue("work")
    uuid = account.map_queue(arn)
    account.client("lambda").delete_event_source_mapping(UUID=uuid)
    wait_for(lambda: not _pollers(arn))
    _send(account, url, "kept")
    assert account.held(url, "ApproximateNumberOfMessages") == 1
    assert account.records() == []


def test_close_leaves_no_thread_and_no_process_while_a_batch_runs(
    account: Account, functions: Functions, sources: EventSources
) -> None:
    account.deploy("hold", Timeout=900)  # a close that waited for it would outlast the test
    url, arn = account.create_queue("work")
    _send(account, url, "one")
    account.map_queue(arn)
    [record] = wait_for(account.records)
    sources.close()
    functions.close()
    assert not is_running(record["pid"])
    assert _pollers(arn) == []
    assert not [t for t in threading.enumerate() if t.name == "event source mappings"]
    assert not [t for t in threading.enumerate() if t.name == "sandbox function task"]
    assert account.held(url, "ApproximateNumberOfMessagesNotVisible") == 1


def _send(account: Account, url: str, *bodies: str) -> None:
    entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
    account.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)


def _bodies(record: dict[str, Any]) -> list[str]:
    return [message["body"] for message in record["event"]["Records"]]


def _pollers(queue_arn: str) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == f"poller of {queue_arn}"]
