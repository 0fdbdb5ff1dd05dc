"""Schedules that once broke a promise, and how a search reports one that does."""

import json

import pytest

from tests.model.scenarios import SCENARIOS
from tests.model.search import Report, replay

FOUND = [
    ("replacement, BundleInstance", [(56, "deny")]),
    ("the same location", [(30, "deny")]),
    ("retained and added again, StoreImage", [(32, "end a")]),
    ("accepted, StoreImage", [(41, "lost")]),
    ("create hangs, StoreImage", [(115, "deny")]),
    ("replacement interrupted, BundleInstance", [(52, "kill after"), (74, "refuse")]),
]
"""Schedules that broke a promise: the ledger refused to store an answer; a Create was interrupted
before it was received; CloudFormation received an acceptance, and the ledger did not store that; a
rollback was not allowed to remove a bundle that CloudFormation never received."""


@pytest.mark.parametrize(("name", "deviations"), FOUND)
def test_a_schedule_that_broke_a_promise_no_longer_does(
    name: str, deviations: list[tuple[int, str]]
) -> None:
    found = replay(SCENARIOS, name, tuple(deviations))

    assert found.violations == ()


def test_a_schedule_is_the_same_in_each_run() -> None:
    name = "create, StoreImage"
    one = replay(SCENARIOS, name, ((8, "kill after"),))
    at = next(at for at, options in enumerate(one.choices, 9) if "late" in options)
    first, second = (replay(SCENARIOS, name, (*one.deviations, (at, "late"))) for _ in range(2))

    assert first == second
    assert "kill after" in "\n".join(first.trace)


def assert_kept(report: Report) -> None:
    """Fail with the first schedule that broke a promise."""
    for run in report.broken[:1]:
        deviations = json.dumps(run.deviations)
        pytest.fail(
            f"python -m tests.model --scenario '{report.scenario}' --replay '{deviations}'\n"
            + "\n".join(run.violations)
        )
