"""The core under every schedule of a few deviations: a part of them, and those that were found."""

import json

import pytest

from tests.model.scenarios import SCENARIOS
from tests.model.search import Report, replayed, search

QUICK = 5_000 // len(SCENARIOS)

FOUND = [
    ("replacement, BundleInstance", [(56, "deny")]),
    ("the same place", [(30, "deny")]),
    ("retained and added again, StoreImage", [(32, "end a")]),
    ("accepted, StoreImage", [(41, "lost")]),
    ("create hangs, StoreImage", [(235, "deny")]),
    ("replacement given up, BundleInstance", [(52, "kill after"), (74, "refuse")]),
]
"""Schedules that broke a promise: an answer that the ledger refused to store; a Create that was
given up before it was received; an acceptance of which only CloudFormation knew; a rollback that
could not remove what CloudFormation never received."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_promise_is_broken(name: str) -> None:
    assert_kept(search(SCENARIOS[name], QUICK))


@pytest.mark.parametrize(("name", "deviations"), FOUND)
def test_what_broke_a_promise_breaks_it_no_more(
    name: str, deviations: list[tuple[int, str]]
) -> None:
    found = replayed(SCENARIOS, name, tuple(deviations))

    assert found.violations == ()


def test_a_schedule_is_the_same_each_time() -> None:
    name = "create, StoreImage"
    one = replayed(SCENARIOS, name, ((8, "kill after"),))
    at = next(at for at, options in enumerate(one.choices, 9) if "late" in options)
    first, second = (replayed(SCENARIOS, name, (*one.deviations, (at, "late"))) for _ in range(2))

    assert first == second
    assert "kill after" in "\n".join(first.trace)


def assert_kept(report: Report) -> None:
    """Fail with the first schedule that broke a promise."""
    for run in report.broken[:1]:
        replay = json.dumps(run.deviations)
        pytest.fail(
            f"python -m tests.model --scenario '{report.scenario}' --replay '{replay}'\n"
            + "\n".join(run.violations)
        )
