"""Whole stacks whose polls events of EC2's and S3's make come at once: also where the events are
lost, late, delivered twice, or about something else."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .events_of_buckets import announcing
from .faults import queue_urls, set_fault, wait_for_empty_queues
from .support import Aws, created, deleted, json_of, side_by_side, wait_for
from .test_store_image import stored

Template = Callable[..., dict[str, Any]]

POLLING = "Polling: AWS has sent an event"
LONG = ("12", "13", "14")
"""Seconds that work takes. An event that comes after a poll has found the end makes no other."""
OBJECT = "Object Created"
OTHERS = 1000
"""Events of other images."""


@dataclass
class Pair:
    """A stack of each method, made at once; each stage of the work takes so many seconds.

    Attributes:
        bucket: where both write; it sends events.
        at_work: called with the AMI's ID while it is pending.
    """

    aws: Aws
    template: Template
    bucket: str
    seconds: str
    at_work: Callable[[str], None] = lambda _: None
    stack_ids: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return f"web/{self.seconds}"

    def create(self) -> None:
        side_by_side(self._bundle, self._stored_image)

    def _bundle(self) -> None:
        instance = self.aws.instance(seconds=self.seconds)
        self._made("BundleInstance", self.template(instance), {"Prefix": self.prefix})

    def _stored_image(self) -> None:
        instance = self.aws.ebs_instance(image_seconds=self.seconds, store_seconds=self.seconds)
        side_by_side(
            lambda: self._made("StoreImage", stored(self.template, instance), {}),
            lambda: self.at_work(
                wait_for(lambda: self.aws.images(instance) or None, "an AMI")[0]["ImageId"]
            ),
        )

    def _made(self, method: str, body: dict[str, Any], s3: dict[str, str]) -> None:
        """Create a stack that writes to the bucket."""
        properties = body["Resources"]["Bundle"]["Properties"]
        properties["Storage"] = {"S3": {"Bucket": self.bucket, **s3}}
        self.stack_ids[method] = created(self.aws, body)[0]

    def was_answered_once(self) -> None:
        for stack_id in self.stack_ids.values():
            assert self.aws.stack(stack_id)["StackStatus"] == "CREATE_COMPLETE"
            assert len(self.aws.responses(stack_id)) == 1
            deleted(self.aws, stack_id)


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


def test_events_make_polls_come_at_once(aws: Aws, template: Template) -> None:
    bucket = announcing(aws)
    pairs = [Pair(aws, template, bucket, seconds) for seconds in LONG]

    side_by_side(*(pair.create for pair in pairs))

    hinted = polled_for_events(aws)
    for method in ("BundleInstance", "StoreImage"):
        assert any(pair.stack_ids[method] in hinted for pair in pairs), method


def test_whatever_becomes_of_the_events_each_stack_is_answered_once(
    aws: Aws, template: Template
) -> None:
    side_by_side(*(partial(meet, aws, template, fate) for fate in ("lost", "late", "twice")))


def meet(aws: Aws, template: Template, fate: str) -> None:
    """Have all events of a pair's meet the same fate."""
    fault = {"lost": "cut", "late": "delay", "twice": "twice"}[fate]
    more = {"seconds": 30} if fate == "late" else {}

    def strike(about: str) -> None:
        set_fault(aws, "bus:Delivery", fault, about, times=100, **more)

    pair = Pair(aws, template, announcing(aws), "4", at_work=strike)
    strike(pair.bucket)

    pair.create()

    if fate == "lost":
        assert received(aws, pair.bucket) == 0
        assert polled_for_events(aws).isdisjoint(pair.stack_ids.values())
    else:
        sent = 4 if fate == "twice" else 2  # of the manifest and the stored image
        wait_for(lambda: received(aws, pair.bucket) >= sent or None, "the bucket's events")
        wait_for(lambda: not waiting_events(aws) or None, "the events to be handled")
    pair.was_answered_once()


def test_forged_events_are_polls_at_most(aws: Aws, template: Template) -> None:
    """EventBridge takes none; who sends to the queue itself makes polls come, no more."""
    forged: list[str] = []

    def forge(_image_id: str) -> None:
        wait_for(lambda: bundles_at_work(aws, pair.bucket) or None, "a bundle task")
        for body in forged * 3:
            aws.clients.client("sqs").send_message(QueueUrl=event_queue(aws), MessageBody=body)

    pair = Pair(aws, template, announcing(aws), "8", at_work=forge)
    ours = object_event(pair.bucket, f"{pair.prefix}.manifest.xml")
    others = object_event("others", f"{pair.prefix}.manifest.xml")
    forged += ["no event", "[]", '{"source": "aws.s3"}', others, ours]
    entry = {"Source": "aws.s3", "DetailType": OBJECT, "Detail": json.dumps(detail(ours))}
    [refused] = aws.clients.client("events").put_events(Entries=[entry])["Entries"]
    assert refused["ErrorCode"] == "NotAuthorizedForSourceException"

    pair.create()

    assert pair.stack_ids["BundleInstance"] in polled_for_events(aws)
    pair.was_answered_once()


def object_event(bucket: str, key: str) -> str:
    about = {"bucket": {"name": bucket}, "object": {"key": key}}
    return json.dumps({"source": "aws.s3", "detail-type": OBJECT, "detail": about})


def detail(event: str) -> Any:
    return json.loads(event)["detail"]


def event_queue(aws: Aws) -> str:
    """The URL of the queue."""
    [url] = [url for url in queue_urls(aws) if "-EventQueue-" in url]
    return url


def waiting_events(aws: Aws) -> int:
    """Events that are on their way or at work."""
    kinds = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible")]
    counts = aws.clients.client("sqs").get_queue_attributes(
        QueueUrl=event_queue(aws),
        AttributeNames=kinds,
    )["Attributes"]
    return sum(map(int, counts.values()))


def bundles_at_work(aws: Aws, bucket: str) -> int:
    """Bundle tasks that write to a bucket, and have not ended."""
    tasks = aws.clients.ec2.describe_bundle_tasks()["BundleTasks"]
    return sum(
        task["Storage"]["S3"]["Bucket"] == bucket and task["State"] != "complete" for task in tasks
    )


def test_events_of_others_cost_one_read_each_and_keep_no_stack_waiting(
    alone: Aws, template: Template
) -> None:
    bucket, many = announcing(alone), OTHERS // 2
    wait_for_empty_queues(alone)
    before = calls_made(alone)
    write_images(alone, bucket, many)
    wait_for_empty_queues(alone)

    after = calls_made(alone)
    made = {call: count - before.get(call, 0) for call, count in after.items()}
    assert {call: count for call, count in made.items() if count} == {"dynamodb:Query": many}
    pair = Pair(alone, template, bucket, "6")
    side_by_side(pair.create, partial(write_images, alone, bucket, many))
    assert received(alone, bucket) >= OTHERS + 2


def write_images(aws: Aws, bucket: str, count: int) -> None:
    """Write objects whose events the rules let through."""

    def write(number: int) -> None:
        aws.clients.s3.put_object(Bucket=bucket, Key=f"ami-{number:017x}.bin")

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(count)))
