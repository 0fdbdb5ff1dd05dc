"""The facts of a record."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from instance_bundle.methods import Task
from instance_bundle.request import Location, Target
from instance_bundle.state import Cleanup, Done, Progress, Record, Response
from instance_bundle.state.records import moves_forward

from .test_lifecycle import request
from .test_meaning import record

TARGET = Target("BundleInstance", "r1", "i-1234567890abcdef0", Location("images", "web"))
TASK = Task("bun-1", "running", "bundling", "20%", "2027-01-15T08:00:00Z", "2027-01-15T08:00:05Z")
DONE = Done("bun-1")
OPEN = replace(record("Create"), request=request(), undelivered=True)

WORK: list[dict[str, Any]] = [
    {},
    {"target": TARGET},
    {"target": TARGET, "attempted_at": 1.0},
    {"target": TARGET, "attempted_at": 1.0, "task": TASK},
]
RESPONSE: list[dict[str, Any]] = [
    {},
    {"acceptance": DONE},
    {"acceptance": DONE, "acceptance_sent": True},
    {"acceptance": DONE, "acceptance_sent": True, "answer": DONE},
    {"acceptance": DONE, "acceptance_sent": True, "answer": DONE, "undelivered": False},
]
CLEANUP: list[dict[str, Any]] = [{"cleanup": value} for value in Cleanup]
SUPERSEDED: list[dict[str, Any]] = [{"superseded": value} for value in (False, True)]


def in_order(states: list[dict[str, Any]]) -> list[Record]:
    return [replace(OPEN, **state) for state in states]


def test_a_record_says_how_far_its_facts_are() -> None:
    assert [each.work for each in in_order(WORK)] == list(Progress)
    assert [each.response for each in in_order(RESPONSE)] == list(Response)


@pytest.mark.parametrize("states", [WORK, RESPONSE, CLEANUP, SUPERSEDED])
def test_no_fact_goes_back(states: list[dict[str, Any]]) -> None:
    for before, after in itertools.combinations(in_order(states), 2):
        assert moves_forward(before, after)
        assert not moves_forward(after, before)


def test_an_attempt_that_started_nothing_goes_back_and_is_counted() -> None:
    [_, target, attempted, task] = in_order(WORK)

    assert moves_forward(attempted, replace(target, attempts=1))
    assert not moves_forward(replace(attempted, attempts=1), replace(target, attempts=1))
    assert not moves_forward(task, replace(target, attempts=1))
