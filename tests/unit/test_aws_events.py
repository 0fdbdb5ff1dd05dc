"""Events of EC2's and S3's make the next poll come at once, and nothing else."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from botocore.client import BaseClient
from moto.sqs.models import sqs_backends

from instance_bundle import app
from instance_bundle.errors import (
    Busy,
    ImagePending,
    InstanceBundleError,
    InvalidEvent,
    PassingFault,
    Stale,
)
from instance_bundle.lifecycle import Lifecycle, interval
from instance_bundle.methods.method import Task, Work
from instance_bundle.polling import aws_events
from instance_bundle.polling.aws_events import ImageEvent
from instance_bundle.request import Location
from instance_bundle.request.properties import Target
from instance_bundle.settings import Limits, settings
from instance_bundle.state import Poll
from instance_bundle.state import ledger as state_ledger
from instance_bundle.state.ledger import Ledger
from instance_bundle.state.outcome import Done, Failed, Pending
from instance_bundle.state.records import Record
from tests.fixtures import Clock, Context

from .conftest import Answers
from .test_lifecycle import (
    RUNNING,
    Ec2,
    methods,
    opened,
    request,
    stored_record,
    update_image,
    with_image,
)
from .test_resource import complete, deliver, ec2, event, polls

__all__ = ["ec2"]

IMAGE = "ami-0123456789abcdef0"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:events"
HERE = Location("images", "web")


def image_event(image_id: Any = IMAGE, state: str = "available") -> str:
    """EC2 User Guide, Monitor AMI events using Amazon EventBridge."""
    return json.dumps(
        {
            "version": "0",
            "id": "e1",
            "detail-type": "EC2 AMI State Change",
            "source": "aws.ec2",
            "account": "123456789012",
            "time": "2027-01-15T08:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:ec2:us-east-1::image/{image_id}"],
            "detail": {
                "RequestId": "q1",
                "ImageId": image_id,
                "State": state,
                "ErrorMessage": "",
            },
        }
    )


def object_event(key: Any = "web.manifest.xml", bucket: Any = "images") -> str:
    """Amazon S3 User Guide, EventBridge event message structure."""
    return json.dumps(
        {
            "version": "0",
            "id": "e2",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "123456789012",
            "time": "2027-01-15T08:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": {
                "version": "0",
                "bucket": {"name": bucket},
                "object": {"key": key, "size": 5, "etag": "e", "sequencer": "1"},
                "request-id": "q2",
                "requester": "ec2.amazonaws.com",
                "source-ip-address": "ec2.amazonaws.com",
                "reason": "PutObject",
            },
        }
    )


# What an event is about


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (image_event(), ImageEvent(IMAGE)),
        (image_event("ami-01234567", "deregistered"), ImageEvent("ami-01234567")),
        (object_event(f"{IMAGE}.bin"), ImageEvent(IMAGE, "images")),
        (object_event(), HERE),
        (object_event("a b/ü.manifest.xml"), Location("images", "a b/ü")),
    ],
)
def test_an_event_is_about_an_image_or_a_bundle(body: str, found: ImageEvent | Location) -> None:
    assert aws_events.parse(body) == found


@pytest.mark.parametrize(
    "body",
    [
        *(image_event(found) for found in ("", "ami-", "i-0123456789abcdef0", f"ami-{'0' * 18}")),
        *(image_event(found) for found in (f"{IMAGE}\n", f"{IMAGE}|")),
        *(object_event(key) for key in ("", "web.part.0", f"a/{IMAGE}.bin", "ami-of-others.bin")),
        *(object_event(bucket=bucket) for bucket in ("", "a/b", "b" * 256)),
        object_event("ü" * 600 + ".manifest.xml"),
    ],
    ids=lambda body: body[:0],
)
def test_an_event_may_be_about_something_else(ledger: Ledger, body: str) -> None:
    assert aws_events.parse(body) is None
    with noting_calls() as calls:
        assert process(ledger, body) == []
    assert calls == []


@pytest.mark.parametrize(
    "body",
    [
        *("", "null", "[]", "{}", "7", '"aws.ec2"', "[" * 16_000, '{"source": "aws.ec2"}'),
        *(image_event(found) for found in (None, 7, [IMAGE])),
        image_event().replace("aws.ec2", "aws.rds"),
        image_event().replace('"aws.ec2"', '["aws.ec2"]'),
        *(object_event(key) for key in (None, 7, "\ud800")),
        *(object_event(bucket=bucket) for bucket in (None, ["images"])),
        object_event() + " " * 20_000,
    ],
    ids=lambda body: body[:0],
)
def test_what_is_no_such_event_cannot_be_read(body: str) -> None:
    with pytest.raises(InvalidEvent):
        aws_events.parse(body)


# The request that an event is about


@pytest.fixture
def waiting(ledger: Ledger, clock: Clock) -> Record:
    """A request whose AMI is pending, and whose next poll is due in 15 seconds."""
    return under_way(ledger, clock, IMAGE)


def under_way(ledger: Ledger, clock: Clock, task_id: str) -> Record:
    record = opened(ledger, request())
    ledger.locations.claim(HERE, record.key)
    target = Target("StoreImage", "r1", "i-1234567890abcdef0", HERE)
    record, _ = ledger.save(record, replace(record, target=target))
    record, _ = ledger.save(record, replace(record, attempted_at=clock.now))
    is_image = task_id.startswith("ami-")
    task = replace(RUNNING, id=task_id, image_id=task_id if is_image else "")
    record = ledger.merge_task(record, task)
    ledger.save_progress(record, task, 1, due=clock.now + 15)
    return stored_record(ledger, record)


def process(ledger: Ledger, *bodies: str) -> list[str]:
    """Handle a batch of events; returns those that failed."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    response = aws_events.process({"Records": records}, ledger, settings().poll_queue_url)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


@contextmanager
def noting_calls() -> Iterator[list[str]]:
    """The calls of AWS that are made, by their names."""
    made: list[str] = []
    original: Any = vars(BaseClient)["_make_api_call"]

    def call(client: BaseClient, name: str, arguments: Any) -> Any:
        made.append(name)
        return original(client, name, arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        yield made


def sent() -> list[tuple[Poll, int]]:
    """The poll messages with their delays; they are deleted."""
    queue = sqs_backends["123456789012"]["us-east-1"].queues["polls"]
    messages, queue._messages = queue._messages, []
    return [
        (Poll.parse(message.body), _delay(message.delayed_until, message.sent_timestamp))
        for message in messages
    ]


def _delay(until: float, sent_at: float | None) -> int:
    """Seconds; of a message without a delay, `until` is 0."""
    return round(max(0, until - (sent_at or 0)) / 1000)


OURS = [image_event(), image_event(state="failed"), object_event(f"{IMAGE}.bin"), object_event()]


@pytest.mark.parametrize("body", OURS, ids=["image", "failed image", "object", "manifest"])
def test_an_event_makes_the_poll_come_at_once(ledger: Ledger, waiting: Record, body: str) -> None:
    with pytest.raises(Stale):
        ledger.take(waiting.key, 1, lease=30)

    assert process(ledger, body) == []

    assert sent() == [(Poll(waiting.key, 1), 0)]
    assert ledger.take(waiting.key, 1, lease=30).task == waiting.task


def test_the_poll_that_waits_in_the_queue_is_dropped_after_the_one_that_came_at_once(
    ledger: Ledger, waiting: Record, clock: Clock
) -> None:
    process(ledger, image_event())
    taken = ledger.take(waiting.key, 1, lease=30)
    ledger.save_progress(taken, None, 2, due=clock.now + 1)

    clock.now += 15
    with pytest.raises(Stale):
        ledger.take(waiting.key, 1, lease=30)
    assert ledger.take(waiting.key, 2, lease=30).hinted_at == clock.now - 15


def test_a_duplicate_makes_no_second_poll(ledger: Ledger, waiting: Record) -> None:
    assert process(ledger, image_event(), image_event()) == []
    assert process(ledger, image_event(), object_event()) == []

    assert len(sent()) == 1


def test_events_of_the_same_object_make_one_poll_a_second(
    ledger: Ledger, waiting: Record, clock: Clock
) -> None:
    for generation in range(1, 6):
        process(ledger, *[object_event()] * 20)
        assert sent() == [(Poll(waiting.key, generation), 0)]
        taken = ledger.take(waiting.key, generation, lease=30)
        assert not ledger.save_progress(taken, None, generation + 1, due=clock.now + 15)
        process(ledger, *[object_event()] * 20)
        assert sent() == []
        clock.now += 1


@pytest.mark.parametrize(
    "body",
    [
        image_event("ami-0fedcba9876543210"),
        object_event("ami-0fedcba9876543210.bin"),
        object_event(f"{IMAGE}.bin", bucket="others"),
        object_event(bucket="others"),
        object_event("web2.manifest.xml"),
    ],
)
def test_an_event_about_something_else_costs_one_read_and_no_line(
    ledger: Ledger, waiting: Record, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    with noting_calls() as calls:
        assert process(ledger, *[body] * 10) == []

    assert calls == ["Query"] * 10
    assert sent() == []
    assert stored_record(ledger, waiting) == waiting
    assert caplog.text == ""


def test_an_event_that_comes_before_the_task_is_stored_is_dropped(
    ledger: Ledger, clock: Clock
) -> None:
    assert process(ledger, image_event()) == []
    under_way(ledger, clock, IMAGE)

    assert sent() == []


def test_an_event_about_what_is_answered_is_dropped(ledger: Ledger, waiting: Record) -> None:
    ledger.store_answer(waiting, Failed("r1", "no"))
    assert process(ledger, *OURS) == []
    ledger.delivered(waiting.key)
    assert process(ledger, *OURS) == []

    assert sent() == []


def test_an_event_about_a_request_that_is_being_driven_is_left_to_its_process(
    ledger: Ledger, waiting: Record, clock: Clock
) -> None:
    clock.now += 15
    taken = ledger.take(waiting.key, 1, lease=30)

    assert process(ledger, image_event()) == []

    assert sent() == []
    with pytest.raises(Busy):
        ledger.take(waiting.key, 1, lease=30)
    assert ledger.save_progress(taken, None, 2, due=clock.now + 15)
    assert ledger.hints.make_due(Poll(waiting.key, 2)) is not None
    assert ledger.take(waiting.key, 2, lease=30).hinted_at == clock.now


# Where events are expected


def another(ledger: Ledger, bucket: str = "images") -> Record:
    """A request that is made after the others, and whose task has just been started."""
    record = opened(ledger, request(request_id="r9", Storage={"S3": {"Bucket": bucket}}))
    target = Target("BundleInstance", "r9", "i-1234567890abcdef0", Location(bucket, "later"))
    record, _ = ledger.save(record, replace(record, target=target))
    return ledger.merge_task(record, RUNNING)


@pytest.mark.parametrize(
    ("body", "bucket", "seconds", "expected"),
    [
        (object_event(), "images", 0, True),
        (object_event(f"{IMAGE}.bin"), "images", 86_399, True),
        (object_event(), "images", 86_401, False),
        (object_event(), "others", 0, False),
        (object_event("web2.manifest.xml"), "images", 0, False),
        (image_event(), "images", 0, False),
    ],
)
def test_a_bucket_that_sent_an_event_lately_is_expected_to_send_others(
    ledger: Ledger,
    waiting: Record,
    clock: Clock,
    body: str,
    bucket: str,
    seconds: float,
    expected: bool,
) -> None:
    process(ledger, body)
    clock.now += seconds

    merged = another(ledger, bucket)

    assert merged.event_expected is expected
    assert stored_record(ledger, merged) == merged


@pytest.mark.parametrize("call", ["query", "update"])
def test_where_the_ledger_does_not_say_what_to_expect_work_is_polled_as_usual(
    ledger: Ledger, waiting: Record, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise PassingFault("dynamodb: no answer")

    process(ledger, object_event())
    hints = type(ledger.hints)
    original = hints.expect_object

    def failing(self: Any, maker: Record) -> Record:
        with monkeypatch.context() as patched:
            patched.setattr(self._table, call, fail)
            return original(self, maker)

    monkeypatch.setattr(hints, "expect_object", failing)

    merged = another(ledger)

    assert merged.task is not None
    assert not merged.event_expected


def test_what_cannot_be_read_is_dropped_with_a_line_and_the_rest_is_handled(
    ledger: Ledger, waiting: Record, caplog: pytest.LogCaptureFixture
) -> None:
    assert process(ledger, "no event", image_event()) == []

    assert len(sent()) == 1
    assert caplog.text.count("Dropped an event that cannot be read") == 1


def test_an_event_that_the_ledger_cannot_be_asked_about_comes_again(
    ledger: Ledger, waiting: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PassingFault("dynamodb:Query: no answer")

    monkeypatch.setattr(ledger.hints, "claimant", fail)

    assert process(ledger, object_event(), image_event()) == ["m0"]
    assert len(sent()) == 1


def test_an_image_that_cannot_be_noted_is_polled_all_the_same(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PassingFault("dynamodb:PutItem: no answer")

    record = opened(ledger, request())
    target = Target("StoreImage", "r1", "i-1234567890abcdef0", HERE)
    record, _ = ledger.save(record, replace(record, target=target))

    monkeypatch.setattr(ledger.hints._table, "put", fail)
    merged = ledger.merge_task(record, replace(RUNNING, id=IMAGE, image_id=IMAGE))

    assert merged.task is not None


# When to poll after an event


@pytest.mark.parametrize(
    ("since", "seconds"),
    [(0, 1), (0.4, 1), (-1, 1), (1, 2), (1.6, 2), (3, 4), (3.9, 4), (7, 15), (1e9, 15)],
)
def test_after_an_event_the_polls_are_1_2_and_4_seconds_apart_then_as_usual(
    since: float, seconds: int
) -> None:
    task: Task = replace(RUNNING, progress="")

    assert interval.next_poll(task, 1_800_014_400.0, since) == seconds


@pytest.mark.parametrize(
    ("task", "sends", "seconds"),
    [
        (replace(RUNNING, id=IMAGE, image_id=IMAGE, state="pending", progress=""), False, 30),
        (replace(RUNNING, id=IMAGE, image_id=IMAGE, state="storing", progress=""), False, 15),
        (replace(RUNNING, state="pending", progress=""), False, 15),
        (replace(RUNNING, progress=""), True, 30),
    ],
    ids=["AMI", "stored image", "bundle", "bundle in a bucket that sends events"],
)
def test_where_an_event_is_expected_polls_are_half_as_many(
    ledger: Ledger,
    clock: Clock,
    task: Task,
    sends: bool,
    seconds: int,
) -> None:
    clock.now = 1_800_014_400.0
    life = Lifecycle(ledger, methods(Storing()), Limits(), asks=False, clock=clock)
    record = opened(ledger, request())
    life.drive(record)
    started = replace(stored_record(ledger, record), task=task, event_expected=sends)

    outcome = life.drive(started, lambda: task)

    assert isinstance(outcome, Pending)
    assert outcome.seconds == seconds


@pytest.mark.parametrize("kind", ["registered with its bundle", "registered by an Update"])
def test_a_registered_ami_is_polled_when_ec2_announces_it(
    ledger: Ledger, clock: Clock, kind: str
) -> None:
    ec2 = Ec2()
    life = Lifecycle(ledger, methods(ec2), Limits(), asks=False, clock=clock)
    if kind == "registered by an Update":
        with_image(life, ledger, ec2)
        record = update_image(ledger, "r2", {"Name": "web"}, {"Name": "other"})
    else:
        first = opened(ledger, request(Image={"Name": "web"}))
        life.drive(first)
        complete(ec2)
        record = stored_record(ledger, first)
    ec2.obstacle = ImagePending(IMAGE)
    with pytest.raises(ImagePending):
        life.drive(record, lambda: ec2.tasks["bun-1"])
    ledger.save_progress(stored_record(ledger, record), None, record.generation, clock.now + 10)

    assert process(ledger, image_event()) == []

    [(poll, delay)] = sent()
    assert (poll.key, delay) == (record.key, 0)
    taken = ledger.take(record.key, poll.generation, lease=30)
    outcome = life.drive(taken, lambda: ec2.tasks["bun-1"])
    assert isinstance(outcome, Pending)
    assert outcome.seconds == 1
    ec2.obstacle = None
    assert isinstance(life.drive(taken, lambda: ec2.tasks["bun-1"]), Done)


class Storing(Ec2):
    """An AMI that is stored once it is available."""

    def has_next(self, work: Work, seen: Task) -> bool:
        return seen.state == "available"

    def advance(self, work: Work, last: Task, seen: Task) -> Task:
        return replace(seen, state="storing") if seen.state == "available" else seen


@pytest.mark.parametrize(("state", "seconds"), [("pending", 1), ("storing", 1), ("available", 5)])
def test_the_next_stage_is_polled_as_usual_once_the_event_has_started_it(
    ledger: Ledger, clock: Clock, state: str, seconds: int
) -> None:
    life = Lifecycle(ledger, methods(Storing()), Limits(), asks=False, clock=clock)
    record = opened(ledger, request(Method="StoreImage", Storage={"S3": {"Bucket": "images"}}))
    life.drive(record)
    started = stored_record(ledger, record)
    ledger.save_progress(started, None, 1, due=clock.now + 15)
    assert ledger.hints.receive(record.key, "") == Poll(record.key, 1)
    taken = ledger.take(record.key, 1, lease=30)

    outcome = life.drive(taken, lambda: taken.task and replace(taken.task, state=state))

    assert isinstance(outcome, Pending)
    assert outcome.seconds == seconds


# The handler


def batch(*bodies: str) -> list[dict[str, Any]]:
    return [
        {
            "messageId": f"e{number}",
            "body": body,
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE_ARN,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, body in enumerate(bodies)
    ]


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Take no poll before its time, as the function does, from the call on. No time passes, and
    the next poll of a task that has just been started is 4 seconds away."""
    monkeypatch.setenv("EVENT_QUEUE_ARN", QUEUE_ARN)
    settings.cache_clear()
    with time_machine.travel(1_800_000_001, tick=False):
        yield lambda: monkeypatch.setattr(state_ledger, "EARLY", 2)


def test_the_manifests_event_answers_the_stack_long_before_the_next_poll(
    ec2: Ec2, answers: Answers, context: Context, strict: Callable[[], None]
) -> None:
    app.handler(event(answers), context)
    deliver(polls(), context)
    strict()
    waits = polls()
    complete(ec2)
    assert deliver(waits, context) == []
    assert answers.bodies == []

    assert deliver(batch(object_event()), context) == []
    assert deliver(polls(), context) == []

    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]
    assert deliver(batch(object_event()), context) == []
    assert polls() == []


def test_where_describe_does_not_agree_yet_the_polls_are_1_2_and_4_seconds_apart(
    ec2: Ec2, answers: Answers, context: Context, strict: Callable[[], None]
) -> None:
    app.handler(event(answers), context)
    deliver(polls(), context)
    strict()
    polls()
    deliver(batch(object_event()), context)

    deliver(polls(), context)

    [(_, delay)] = sent()
    assert delay == 1
    assert answers.bodies == []


def test_an_event_that_comes_while_the_request_is_polled_makes_another_poll_come_at_once(
    ec2: Ec2, answers: Answers, context: Context, strict: Callable[[], None]
) -> None:
    app.handler(event(answers), context)
    deliver(polls(), context)
    strict()
    waits = polls()
    describe = ec2.describe

    def described(task_ids: Collection[str]) -> Mapping[str, Task | InstanceBundleError]:
        seen = describe(task_ids)
        deliver(batch(object_event()), context)
        return seen

    with time_machine.travel(1_800_000_011, tick=False), pytest.MonkeyPatch.context() as patched:
        patched.setattr(ec2, "describe", described)
        deliver(waits, context)
        delays = sorted(delay for _, delay in sent())

    assert delays[0] == 0
    assert len(delays) == 2
    assert answers.bodies == []


def test_a_batch_of_events_counts_its_events_in_one_line(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    strict: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    app.handler(event(answers), context)
    deliver(polls(), context)
    capsys.readouterr()

    deliver(batch(*[image_event("ami-0fedcba9876543210")] * 10), context)
    of_others = capsys.readouterr().out
    deliver(batch(object_event(), "no event", object_event()), context)
    of_ours = capsys.readouterr().out

    assert counted(of_others) == [{"EventsReceived": 10}]
    assert of_others.count("\n") == 1
    assert counted(of_ours) == [{"EventsReceived": 3, "EventsUsed": 1}]


def counted(output: str) -> list[dict[str, float]]:
    """The sums of the metrics in each line in the embedded metric format."""
    lines = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    return [
        {
            metric["Name"]: sum(line[metric["Name"]])
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        }
        for line in lines
    ]


def test_a_batch_of_another_queue_is_polls(
    ec2: Ec2, answers: Answers, context: Context, strict: Callable[[], None]
) -> None:
    app.handler(event(answers), context)
    deliver(polls(), context)
    polls()
    forged = [{**each, "eventSourceARN": f"{QUEUE_ARN}2"} for each in batch(object_event())]

    assert deliver(forged, context) == ["e0"]
    assert polls() == []
