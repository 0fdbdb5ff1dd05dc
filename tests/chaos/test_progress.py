"""The log shows at any time that a stack is alive."""

import itertools
import logging
import time
from typing import Any

import pytest

from tests.chaos.phases import HANGS
from tests.chaos.sequence import Run, Step
from tests.chaos.steps import CREATE, STORES, fault
from tests.chaos.world import World

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


@pytest.mark.parametrize(
    ("work", "faults"),
    [
        pytest.param({}, [], id="bundled"),
        pytest.param({}, [fault("ec2:DescribeBundleTasks", "kill", 24)], id="with a crash"),
        pytest.param(STORES, [], id="stored", marks=NIGHTLY),
        pytest.param({}, [fault("*", "delay", 40, times=900)], id="with slow calls", marks=NIGHTLY),
    ],
)
def test_a_stack_that_hangs_for_an_hour_has_at_any_time_a_young_log_line(
    world: World, lines: Lines, work: dict[str, Any], faults: list[Step]
) -> None:
    run = Run(world)
    run.carry_out([*faults, CREATE | HANGS | work | {"timeout": HOUR}])
    world.run_until_idle()

    exchange = run.stacks[0].exchanges[0]
    hour = [at for at in lines.at if exchange.sent_at <= at <= exchange.ends_at]
    assert hour[0] - exchange.sent_at < 5
    assert hour[-1] > exchange.ends_at - 60
    assert max(after - before for before, after in itertools.pairwise(hour)) < FIVE_MINUTES
    assert HOUR / 60 - 2 <= lines.in_progress < 2 * HOUR / 60
