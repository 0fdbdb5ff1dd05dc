"""When to poll again."""

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


@settings(deadline=None)  # a machine that is busy makes no answer wrong
@given(
    progress=st.one_of(st.text(max_size=5), st.integers(-5, 300).map("{}%".format)),
    age=st.floats(-100, 1e6),
)
def test_no_poll_is_later_than_the_latest_whatever_the_progress(progress: str, age: float) -> None:
    ahead = interval.INTERVAL
    seconds = ahead.seconds(task(progress), NOON + age)

    assert 1 <= seconds <= ahead.latest
    assert abs((NOON + age + seconds + 0.5) % ahead.grid - 0.5) <= 0.5 + 1e-3


@settings(deadline=None)
@given(done=st.integers(1, 98), age=st.floats(0, 5400))
def test_less_time_left_is_no_reason_to_wait_longer(done: int, age: float) -> None:
    ahead = Interval(latest=60, share=0.5, grid=1)
    now = NOON + age
    assert ahead.seconds(task(f"{done}%"), now) >= ahead.seconds(task(f"{done + 1}%"), now)
