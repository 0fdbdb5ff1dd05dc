"""The core under every schedule of a few deviations: a part of them, and what is known to break."""

import json

import pytest

from tests.model.scenarios import SCENARIOS
from tests.model.search import Report, replayed, search

QUICK = 5_000 // len(SCENARIOS)

KNOWN = [
    pytest.param(
        "replacement, BundleInstance",
        [[56, "deny!"]],
        marks=pytest.mark.xfail(
            reason="An Update whose answer can't be stored answers FAILED with the new ID"
        ),
    ),
    pytest.param(
        "the same place",
        [[30, "deny!"]],
        marks=pytest.mark.xfail(
            reason="An answer that can't be stored is sent, and another one follows"
        ),
    ),
    pytest.param(
        "retained and added again, StoreImage",
        [[32, "end a!"]],
        marks=pytest.mark.xfail(
            reason="A Delete by a made-up ID, of a Create that was not received yet, removes the "
            "bundle of the Create before, which was retained"
        ),
    ),
    pytest.param(
        "accepted, StoreImage",
        [[41, "lost!"]],
        marks=pytest.mark.xfail(
            reason="The clean-up ends accepted work where nobody knows that CloudFormation has the "
            "acceptance"
        ),
    ),
]
"""Schedules that break a promise today; a search takes none of their kind (`world.KNOWN`)."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_promise_is_broken(name: str) -> None:
    assert_kept(search(SCENARIOS[name], QUICK))


@pytest.mark.parametrize(("name", "deviations"), KNOWN)
def test_what_is_known_to_break(name: str, deviations: list[tuple[int, str]]) -> None:
    found = replayed(SCENARIOS, name, tuple((at, what) for at, what in deviations))

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
