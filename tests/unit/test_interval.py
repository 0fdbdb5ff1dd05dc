"""When to poll again."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instance_bundle.lifecycle import interval
from instance_bundle.lifecycle.interval import Interval
from instance_bundle.methods.method import Task, utc

NOON = 1_800_014_400.0


def task(progress: str, started: float = NOON) -> Task:
    return Task("bun-1", "running", "bundling", progress, utc(started), "")


@pytest.mark.parametrize(
    ("progress", "age", "seconds"),
    [
        ("", 0, 15),
        ("", 4000, 15),
        ("0%", 100, 15),
        ("nonsense", 100, 15),
        ("1%", 900, 15),
        ("50%", 60, 15),
        ("50%", 20, 10),
        ("50%", 10, 5),
        ("90%", 900, 15),
        ("98%", 900, 5),
        ("99%", 900, 5),
        ("100%", 900, 5),
        ("150%", 100, 5),
        ("50%", -10, 5),
    ],
)
def test_the_next_poll_depends_on_age_and_progress(progress: str, age: int, seconds: int) -> None:
    assert interval.next_poll(task(progress), NOON + age) == seconds


@pytest.mark.parametrize(
    ("late", "seconds"), [(0, 5), (0.4, 5), (1, 4), (3.9, 1), (4.1, 6), (4.9, 5)]
)
def test_polls_are_on_a_common_grid(late: float, seconds: int) -> None:
    assert interval.next_poll(task("99%"), NOON + 1000 + late) == seconds


@pytest.mark.parametrize(
    ("progress", "age", "seconds"),
    [
        ("", 0, 30),
        ("0%", 300, 30),
        ("50%", 60, 30),
        ("50%", 40, 20),
        ("75%", 90, 15),
        ("99%", 900, 5),
    ],
)
def test_where_an_event_is_expected_polls_are_half_as_many_until_the_end_is_near(
    progress: str, age: int, seconds: int
) -> None:
    assert interval.next_poll(task(progress), NOON + age, expected=True) == seconds


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize(("since", "seconds"), [(0, 1), (1.1, 2), (3.3, 4)])
def test_after_an_event_polls_come_soon_whether_it_was_expected_or_not(
    since: float, seconds: int, expected: bool
) -> None:
    assert interval.next_poll(task(""), NOON, since, expected=expected) == seconds


@pytest.mark.parametrize(("since", "seconds"), [(7, 15), (59, 15), (61, 30)])
def test_what_describe_does_not_show_soon_after_an_event_is_polled_as_where_none_is_expected(
    since: float, seconds: int
) -> None:
    assert interval.next_poll(task(""), NOON, since, expected=True) == seconds


@settings(deadline=None)
@given(
    progress=st.integers(0, 100).map("{}%".format),
    age=st.floats(0, 5400),
    since=st.one_of(st.just(math.inf), st.floats(0, 100)),
)
def test_an_event_that_is_expected_makes_no_poll_come_sooner(
    progress: str, age: float, since: float
) -> None:
    polled, expecting = (
        interval.next_poll(task(progress), NOON + age, since, expected=expected)
        for expected in (False, True)
    )
    assert polled <= expecting <= 2 * interval.INTERVAL.latest


@settings(deadline=None)  # a machine that is busy makes no answer wrong
@given(
    progress=st.one_of(st.text(max_size=5), st.integers(-5, 300).map("{}%".format)),
    age=st.floats(-100, 1e6),
    ahead=st.sampled_from([interval.INTERVAL, interval.IF_EXPECTED]),
)
def test_no_poll_is_later_than_the_latest_whatever_the_progress(
    progress: str, age: float, ahead: Interval
) -> None:
    seconds = ahead.seconds(task(progress), NOON + age)

    assert 1 <= seconds <= ahead.latest
    assert abs((NOON + age + seconds + 0.5) % ahead.grid - 0.5) <= 0.5 + 1e-3


@settings(deadline=None)
@given(done=st.integers(1, 98), age=st.floats(0, 5400))
def test_less_time_left_is_no_reason_to_wait_longer(done: int, age: float) -> None:
    ahead = Interval(latest=60, share=0.5, grid=1)
    now = NOON + age
    assert ahead.seconds(task(f"{done}%"), now) >= ahead.seconds(task(f"{done + 1}%"), now)
