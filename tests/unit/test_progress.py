"""What the log and the metrics say while a request is in progress."""

import io
import itertools
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import app
from instance_bundle.lifecycle.interval import IF_EXPECTED, INTERVAL
from instance_bundle.methods.method import Task
from instance_bundle.polling.progress import MINUTE, has_changed, is_minute
from tests.fixtures import Context

from .conftest import TEMPLATE, Answers
from .test_lifecycle import RUNNING, Ec2
from .test_resource import complete, deliver, ec2, event, logged_by, polls

__all__ = ["ec2"]

RECEIPT = 1_800_000_017.5
FIVE_MINUTES = 300
LONGEST = max(INTERVAL.latest, IF_EXPECTED.latest)
"""Seconds between two polls, whether an event is expected or not."""
DELAY = 30
"""Seconds by which a poll may be late without a crash, its own duration included."""


def waits_late_by(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Of each poll, how long the next one waits, and how late the poll is."""
    return st.lists(
        st.tuples(st.integers(1, LONGEST), st.integers(0, most)), min_size=1, max_size=60
    )


def played(waits: list[tuple[int, int]]) -> Iterator[tuple[float, bool]]:
    """The time of each poll, and whether it reports for a minute."""
    due = 0.0
    now = RECEIPT + 5
    for wait, late in waits:
        now = max(now, due) + late
        yield now, is_minute(RECEIPT, due, now + wait)
        due = now + wait


@given(waits_late_by(DELAY))
def test_reports_are_never_further_apart_than_a_minute_an_interval_and_a_delay(
    waits: list[tuple[int, int]],
) -> None:
    polls = list(played(waits))

    reports = [now for now, is_report in polls if is_report] + [polls[-1][0]]
    assert polls[0][1]
    assert all(
        after - before < MINUTE + LONGEST + DELAY for before, after in itertools.pairwise(reports)
    )


@given(waits_late_by(DELAY))
def test_each_minute_has_one_report_at_most(waits: list[tuple[int, int]]) -> None:
    polls = list(played(waits))

    reports = sum(is_report for _, is_report in polls)
    ends = polls[-1][0] + waits[-1][0]
    assert reports <= 1 + (ends - RECEIPT) // MINUTE


@given(waits_late_by(0))
def test_each_minute_of_a_request_that_is_polled_in_time_has_a_report(
    waits: list[tuple[int, int]],
) -> None:
    polls = list(played(waits))

    ends = polls[-1][0] + waits[-1][0]
    assert sum(is_report for _, is_report in polls) == 1 + (ends - RECEIPT) // MINUTE


def test_after_one_crash_a_report_is_less_than_five_minutes_old() -> None:
    queue = yaml_parse(TEMPLATE.read_text())["Resources"]["PollQueue"]["Properties"]

    # Without the crash, reports are less than the first, second and last of these apart.
    assert MINUTE + LONGEST + queue["VisibilityTimeout"] + DELAY <= FIVE_MINUTES


@pytest.mark.parametrize(
    ("before", "task", "changed"),
    [
        (RUNNING, None, False),
        (None, None, False),
        (None, RUNNING, True),
        (RUNNING, replace(RUNNING, updated="2027-01-15T08:01:00Z"), False),
        (RUNNING, replace(RUNNING, progress="30%"), True),
        (RUNNING, replace(RUNNING, state="storing"), True),
    ],
)
def test_another_state_or_progress_is_a_change(
    before: Task | None, task: Task | None, changed: bool
) -> None:
    assert has_changed(before, task) is changed


def lines(logged: io.StringIO, message: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [line for line in found if line["message"] == message]


def test_progress_is_logged_when_it_changes_and_else_once_a_minute(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = logged_by(monkeypatch)
    shown: list[list[str]] = []
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        app.handler(event(answers), context)
        for progress in ["20%"] * 3 + ["40%"] * 10:
            clock.shift(16)
            ec2.tasks["bun-1"] = replace(RUNNING, progress=progress)
            logged.truncate(0)
            logged.seek(0)
            deliver(polls(), context)
            shown.append([line["progress"] for line in lines(logged, "In progress")])

    # Due at 16 s, 32 s, 48 s, …: a minute begins between 48 s and 64 s, 112 s and 128 s, and so on.
    assert shown == [["20%"], [], ["20%"], ["40%"], [], [], ["40%"], [], [], [], ["40%"], [], []]


def test_a_line_has_the_task_its_state_its_progress_and_its_age(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = logged_by(monkeypatch)
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        app.handler(event(answers), context)
        clock.shift(90)
        deliver(polls(), context)

    [line] = lines(logged, "In progress")
    named = ("request_id", "task_id", "state", "progress", "task_seconds", "request_seconds")
    assert [line[name] for name in named] == ["r1", "bun-1", "bundling", "20%", 90, 90]
    assert "s3cr3t" not in logged.getvalue()


def test_a_poll_after_a_crash_is_logged(
    ec2: Ec2, answers: Answers, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = logged_by(monkeypatch)
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        app.handler(event(answers), context)
        batch = polls()
        with monkeypatch.context() as killed:
            killed.setattr(ec2, "describe", interrupted)
            with pytest.raises(KeyboardInterrupt):
                deliver(batch, context)
        assert lines(logged, "An earlier poll saved no progress") == []
        clock.shift(180)
        deliver(batch, context)

    [line] = lines(logged, "An earlier poll saved no progress")
    assert (line["level"], line["request_id"], line["begun"]) == ("WARNING", "r1", 2)


def interrupted(_: Collection[str]) -> Mapping[str, Task]:
    raise KeyboardInterrupt


def metrics_of(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """The values of each metric that was emitted since the last call."""
    values: dict[str, list[float]] = {}
    for line in capsys.readouterr().out.splitlines():
        emitted = json.loads(line) if line.startswith("{") else {}
        if "_aws" not in emitted:
            continue
        [directive] = emitted["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["service"]]
        for metric in directive["Metrics"]:
            values.setdefault(metric["Name"], []).extend(emitted[metric["Name"]])
    return values


def test_requests_are_counted_once_a_minute_and_answers_once(
    ec2: Ec2, answers: Answers, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = {"Storage": {"S3": {"Bucket": "images", "Prefix": "db"}}}
    elsewhere = {"ResourceProperties": event(answers)["ResourceProperties"] | storage}
    with time_machine.travel(1_800_000_000.0, tick=False) as clock:
        app.handler(event(answers), context)
        app.handler(event(answers, RequestId="r2", LogicalResourceId="Other", **elsewhere), context)
        ec2.tasks["bun-2"] = replace(RUNNING, id="bun-2")
        metrics_of(capsys)
        emitted = []
        for _ in range(5):
            clock.shift(16)
            deliver(polls(), context)
            emitted.append(metrics_of(capsys))
        complete(ec2)
        clock.shift(16)
        deliver(polls(), context)
        app.handler(event(answers), context)
        at_the_end = metrics_of(capsys)

    both = {"RequestsInFlight": [1, 1], "RequestAge": [16, 16]}
    assert emitted == [both, {}, {**both, "RequestAge": [48, 48]}, {}, {}]
    assert at_the_end["TimeToAnswer"] == at_the_end["Duration"] == [96]
