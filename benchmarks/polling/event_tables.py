"""What is shown of events: each stage before and after, other intervals, and other assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks import prices
from benchmarks.polling import assumptions, aws_events
from benchmarks.polling.aws_events import ASSUMED, Fate, Shares
from benchmarks.polling.before_and_after import Figures, at_once, of_fate, polled, with_events
from benchmarks.polling.outcome import Outcome, percentile
from benchmarks.polling.request_limit import strain
from benchmarks.polling.stages import BUNDLE_TASK, PENDING, STAGES, STORING, Stage
from benchmarks.section import Plot, Series, Table
from instance_bundle.lifecycle.interval import IF_EXPECTED, INTERVAL, Interval

LATEST: Mapping[Stage, tuple[int, ...]] = {
    PENDING: (15, 20, 25, 30, 35, 45, 60),
    STORING: (20, 30, 45),
    BUNDLE_TASK: (20, 30, 45),
}
"""Seconds of the intervals that are compared: most of them where no progress is shown, since there
the interval alone decides how late a poll is."""
_AT_ONCE = (10, 100, 1_000, 10_000)
_AT_ONCE_IN_ALL = 2_000
"""As many are simulated at least for each of these, in several runs where they are few."""
_CURVE = (*range(5, 100, 5), 99)
"""The percentages of a curve's points."""

_BEFORE = f"polls alone, every {INTERVAL.latest} s"
_AFTER = f"events, and polls every {IF_EXPECTED.latest} s"
_LOST = "the same, if its event is lost"

_OF_STAGES = (
    (
        "All of this is a simulation's. AWS names no times for EC2's events; S3's take seconds, at "
        "times a minute or longer, as its User Guide says."
    ),
    (
        f"Assumed: half of EC2's events come within {assumptions.EC2_EVENT} s, of S3's within "
        f"{assumptions.S3_EVENT:.0f} s; of a hundred, one is lost, one is late by "
        f"{assumptions.LATE_EVENT[0]:.0f} to {assumptions.LATE_EVENT[1]:.0f} s, and one comes "
        "twice. One end in four is shown by Describe calls only later, within "
        f"{assumptions.SHOWN_WITHIN:.0f} s. One stage at once."
    ),
    ("Seconds run from the end itself; in the tables above, Describe calls show each end at once."),
    (
        f"Polls alone are what there was before, and what a bucket that sends no events still "
        f"has: nothing changes there. {INTERVAL.latest} s and {IF_EXPECTED.latest} s are the "
        "longest interval: where progress is shown, polls are closer together towards the end."
    ),
    (
        "EC2 calls are DescribeBundleTasks or DescribeImages. While an AMI is stored, each poll "
        "calls DescribeStoreImageTasks, too."
    ),
    (
        "An event costs a message, an invocation, a read and two writes, and a third one if it is "
        "S3's; the poll message that it makes superfluous costs an invocation, a read and a "
        "refused write."
    ),
    (
        f"A bucket with EventBridge pays for an event of each object: here a bundle has "
        f"{assumptions.PARTS} parts and a manifest. With more parts, these events cost more than "
        "the polls that they save; they do not if EventBridge is on anyway."
    ),
)
_OF_INTERVALS = (
    (
        f"Chosen: {IF_EXPECTED.latest} s, with which polls are half as many, and 99 of a hundred "
        "ends are found within 15 s, also where no progress is shown. With 35 s that has no "
        "margin, and after a crash a task's last log line would be more than five minutes old; "
        "with less, more calls are made for a difference that only stages with late or lost events "
        "see."
    ),
)
_OF_ASSUMPTIONS = (
    (
        "The median is AWS's time and 0.3 s of this application's. The 99th percentile rests on "
        "how few events are late or lost: of an AMI that is pending it is worse than with polls "
        "alone if five in a hundred are. No end is found later than by the next poll."
    ),
)
_OF_MANY = (
    (
        "Polls of many requests share a call, and those that events cause seldom do: of a hundred "
        "AMIs at once or more, events save money and time, but no calls. The event queue's two "
        "invocations at once are enough."
    ),
)


def tables() -> tuple[Table, ...]:
    """The tables, in the order in which they are to be read."""
    return _stages(), _intervals(), _assumptions(), _many()


def plots() -> tuple[Plot, ...]:
    """The distribution before and after, and what each interval trades."""
    return _distribution(), _trade()


def _stages() -> Table:
    rows = []
    for stage in STAGES:
        events = 1000 * stage.objects * prices.OBJECT_EVENT
        for found_by, figures, of_s3 in (
            (_BEFORE, polled(stage), 0.0),
            (_AFTER, with_events(stage), events),
            (_LOST, _lost(stage, IF_EXPECTED), events),
        ):
            row = (*_seconds(figures), f"{figures.calls:.1f}", f"{figures.invocations:.1f}")
            rows.append((stage.name, found_by, *row, _dollars(figures), f"{of_s3:.3f}"))
    return Table(
        title="Stages whose end AWS sends an event of, before and after",
        columns=(
            *("stage", "its end is found by", "median s", "p99 s", "EC2 calls a stage"),
            *("invocations a stage", "$ a 1,000 stages", "S3's events, $"),
        ),
        rows=tuple(rows),
        notes=_OF_STAGES,
    )


def _intervals() -> Table:
    rows = []
    for stage, latest in LATEST.items():
        before = polled(stage)
        rows.append(_of_interval(stage, _BEFORE, before, before, None))
        for usual in map(_expecting, latest):
            figures, lost = with_events(stage, usual), _lost(stage, usual)
            rows.append(_of_interval(stage, f"events, {usual.latest} s", figures, before, lost))
    return Table(
        title="The longest interval between polls while an event is expected",
        columns=(
            *("stage", "interval", "median s", "p99 s", "p99 s, event lost"),
            *("EC2 calls a stage", "of polls alone", "$ a 1,000 stages"),
        ),
        rows=tuple(rows),
        notes=_OF_INTERVALS,
    )


def _of_interval(
    stage: Stage, name: str, figures: Figures, before: Figures, lost: Figures | None
) -> tuple[str, ...]:
    of_lost = "" if lost is None else f"{lost.within(99):.1f}"
    calls = (f"{figures.calls:.1f}", f"{figures.calls / before.calls:.0%}")
    return (stage.name, name, *_seconds(figures), of_lost, *calls, _dollars(figures))


def _assumptions() -> Table:
    cases: Mapping[str, tuple[Shares, float | None]] = {
        "as assumed": (ASSUMED, None),
        "none lost, none late": (aws_events.shares(lost=0, late=0), None),
        "5% lost": (aws_events.shares(lost=0.05), None),
        "5% late": (aws_events.shares(late=0.05), None),
        "half within 0.3 s": (ASSUMED, 0.3),
        "half within 2 s": (ASSUMED, 2.0),
        "half within 5 s": (ASSUMED, 5.0),
    }
    rows = []
    for name, (shares, typical) in cases.items():
        found = [with_events(stage, IF_EXPECTED, shares, typical) for stage in STAGES]
        rows.append((name, *(cell for figures in found for cell in _seconds(figures))))
    columns = [f"{stage.name}, {what} s" for stage in STAGES for what in ("median", "p99")]
    return Table(
        title="If AWS sends its events otherwise than is assumed",
        columns=("events", *columns),
        rows=tuple(rows),
        notes=_OF_ASSUMPTIONS,
    )


def _many() -> Table:
    rows = []
    for count in _AT_ONCE:
        for found_by, shares in ((_BEFORE, None), (_AFTER, ASSUMED)):
            seeds = range(0, max(_AT_ONCE_IN_ALL, count), count)
            outcomes = [at_once(PENDING, count, seed, shares) for seed in seeds]
            rows.append((f"{count:,}", found_by, *_of_many(outcomes, count * len(seeds))))
    return Table(
        title="AMIs that are pending, many at once",
        columns=(
            *("at once", "their ends are found by", "median s", "p99 s", "EC2 calls an AMI"),
            *("invocations an AMI", "$ a 1,000 AMIs", "tokens left", "calls refused"),
        ),
        rows=tuple(rows),
        notes=_OF_MANY,
    )


def _of_many(outcomes: Sequence[Outcome], images: int) -> tuple[str, ...]:
    answers = [answer for outcome in outcomes for answer in outcome.answers]
    strains = [strain(outcome.calls) for outcome in outcomes]
    dollars = sum(prices.cost(outcome.usage) for outcome in outcomes)
    return (
        f"{percentile(answers, 50):.1f}",
        f"{percentile(answers, 99):.1f}",
        f"{sum(len(outcome.calls) for outcome in outcomes) / images:.1f}",
        f"{sum(outcome.usage.invocations for outcome in outcomes) / images:.1f}",
        f"{1000 * dollars / images:.3f}",
        f"{min(each.least for each in strains):.0f}",
        f"{sum(each.refused for each in strains):,}",
    )


def _distribution() -> Plot:
    series = []
    for stage in STAGES:
        for name, figures in (("polls alone", polled(stage)), ("events", with_events(stage))):
            points = tuple((figures.within(percent), float(percent)) for percent in _CURVE)
            series.append(Series(f"{stage.name}: {name}", points))
    return Plot(
        file="events-time-to-answer.png",
        title="Ends of stages found, before and after (a simulation)",
        x="seconds from a stage's end",
        y="% of the ends that are found by then",
        series=tuple(series),
        log="x",
    )


def _trade() -> Plot:
    series = []
    for stage, latest in LATEST.items():
        expecting = [with_events(stage, _expecting(each)) for each in reversed(latest)]
        found = [*expecting, polled(stage)]
        points = tuple((figures.calls, figures.within(99)) for figures in found)
        labels = (*(f"{each} s" for each in reversed(latest)), "polls alone")
        series.append(Series(f"{stage.name}: events, and polls every", points, labels))
    return Plot(
        file="events-intervals.png",
        title="Time to answer against calls, before and after (a simulation)",
        x="EC2 calls a stage",
        y="seconds in which 99 of 100 ends are found",
        series=tuple(series),
        kind="points",
        log="xy",
    )


def _expecting(latest: int) -> Interval:
    return Interval(latest, IF_EXPECTED.share, IF_EXPECTED.grid)


def _lost(stage: Stage, usual: Interval) -> Figures:
    return of_fate(stage, usual, Fate.LOST, aws_events.TYPICAL[stage.source])


def _seconds(figures: Figures) -> tuple[str, str]:
    return f"{figures.within(50):.1f}", f"{figures.within(99):.1f}"


def _dollars(figures: Figures) -> str:
    return f"{1000 * figures.dollars:.3f}"
