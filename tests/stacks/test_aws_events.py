"""Whole stacks whose polls events of EC2's and S3's make come at once: also where the events are
lost, late, delivered twice, or about something else."""

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from .faults import clear_faults, queue_urls, set_fault, wait_for_empty_queues
from .support import Aws, created, deleted, json_of, side_by_side, wait_for

Template = Callable[..., dict[str, Any]]

POLLING = "Polling: AWS has sent an event"
LONG = ("12", "13", "14")
"""Seconds that work takes. An event that comes after a poll has found the end makes no other."""
KINDS = ("EC2 AMI State Change", "Object Created")
OTHERS = 1000
"""Events of other images."""


@pytest.fixture
def announced(alone: Aws) -> Iterator[str]:
    """A bucket that sends events, in a sandbox that has no other stacks."""
    bucket = f"announced-{uuid.uuid4().hex[:12]}"
    alone.clients.s3.create_bucket(Bucket=bucket)
    send_events(alone, bucket)
    yield bucket
    clear_faults(alone)
    wait_for_empty_queues(alone)


def send_events(aws: Aws, bucket: str) -> None:
    """Switch EventBridge on for a bucket, as the README says: get, add, put."""
    found: Any = aws.clients.s3.get_bucket_notification_configuration(Bucket=bucket)
    found.pop("ResponseMetadata")
    found["EventBridgeConfiguration"] = {}
    aws.clients.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=found
    )


def both(aws: Aws, template: Template, bucket: str, seconds: str) -> dict[str, str]:
    """The ID of a stack of each method, made at once; each stage takes so many seconds."""
    made: dict[str, str] = {}

    def stack(method: str, instance: str) -> None:
        s3 = {"Bucket": bucket, "Prefix": f"{method}/{seconds}"}
        if method == "StoreImage":
            del s3["Prefix"]
        body = template(instance, Method=method, Storage={"S3": s3})
        made[method] = created(aws, body)[0]

    side_by_side(
        lambda: stack("BundleInstance", aws.instance(seconds=seconds)),
        lambda: stack("StoreImage", aws.ebs_instance(image_seconds=seconds, store_seconds=seconds)),
    )
    return made


def polled_for_events(aws: Aws) -> set[str]:
    """The stacks that were polled at once for an event."""
    logs = aws.clients.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=aws.ready["log_group"])
    lines = [
        json.loads(event["message"])
        for page in pages
        for event in page["events"]
        if event["message"].startswith("{")
    ]
    return {line["stack_id"] for line in lines if line.get("message") == POLLING}


def received(aws: Aws, text: str) -> int:
    """Messages with a text that EventBridge has sent to the event queue."""
    messages = json_of(f"{aws.clients.endpoint}/sandbox/messages")
    return sum("-EventQueue-" in each["queue"] and text in each["body"] for each in messages)


def calls_made(aws: Aws) -> dict[str, int]:
    """How often the function has made each call that handles a request, a poll or an event."""
    calls = json_of(f"{aws.clients.endpoint}/sandbox/api-calls")
    services = ("dynamodb", "ec2", "s3")
    return {
        each["call"]: each["count"]
        for each in calls
        if each["function"] == "cfn-instance-bundle" and each["call"].split(":")[0] in services
    }


def test_events_make_polls_come_at_once(alone: Aws, announced: str, template: Template) -> None:
    made: list[dict[str, str]] = []

    def pair(seconds: str) -> None:
        made.append(both(alone, template, announced, seconds))

    side_by_side(*(partial(pair, each) for each in LONG))

    hinted = polled_for_events(alone)
    for method in ("BundleInstance", "StoreImage"):
        assert any(stacks[method] in hinted for stacks in made), method


@pytest.mark.parametrize("fate", ["lost", "late", "twice"])
def test_whatever_becomes_of_the_events_each_stack_is_answered_once(
    alone: Aws, announced: str, template: Template, fate: str
) -> None:
    faults: dict[str, tuple[str, dict[str, float]]] = {
        "lost": ("cut", {}),
        "late": ("delay", {"seconds": 40}),
        "twice": ("twice", {}),
    }
    fault, more = faults[fate]
    for kind in KINDS:
        set_fault(alone, "bus:Delivery", fault, kind, times=OTHERS, **more)

    stack_ids = both(alone, template, announced, "4").values()

    if fate == "lost":
        assert received(alone, announced) == 0
        assert polled_for_events(alone).isdisjoint(stack_ids)
    else:
        of_each = 2 if fate == "twice" else 1
        sent = partial(received, alone, announced)
        wait_for(lambda: sent() >= 2 * of_each or None, "the buckets' events")
    wait_for_empty_queues(alone)
    for stack_id in stack_ids:
        assert alone.stack(stack_id)["StackStatus"] == "CREATE_COMPLETE"
        assert len(alone.responses(stack_id)) == 1
        deleted(alone, stack_id)


def test_forged_events_are_polls_at_most(alone: Aws, announced: str, template: Template) -> None:
    """EventBridge takes none; who sends to the queue itself makes polls come, no more."""
    forged = [
        *("", "no event", "[]", '{"source": "aws.s3"}'),
        object_event("others", "BundleInstance/8.manifest.xml"),
        object_event(announced, "BundleInstance/8.manifest.xml"),
    ]
    entry = {"Source": "aws.s3", "DetailType": KINDS[1], "Detail": json.loads(forged[-1])["detail"]}
    [refused] = alone.clients.client("events").put_events(
        Entries=[{**entry, "Detail": json.dumps(entry["Detail"])}]
    )["Entries"]
    assert refused["ErrorCode"] == "NotAuthorizedForSourceException"

    with ThreadPoolExecutor(1) as others:
        made = others.submit(both, alone, template, announced, "8")
        wait_for(lambda: bundles_at_work(alone, announced) or None, "a bundle task")
        [queue] = [url for url in queue_urls(alone) if "-EventQueue-" in url]
        for body in forged * 3:
            alone.clients.client("sqs").send_message(QueueUrl=queue, MessageBody=body or " ")
        stack_ids = made.result()

    assert stack_ids["BundleInstance"] in polled_for_events(alone)
    for stack_id in stack_ids.values():
        assert len(alone.responses(stack_id)) == 1
        assert alone.outputs(alone.stack(stack_id))["S3Uri"].startswith(f"s3://{announced}/")


def object_event(bucket: str, key: str) -> str:
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": KINDS[1], "detail": detail})


def bundles_at_work(aws: Aws, bucket: str) -> int:
    """Bundle tasks that write to a bucket, and have not ended."""
    tasks = aws.clients.ec2.describe_bundle_tasks()["BundleTasks"]
    return sum(
        task["Storage"]["S3"]["Bucket"] == bucket and task["State"] != "complete" for task in tasks
    )


def test_events_of_others_cost_one_read_each_and_keep_no_stack_waiting(
    alone: Aws, announced: str, template: Template
) -> None:
    wait_for_empty_queues(alone)
    before = calls_made(alone)
    write_images(alone, announced, OTHERS // 2)
    wait_for_empty_queues(alone)

    after = calls_made(alone)
    made = {call: count - before.get(call, 0) for call, count in after.items()}
    assert {call: count for call, count in made.items() if count} == {"dynamodb:Query": OTHERS // 2}
    with ThreadPoolExecutor(1) as others:
        flood = others.submit(write_images, alone, announced, OTHERS // 2)
        both(alone, template, announced, "6")
        flood.result()
    wait_for_empty_queues(alone)
    assert received(alone, announced) >= OTHERS + 2


def write_images(aws: Aws, bucket: str, count: int) -> None:
    """Write objects whose events the rules let through."""

    def write(number: int) -> None:
        aws.clients.s3.put_object(Bucket=bucket, Key=f"ami-{number:017x}.bin")

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(count)))
