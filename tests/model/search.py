"""The search: all schedules with one deviation, then with two, and so on up to a depth.

If there are more schedules with a number of deviations than are left to run, an even sample of them
is run, the same one in each search.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from tests.model import caches, cloud
from tests.model.scenarios import Scenario, outcome_of
from tests.model.world import World

Deviations = tuple[tuple[int, str], ...]
"""The choices at which an option other than the first one is taken, and that option."""

_COUNT = "instance_bundle.lifecycle.lifecycle.count"
_APART = 61
"""How far apart in a sample two schedules are that run one after the other; see `_spread`."""
_interned: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Options of choices, so that equal ones are stored once."""

DEPTH = 3
"""The most deviations in a schedule."""


@dataclass(frozen=True, slots=True)
class Run:
    """A schedule, and what happened in it.

    Attributes:
        length: how many choices there were.
        choices: the options of those after the last deviation, if they are listed.
        violations: the broken promises.
        outcome: the result of each request.
        trace: what was done, if it is traced.
    """

    deviations: Deviations
    length: int
    choices: tuple[tuple[str, ...], ...]
    violations: tuple[str, ...]
    outcome: str
    trace: tuple[str, ...] = ()


@dataclass
class Report:
    """The result of a search.

    Attributes:
        schedules: how many were run.
        longest: the most choices in a schedule.
        broken: the schedules that broke a promise.
        complete: the number of deviations up to which all schedules were run.
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
    """Run one schedule.

    Args:
        scenario: the scenario.
        deviations: the schedule.
        lists: whether to list the options of the choices after the last deviation.
        traces: whether to trace what is done.
    """
    cloud.restart_numbers()
    world = World(scenario.settings(), dict(deviations), lists=lists, traces=traces)
    scenario.play(world)
    world.run()
    outcome = outcome_of(world)
    if not deviations and outcome != scenario.outcome:
        world.promises.broken(f"Without any fault, the outcome is: {outcome}")
    return Run(
        deviations,
        world.choice + 1,
        tuple(
            _interned.setdefault(options, options)
            for at, options in world.choices.items()
            if at >= _first_after(deviations)
        ),
        tuple(world.promises.violations),
        outcome,
        tuple(world.trace),
    )


def search(
    scenario: Scenario, schedules: int, *, depth: int = DEPTH, stop_after: int | None = None
) -> Report:
    """Run schedules of a scenario, those with few deviations first.

    Args:
        scenario: the scenario.
        schedules: how many to run at most.
        depth: the most deviations in a schedule.
        stop_after: how many broken schedules end the search; None if none do.
    """
    report = Report(scenario.name)
    began = time.monotonic()
    with prepared():
        level = [_run_and_count(report, scenario, (), lists=True)]
        report.complete = 0
        for deviations in range(1, depth + 1):
            left = schedules - report.schedules
            following = sum(_extensions(each) for each in level)
            share = left if deviations == depth else max(left // 2, min(left, following))
            wanted = min(following, share)
            if wanted == following and report.complete == deviations - 1:
                report.complete = deviations
            level = [
                _run_and_count(report, scenario, each, lists=deviations < depth and wanted < left)
                for each in _spread(list(_sampled(level, following, wanted)))
                if stop_after is None or len(report.broken) < stop_after
            ]
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def prepared() -> Iterator[None]:
    """Without logs and metrics, with caches, and with the same image IDs in each run."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    try:
        with cloud.numbered_images(), caches.installed(), patch(_COUNT, lambda _: None):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _run_and_count(
    report: Report, scenario: Scenario, deviations: Deviations, *, lists: bool
) -> Run:
    found = run(scenario, deviations, lists=lists)
    report.schedules += 1
    report.longest = max(report.longest, found.length)
    if found.violations:
        report.broken.append(found)
    return found


def _first_after(deviations: Deviations) -> int:
    return deviations[-1][0] + 1 if deviations else 0


def _extensions(each: Run) -> int:
    """How many schedules have one further deviation, after those of this schedule."""
    if each.violations:
        return 0
    return sum(len(options) - 1 for options in each.choices)


def _sampled(level: list[Run], number: int, wanted: int) -> Iterator[Deviations]:
    """An even sample of the schedules with one further deviation."""
    if not wanted:
        return
    step = number / wanted
    index, due, sampled = 0, step / 2, 0
    for each in level:
        size = _extensions(each)
        while sampled < wanted and int(due) < index + size:
            yield (*each.deviations, _nth(each, int(due) - index))
            sampled += 1
            due = (sampled + 0.5) * step
        index += size


def _spread(sample: list[Deviations]) -> Iterator[Deviations]:
    """In an order in which similar schedules do not follow each other."""
    for first in range(_APART):
        yield from sample[first::_APART]


def _nth(each: Run, number: int) -> tuple[int, str]:
    for position, options in enumerate(each.choices, _first_after(each.deviations)):
        if number < len(options) - 1:
            return position, options[number + 1]
        number -= len(options) - 1
    raise IndexError(number)


def replay(scenarios: Mapping[str, Scenario], name: str, deviations: Deviations) -> Run:
    """Run one schedule with a trace."""
    with prepared():
        return run(scenarios[name], deviations, traces=True)
