"""How soon the end of a stage is found by polls alone, and with the event that AWS sends of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks import prices
from benchmarks.polling import aws_events, ours
from benchmarks.polling.aws_events import Fate, Shares
from benchmarks.polling.bundles import Bundle
from benchmarks.polling.ours import Events
from benchmarks.polling.outcome import Outcome
from benchmarks.polling.queue import Gathering
from benchmarks.polling.queue import Mapping as SourceMapping
from benchmarks.polling.stages import Stage
from instance_bundle.lifecycle import interval
from instance_bundle.lifecycle.interval import Interval
from instance_bundle.methods.method import Task
from instance_bundle.polling import messages

MAPPING = SourceMapping(batch_size=10, window=0, concurrency=20)
"""The poll queue's, as template.yaml has it; a test compares the two."""
EVENT_MAPPING = SourceMapping(batch_size=10, window=0, concurrency=2)
"""The event queue's, the same."""
GATHERING = Gathering(least=2, most=messages.MOST, seconds=messages.WINDOW)

RUNS: Mapping[Fate | None, int] = {
    None: 300,
    Fate.IN_TIME: 300,
    Fate.TWICE: 50,
    Fate.LATE: 500,
    Fate.LOST: 500,
}
"""Stages that are simulated of each fate, and without events. What is rare is what the 99th
percentile is about: it is simulated often, and counts by its share."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What stages of one kind come to; all but `answers` are means.

    Attributes:
        answers: seconds from a stage's end until it is found, each with its share, in order.
        calls: Describe calls.
        invocations: of the function.
        dollars: of this application; what S3's own events cost is not in it.
    """

    answers: tuple[tuple[float, float], ...]
    calls: float
    invocations: float
    dollars: float

    def within(self, percent: float) -> float:
        """Seconds in which so many percent of the ends are found."""
        passed = 0.0
        for seconds, share in self.answers:
            passed += share
            if passed > percent / 100:
                return seconds
        return self.answers[-1][0]


@cache
def polled(stage: Stage, usual: Interval = interval.INTERVAL) -> Figures:
    """A stage of which no event is sent, nor expected."""
    return _simulate(stage, usual, None, 0)


@cache
def of_fate(stage: Stage, usual: Interval, fate: Fate, typical: float) -> Figures:
    """A stage whose event is expected, and has this fate.

    Args:
        stage: of what kind it is.
        usual: its interval until the event comes.
        fate: of the event.
        typical: seconds; half of the events that are in time take less.
    """
    return _simulate(stage, usual, fate, typical)


def with_events(
    stage: Stage,
    usual: Interval = interval.IF_EXPECTED,
    shares: Shares = aws_events.ASSUMED,
    typical: float | None = None,
) -> Figures:
    """A stage whose event is expected, and has each fate as often as its share says."""
    parts = []
    for fate, share in shares.items():
        is_in_time = fate in (Fate.IN_TIME, Fate.TWICE)
        seconds = (
            typical if is_in_time and typical is not None else aws_events.TYPICAL[stage.source]
        )
        parts.append((of_fate(stage, usual, fate, seconds), share))
    answers = [(s, weight * share) for found, share in parts for s, weight in found.answers]
    return Figures(
        answers=tuple(sorted(answers)),
        calls=sum(found.calls * share for found, share in parts),
        invocations=sum(found.invocations * share for found, share in parts),
        dollars=sum(found.dollars * share for found, share in parts),
    )


def at_once(stage: Stage, count: int, seed: int, shares: Shares | None = None) -> Outcome:
    """So many stages that begin in a minute.

    Args:
        stage: of what kind they are.
        count: how many.
        seed: of the first; the others have the following ones.
        shares: of the events' fates, by which the seeds are divided; None means that no event is
            sent, nor expected.
    """
    seeds = range(seed, seed + count)
    tasks = [stage.draw(each) for each in seeds]
    if shares is None:
        return _watch(tasks, interval.INTERVAL, None)
    delays = [
        aws_events.arrivals(aws_events.fate(each, shares), aws_events.TYPICAL[stage.source], each)
        for each in seeds
    ]
    return _watch(tasks, interval.IF_EXPECTED, _sent(stage, tasks, delays))


def _simulate(stage: Stage, usual: Interval, fate: Fate | None, typical: float) -> Figures:
    runs = RUNS[fate]
    outcomes = []
    for seed in range(runs):
        tasks, events = [stage.draw(seed)], None
        if fate is not None:
            delays = aws_events.arrivals(fate, typical, seed)
            events = _sent(stage, tasks, [delays])
        outcomes.append(_watch(tasks, usual, events))
    answers = sorted(answer for outcome in outcomes for answer in outcome.answers)
    return Figures(
        answers=tuple((answer, 1 / runs) for answer in answers),
        calls=sum(len(outcome.calls) for outcome in outcomes) / runs,
        invocations=sum(outcome.usage.invocations for outcome in outcomes) / runs,
        dollars=sum(prices.cost(outcome.usage) for outcome in outcomes) / runs,
    )


def _watch(tasks: Sequence[Bundle], usual: Interval, events: Events | None) -> Outcome:
    def look_ahead(task: Task, now: float, since_event: float) -> int:
        return interval.after_event(since_event) or usual.seconds(task, now)

    return ours.simulate(tasks, look_ahead, MAPPING, GATHERING, events=events)


def _sent(stage: Stage, tasks: Sequence[Bundle], delays: Sequence[Sequence[float]]) -> Events:
    arrivals = [
        [task.end + delay for delay in after] for task, after in zip(tasks, delays, strict=True)
    ]
    return Events(arrivals, stage.source, EVENT_MAPPING)
