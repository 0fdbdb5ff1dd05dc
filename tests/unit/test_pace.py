"""When to look again."""

import pytest

from instance_bundle import pace
from instance_bundle.method import Task

NOON = 1_800_014_400.0


def task(state: str, progress: str) -> Task:
    return Task("bun-1", "running", state, progress, "2027-01-15T12:00:00Z", "")


@pytest.mark.parametrize(
    ("state", "progress", "age", "seconds"),
    [
        ("pending", "", 0, 5),
        ("pending", "", 40, 10),
        ("pending", "", 4000, 15),
        ("waiting-for-shutdown", "", 100, 25),
        ("waiting-for-shutdown", "", 4000, 30),
        ("bundling", "", 4000, 60),
        ("bundling", "0%", 100, 25),
        ("bundling", "1%", 900, 60),
        ("bundling", "50%", 60, 30),
        ("bundling", "90%", 900, 50),
        ("bundling", "nonsense", 100, 25),
        ("bundling", "150%", 100, 5),
        ("bundling", "50%", -7, 5),
        ("storing", "90%", 900, 30),
        ("storing", "99%", 900, 5),
        ("storing", "100%", 900, 5),
        ("cancelling", "40%", 900, 5),
        ("a-state-of-tomorrow", "", 4000, 60),
    ],
)
def test_the_next_look_follows_state_age_and_progress(
    state: str, progress: str, age: int, seconds: int
) -> None:
    assert pace.next_look(task(state, progress), NOON + age) == seconds
