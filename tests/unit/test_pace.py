"""When to look again."""

import pytest

from instance_bundle import pace
from instance_bundle.method import Task

NOON = 1_800_014_400.0


def task(progress: str) -> Task:
    return Task("bun-1", "running", "bundling", progress, "2027-01-15T12:00:00Z", "")


@pytest.mark.parametrize(
    ("progress", "age", "seconds"),
    [
        ("", 0, 5),
        ("", 100, 25),
        ("", 4000, 60),
        ("50%", 60, 30),
        ("90%", 900, 50),
        ("99%", 900, 5),
        ("100%", 900, 5),
        ("0%", 100, 25),
        ("1%", 900, 60),
        ("nonsense", 100, 25),
        ("150%", 100, 5),
        ("50%", -7, 5),
    ],
)
def test_the_next_look_follows_age_and_progress(progress: str, age: int, seconds: int) -> None:
    assert pace.next_look(task(progress), NOON + age) == seconds
