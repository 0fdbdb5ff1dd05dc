"""The search: every schedule with one deviation, then with two, and so on, as far as asked for.

Where a level has more schedules than are left, an even sample of it is run: always the same one.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from tests.model import cloud, decoded
from tests.model.scenarios import Scenario, outcome
from tests.model.world import World

Deviations = tuple[tuple[int, str], ...]
"""Which option was taken, at which choice; at all others the first one was."""

_COUNT = "instance_bundle.lifecycle.lifecycle.count"
_APART = 61
_interned: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The options that there are at choices, so that each is kept once."""

DEPTH = 3
"""Deviations in a schedule, at most."""


@dataclass(frozen=True, slots=True)
class Run:
    """A schedule that was run.

    Attributes:
        length: how many choices there were.
        choices: the options at those after the last deviation; none where they were not asked for.
        violations: what was broken.
        trace: what was done, where that was asked for.
    """

    deviations: Deviations
    length: int
    choices: tuple[tuple[str, ...], ...]
    violations: tuple[str, ...]
    outcome: str
    trace: tuple[str, ...] = ()


@dataclass
class Report:
    """What a search has found.

    Attributes:
        schedules: how many were run.
        longest: the most choices of one.
        broken: the schedules that broke a promise.
        complete: with how many deviations each schedule was run.
    """

    scenario: str
    schedules: int = 0
    longest: int = 0
    broken: list[Run] = field(default_factory=list)
    complete: int = -1
    seconds: float = 0.0


def run(
    scenario: Scenario, deviations: Deviations, *, lists: bool = True, traces: bool = False
) -> Run:
    """Run one schedule."""
    cloud.restart_numbers()
    world = World(scenario.settings(), dict(deviations), lists=lists)
    world.traces = traces
    scenario.play(world)
    world.run()
    if not deviations and outcome(world) != scenario.ends:
        world.promises.broken(f"Without any trouble it ends: {outcome(world)}")
    return Run(
        deviations,
        world.choice + 1,
        tuple(
            _interned.setdefault(options, options)
            for at, options in world.choices.items()
            if at >= _first_after(deviations)
        ),
        tuple(world.promises.violations),
        outcome(world),
        tuple(world.taken),
    )


def search(
    scenario: Scenario, schedules: int, *, depth: int = DEPTH, stop_after: int | None = None
) -> Report:
    """Run schedules of a scenario, the ones with few deviations first.

    Args:
        scenario: the scenario.
        schedules: how many.
        depth: deviations in a schedule, at most.
        stop_after: violations after which it is enough.
    """
    report = Report(scenario.name)
    began = time.monotonic()
    with prepared():
        level = [_tried(report, scenario, (), lists=True)]
        report.complete = 0
        for deviations in range(1, depth + 1):
            left = schedules - report.schedules
            following = sum(_extensions(each) for each in level)
            share = left if deviations == depth else max(left // 2, min(left, following))
            wanted = min(following, share)
            if wanted == following and report.complete == deviations - 1:
                report.complete = deviations
            level = [
                _tried(report, scenario, each, lists=deviations < depth and wanted < left)
                for each in _spread(list(_sampled(level, following, wanted)))
                if stop_after is None or len(report.broken) < stop_after
            ]
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def prepared() -> Iterator[None]:
    """Log and measure nothing, and number what is made."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    try:
        with cloud.numbered_images(), decoded.once(), patch(_COUNT, lambda _: None):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _tried(report: Report, scenario: Scenario, deviations: Deviations, *, lists: bool) -> Run:
    found = run(scenario, deviations, lists=lists)
    report.schedules += 1
    report.longest = max(report.longest, found.length)
    if found.violations:
        report.broken.append(found)
    return found


def _first_after(deviations: Deviations) -> int:
    return deviations[-1][0] + 1 if deviations else 0


def _extensions(each: Run) -> int:
    """How many schedules have one deviation more, after all of this one."""
    if each.violations:
        return 0
    return sum(len(options) - 1 for options in each.choices)


def _sampled(level: list[Run], number: int, wanted: int) -> Iterator[Deviations]:
    """An even sample of the schedules with one deviation more."""
    if not wanted:
        return
    step = number / wanted
    index, due, given = 0, step / 2, 0
    for each in level:
        size = _extensions(each)
        while given < wanted and int(due) < index + size:
            yield (*each.deviations, _nth(each, int(due) - index))
            given += 1
            due = (given + 0.5) * step
        index += size


def _spread(sample: list[Deviations]) -> Iterator[Deviations]:
    """In an order in which schedules that are alike do not follow each other."""
    for first in range(_APART):
        yield from sample[first::_APART]


def _nth(each: Run, number: int) -> tuple[int, str]:
    for position, options in enumerate(each.choices, _first_after(each.deviations)):
        if number < len(options) - 1:
            return position, options[number + 1]
        number -= len(options) - 1
    raise IndexError(number)


def replayed(scenarios: Mapping[str, Scenario], name: str, deviations: Deviations) -> Run:
    """Run one schedule again, with a line for each step."""
    with prepared():
        return run(scenarios[name], deviations, traces=True)
