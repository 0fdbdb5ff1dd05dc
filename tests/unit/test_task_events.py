"""The EventBridge events `started` and `progress`, of polls that a moved clock makes due."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from botocore.client import BaseClient
from botocore.exceptions import ConnectTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from instance_bundle import app
from instance_bundle.methods import Task
from instance_bundle.polling import progress
from instance_bundle.request import Request
from instance_bundle.responses import NextPoll
from instance_bundle.responses.events import AT_ONCE
from instance_bundle.state import LastEvent, Record, items
from tests.fixtures import Context

from . import test_bus_events
from .conftest import Answers
from .test_bus_events import PASSING, REFUSALS, Events, asking, detail, unfinished
from .test_items import BEFORE, STARTED
from .test_lifecycle import RUNNING, Ec2
from .test_progress import lines
from .test_resource import complete, deliver, logged_by, of_lambda, polls

ec2, published_events = test_bus_events.ec2, test_bus_events.published_events
calls = test_bus_events.calls

NOW = 1_800_000_000.0
BETWEEN_POLLS = 16


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as travelled:
        yield travelled


def shown(published_events: Events) -> list[str]:
    """State and progress of the events since the last call."""
    details = [published["detail"] for published in published_events()]
    return [f"{each['State']} {each['Progress']}" for each in details]


def polled(
    ec2: Ec2, context: Context, clock: time_machine.Traveller, shown_by_ec2: str
) -> list[str]:
    """Deliver the next poll; EC2 shows this progress. The messages that failed."""
    clock.shift(BETWEEN_POLLS)
    ec2.tasks["bun-1"] = replace(RUNNING, progress=shown_by_ec2)
    return deliver(polls(), context)


def test_a_request_has_started_progress_and_complete_in_this_order(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
) -> None:
    app.handler(asking(answers), context)
    assert published_events() == []
    polled(ec2, context, clock, "20%")
    [started] = published_events()
    polled(ec2, context, clock, "40%")
    [made_progress] = published_events()
    complete(ec2)
    clock.shift(BETWEEN_POLLS)
    deliver(polls(), context)
    [ended] = published_events()

    assert started["detail"] == unfinished(State="started")
    assert started["resources"] == [started["detail"]["StackId"]]
    assert made_progress["detail"] == unfinished(State="progress", Progress="40%")
    assert ended["detail"] == detail()
    assert {*started["detail"]} == {*ended["detail"]}


def test_an_image_has_started_and_progress_without_a_prefix(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
) -> None:
    app.handler(asking(answers, Method="StoreImage", Storage={"S3": {"Bucket": "images"}}), context)
    made = ec2.tasks["ami-1"]
    for state, percent in [("pending", "0%"), ("storing", "50%")]:
        clock.shift(BETWEEN_POLLS)
        ec2.tasks["ami-1"] = replace(made, state=state, progress=percent)
        deliver(polls(), context)

    image = {"Method": "StoreImage", "BundleId": "ami-1", "ImageId": "ami-1", "Prefix": ""}
    assert [published["detail"] for published in published_events()] == [
        unfinished(**image, State="started", TaskState="pending", Progress="0%"),
        unfinished(**image, State="progress", TaskState="storing", Progress="50%"),
    ]


def test_each_ten_per_cent_has_an_event_once_a_minute_at_most(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
) -> None:
    app.handler(asking(answers), context)
    events = []
    for percent in ("20%", "29%", "30%", "40%", "50%", "55%", "59%", "59%", "60%", "60%", "60%"):
        polled(ec2, context, clock, percent)
        events.append(shown(published_events))

    # 16 s apart: 30% is the first, 55% comes 64 s after it, and 60% is held back for as long.
    expected = [["started 20%"], [], ["progress 30%"], [], [], [], ["progress 59%"], [], [], []]
    assert events == [*expected, ["progress 60%"]]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 15)), min_size=2, max_size=80),
)
def test_progress_rises_by_a_step_each_time_and_is_a_minute_apart(
    walk: list[tuple[int, int]],
) -> None:
    now, percent, last, sent = NOW, 0, None, list[tuple[float, int]]()
    for seconds, more in walk:
        now, percent = now + seconds, min(100, percent + more)
        event = progress.next_event(
            next_poll(replace(RUNNING, progress=f"{percent}%"), last, now + 5)
        )
        if event is None:
            assert last is not None
            due = now + 1 > last.progress_at + progress.MINUTE
            assert percent // progress.STEP == last.percent // progress.STEP or not due
            continue
        assert event.state == ("progress" if last else "started")
        last = event.mark
        sent.append((now, percent))

    in_progress = sent[1:]
    assert all(
        after[0] - before[0] >= progress.MINUTE for before, after in itertools.pairwise(in_progress)
    )
    assert all(
        after[1] // progress.STEP > before[1] // progress.STEP
        for before, after in itertools.pairwise(sent)
    )


def next_poll(task: Task, last: LastEvent | None, due: float) -> NextPoll:
    """The next poll of a request whose task the ledger has, 5 s after this one."""
    return NextPoll(replace(items.record(BEFORE | STARTED), last_event=last), task, 5, due)


def test_the_events_of_a_poll_cost_no_more_reads_or_writes_of_the_ledger(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app.handler(asking(answers), context)
    made = calls_made(monkeypatch)
    counts = []
    for percent in ("20%", "21%", "40%"):
        made.clear()
        polled(ec2, context, clock, percent)
        counts.append({name: made.count(name) for name in made if name != "PutEvents"})

    assert shown(published_events) == ["started 20%", "progress 40%"]
    assert counts[0] == counts[1] == counts[2]


def calls_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that the function calls from now on."""
    names: list[str] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, name: str, arguments: dict[str, Any]) -> Any:
        names.append(name)
        return call(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return names


def test_a_batch_puts_its_events_together_ten_in_a_call(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = 2 * AT_ONCE + 1
    begin(many, answers, context)
    made = calls_made(monkeypatch)
    clock.shift(BETWEEN_POLLS)
    deliver(of_lambda(2), context)
    assert made.count("PutEvents") == 3
    clock.shift(BETWEEN_POLLS)
    deliver(polls()[:AT_ONCE], context)
    assert made.count("PutEvents") == 3

    details = [published["detail"] for published in published_events()]
    assert {each["LogicalResourceId"] for each in details} == {f"Bundle{n}" for n in range(many)}
    assert len(details) == many


def begin(many: int, answers: Answers, context: Context) -> None:
    """Requests about so many resources."""
    for number in range(many):
        storage = {"S3": {"Bucket": "images", "Prefix": f"web{number}"}}
        request = asking(answers, request_id=f"r{number}", Storage=storage)
        app.handler({**request, "LogicalResourceId": f"Bundle{number}"}, context)


@pytest.mark.parametrize("failure", [*REFUSALS, *(fault for fault, _ in PASSING)], ids=str)
def test_a_bus_that_fails_disturbs_no_poll_and_its_event_is_not_repeated(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    calls: list[Any],
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    failure: Any,
) -> None:
    app.handler(asking(answers), context)
    logged = logged_by(monkeypatch)
    calls.append(failure)
    assert polled(ec2, context, clock, "20%") == []
    [line] = lines(logged, "The event could not be published")
    assert (line["level"], line["request_id"], line["state"]) == ("WARNING", "r1", "started")
    assert "events:PutEvents" in line["fault"]
    assert lines(logged, "Will poll again") == []

    assert polled(ec2, context, clock, "20%") == []
    assert published_events() == []
    complete(ec2)
    clock.shift(BETWEEN_POLLS)
    assert deliver(polls(), context) == []
    assert shown(published_events) == ["complete 100%"]
    assert [body["Status"] for body in answers.bodies] == ["SUCCESS"]


def test_a_bus_that_does_not_answer_is_called_once_for_a_batch(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    calls: list[Any],
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(AT_ONCE + 1, answers, context)
    logged = logged_by(monkeypatch)
    calls.append(ConnectTimeoutError(endpoint_url="https://events"))
    clock.shift(BETWEEN_POLLS)

    assert deliver(of_lambda(2), context) == []

    assert published_events() == []
    failed = lines(logged, "The event could not be published")
    assert {line["request_id"] for line in failed} == {f"r{n}" for n in range(AT_ONCE + 1)}
    generations = [json.loads(message["body"])["generation"] for message in polls()]
    assert generations.count(1) == AT_ONCE + 1


def test_an_entry_that_the_bus_refuses_holds_none_of_the_others(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    calls: list[Any],
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin(3, answers, context)
    logged = logged_by(monkeypatch)
    refused = {"ErrorCode": "InvalidArgument", "ErrorMessage": "EventBridge says no."}
    calls.append({"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, refused, {"EventId": "3"}]})
    clock.shift(BETWEEN_POLLS)

    assert deliver(polls(), context) == []

    [line] = lines(logged, "The event could not be published")
    assert line["request_id"] == "r1"


def test_without_a_bus_nothing_is_put_or_stored(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENT_BUS", "")
    app.handler(asking(answers), context)
    made = calls_made(monkeypatch)
    polled(ec2, context, clock, "20%")
    polled(ec2, context, clock, "40%")

    assert "PutEvents" not in made
    assert stored(answers).last_event is None


def stored(answers: Answers, **others: Any) -> Record:
    record = app.ledger().read(Request.parse(asking(answers, **others)).key)
    assert record is not None
    return record


def test_a_task_that_an_earlier_version_started_has_started_first(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(progress, "next_event", lambda _: None)
        app.handler(asking(answers), context)
        polled(ec2, context, clock, "20%")
    assert stored(answers).last_event is None

    polled(ec2, context, clock, "40%")
    polled(ec2, context, clock, "60%")

    assert shown(published_events) == ["started 40%", "progress 60%"]
    assert stored(answers).last_event == LastEvent(60, NOW + 3 * BETWEEN_POLLS)


def test_work_that_a_handle_waits_for_has_all_events(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
) -> None:
    app.handler(asking(answers, CompletionHandle=answers.handle()), context)
    polled(ec2, context, clock, "20%")
    polled(ec2, context, clock, "40%")
    complete(ec2)
    clock.shift(BETWEEN_POLLS)
    deliver(polls(), context)

    events = published_events()
    assert [each["detail"]["State"] for each in events] == ["started", "progress", "complete"]
    assert answers.handle() not in json.dumps(events)


def test_an_update_that_makes_a_bundle_has_all_events_and_its_delete_none_of_these(
    ec2: Ec2,
    answers: Answers,
    context: Context,
    published_events: Events,
    clock: time_machine.Traveller,
) -> None:
    app.handler(asking(answers), context)
    complete(ec2)
    deliver(polls(), context)
    published_events()

    elsewhere = {"S3": {"Bucket": "images", "Prefix": "other"}}
    app.handler(asking(answers, "Update", "r2", "bun-1", Storage=elsewhere), context)
    clock.shift(BETWEEN_POLLS)
    deliver(polls(), context)
    complete(ec2, "bun-2")
    clock.shift(BETWEEN_POLLS)
    deliver(polls(), context)
    app.handler(asking(answers, "Delete", "r3", "bun-1", OnDelete="Delete"), context)

    details = [published["detail"] for published in published_events()]
    assert [(each["RequestId"], each["State"], each["Prefix"]) for each in details] == [
        ("r2", "started", "other"),
        ("r2", "complete", "other"),
    ]


def test_a_dry_run_has_neither(
    ec2: Ec2, answers: Answers, context: Context, published_events: Events
) -> None:
    app.handler(asking(answers, DryRun="true"), context)
    deliver(polls(), context)

    assert published_events() == []
