"""The log shows at any time that a stack is alive."""

import itertools
import logging
import time
from typing import Any

import pytest

from tests.chaos.phases import HANGS
from tests.chaos.sequence import Run, Step
from tests.chaos.steps import CREATE, LATER, STORES, fault, later
from tests.chaos.world import World

FAULTS = pytest.mark.faults
NIGHTLY = pytest.mark.nightly
FIVE_MINUTES = 300
HOUR = 3600


class Lines(logging.Handler):
    """The lines that the function logs, and when."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.at: list[float] = []
        self.in_progress = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.at.append(time.time())
        self.in_progress += record.getMessage() == "In progress"


@pytest.fixture
def lines(world: World, monkeypatch: pytest.MonkeyPatch) -> Lines:
    lines = Lines()
    logger = logging.getLogger("instance-bundle")
    monkeypatch.setattr(logger, "handlers", [lines])
    monkeypatch.setattr(logger, "disabled", False)
    return lines


CRASH = fault("ec2:DescribeBundleTasks", "kill", 12)
EXPECTED: list[Step] = [
    {"do": "aws events", "bucket": True, "fates": ["soon"]},
    CREATE,
    LATER,
    {"do": "aws events", "bucket": True, "fates": ["lost"]},
]
"""A bucket that has sent an event, so that others are expected, and that sends none any more."""
FORGED: list[Step] = [
    later(95),
    {"do": "forge event", "about": "bundle", "number": 0, "count": 2},
]


@pytest.mark.parametrize(
    ("before", "work", "meanwhile"),
    [
        pytest.param([], {}, [], id="bundled"),
        pytest.param([CRASH], {}, [], id="with a crash"),
        pytest.param(EXPECTED, {}, [], id="with lost events"),
        pytest.param([*EXPECTED, CRASH], {}, [], id="with lost events and a crash"),
        pytest.param([], {}, FORGED * 36, id="with forged events", marks=FAULTS),
        pytest.param([], STORES, [], id="stored", marks=FAULTS),
        pytest.param(
            [fault("*", "delay", 40, times=900)], {}, [], id="with slow calls", marks=NIGHTLY
        ),
    ],
)
def test_a_stack_that_hangs_for_an_hour_has_at_any_time_a_young_log_line(
    world: World,
    lines: Lines,
    before: list[Step],
    work: dict[str, Any],
    meanwhile: list[Step],
) -> None:
    run = Run(world)
    run.carry_out(before)
    lines.in_progress = 0
    run.carry_out([CREATE | HANGS | work | {"prefix": "b", "timeout": HOUR}, *meanwhile])
    world.run_until_idle()

    exchange = run.stacks[-1].exchanges[0]
    hour = [at for at in lines.at if exchange.sent_at <= at <= exchange.ends_at]
    assert hour[0] - exchange.sent_at < 5
    assert hour[-1] > exchange.ends_at - 60
    assert max(after - before for before, after in itertools.pairwise(hour)) < FIVE_MINUTES
    assert HOUR / 60 - 2 <= lines.in_progress < 2 * HOUR / 60
