"""Time to answer, calls and cost of each design, on the same simulated EC2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import prices
from benchmarks.polling import assumptions, event_tables, ours, peers
from benchmarks.polling.before_and_after import GATHERING, MAPPING
from benchmarks.polling.bundles import KINDS, Bundle, draw
from benchmarks.polling.outcome import Outcome, percentile
from benchmarks.polling.queue import NO_GATHERING, Gathering
from benchmarks.polling.queue import Mapping as SourceMapping
from benchmarks.polling.request_limit import REFILL, TOKENS, strain
from benchmarks.section import Plot, Section, Series, Table
from instance_bundle.lifecycle import interval
from instance_bundle.lifecycle.interval import Interval
from instance_bundle.methods.method import Task

AT_ONCE = (1, 10, 100, 1_000, 10_000)
"""Bundles that are under way at once."""
_BUNDLES = 2_000
"""As many are drawn at least for each of these, in several runs where they are few."""

_OF_DESIGNS = (
    (
        "Seconds run from the task's end to the answer. The 99th percentile includes what the "
        "queue's model has: Lambda's pollers, long polling, the window, and cold starts."
    ),
    ("Bundles last 2 to 90 minutes, half of them less than 20; all of a run start in a minute."),
    (
        f"EC2's bucket for Describe calls has {TOKENS} tokens, and gets {REFILL} a second. A "
        "call that is refused is counted; that it would be repeated is not simulated."
    ),
    "No event is sent here, nor expected: for events, see the tables below.",
    (
        "Costs are those of watching: a request's start and answer, and logs, are left out. "
        f"Prices as of {prices.AS_OF}, with no free tier."
    ),
    (
        "Unanswered is what takes longer than the hour for which CloudFormation waits, or than "
        "the 15 minutes of a function that waits. This application goes on for a wait condition "
        "handle, if there is one."
    ),
    ("crhelper can't have as many requests under way as the lower rows say: see the ceilings."),
    (
        "While there is no request, the pollers of this application's three queues cost "
        f"${3 * prices.idle_month(assumptions.FIRST_POLLERS, assumptions.LONG_POLL):.2f} a "
        "month at most; the other designs cost nothing then."
    ),
)
_OF_KINDS = (
    (
        "Honest grows evenly; stalls stops for a third of the time; jumps goes in a "
        "few steps of any size; lies is at 99% or at 1% for most of the time; silent shows "
        "nothing."
    ),
)
_OF_QUEUES = (
    (
        "A batching window lasts as long as a long poll of 20 s where the queue is quiet "
        "(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."
    ),
)
_OF_INTERVALS = (
    (
        f"Chosen: half of what is left, {interval.INTERVAL.latest} s at the latest. With 20 s, "
        "what a busy queue adds would take the 99th percentile past 20 s; with less, more "
        "calls are made for a difference that nobody sees."
    ),
)

Design = Callable[[Sequence[Bundle]], Outcome]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a design comes to, with so many bundles at once.

    Attributes:
        median: seconds from a bundle's end to its answer.
        p99: the same; 99 of a hundred are answered sooner.
        unanswered: the share that times out.
        calls: Describe calls for a bundle.
        invocations: of functions, for a bundle.
        dollars: for a bundle.
        least: tokens left in EC2's bucket at the worst moment of all runs.
        refused: calls that found the bucket empty.
    """

    median: float
    p99: float
    unanswered: float
    calls: float
    invocations: float
    dollars: float
    least: float
    refused: int


def watch(design: Design, at_once: int, bundles: int = _BUNDLES) -> Figures:
    """Run a design, as often as it takes to see so many bundles."""
    runs = max(1, bundles // at_once)
    outcomes = [design(draw(at_once, seed)) for seed in range(runs)]
    answers = [answer for outcome in outcomes for answer in outcome.answers]
    strains = [strain(outcome.calls) for outcome in outcomes]
    count = runs * at_once
    return Figures(
        median=percentile(answers, 50),
        p99=percentile(answers, 99),
        unanswered=sum(outcome.unanswered for outcome in outcomes) / count,
        calls=sum(len(outcome.calls) for outcome in outcomes) / count,
        invocations=sum(outcome.usage.invocations for outcome in outcomes) / count,
        dollars=sum(prices.cost(outcome.usage) for outcome in outcomes) / count,
        least=min(each.least for each in strains),
        refused=sum(each.refused for each in strains),
    )


def application(
    bundles: Sequence[Bundle],
    look_ahead: ours.Interval = interval.next_poll,
    mapping: SourceMapping = MAPPING,
    gathering: Gathering = GATHERING,
) -> Outcome:
    """This application, or one that differs from it in something."""
    return ours.simulate(bundles, look_ahead, mapping, gathering)


def peer(design: peers.Peer) -> Design:
    """A design that polls each bundle separately."""
    return partial(peers.simulate, peer=design)


def run(say: Callable[[str], None]) -> Section:
    """Compare the designs at each number of bundles; show what the choices rest on."""
    say("Simulating this application with one bundle")
    alone = watch(application, 1)
    interval = _interval_of_our_cost(alone.dollars)
    designs: Mapping[str, Design] = {
        "this application": application,
        "crhelper, every 2 min": peer(peers.crhelper(2)),
        "crhelper, every 1 min": peer(peers.crhelper(1)),
        "CDK provider, 5 s": peer(peers.provider_framework(5)),
        f"CDK provider, {interval:.0f} s": peer(peers.provider_framework(interval)),
        "Lambda that waits": peer(peers.waiting),
    }
    found: dict[str, dict[int, Figures]] = {}
    for name, design in designs.items():
        found[name] = {}
        for at_once in AT_ONCE:
            say(f"Simulating {name}, bundles at once: {at_once:,}")
            found[name][at_once] = watch(design, at_once)
    say("Simulating other look-aheads and other queues")
    frontier = _frontier(found)
    queues, kinds = _queues(), _kinds()
    say("Simulating events of EC2's and S3's")
    return Section(
        title="Time to answer, calls and cost",
        tables=(
            *(_designs(found), _growth(found), kinds, queues, frontier.table),
            *event_tables.tables(),
        ),
        plots=(*_curves(found), frontier.plot, *event_tables.plots()),
    )


def _interval_of_our_cost(dollars: float) -> float:
    """Seconds at which the provider framework costs as much as we do."""
    low, high = 5.0, 3600.0
    while high - low > 1:
        middle = (low + high) / 2
        design = peer(peers.provider_framework(middle))
        low, high = (middle, high) if watch(design, 1, 1000).dollars > dollars else (low, middle)
    return round(high)


def _designs(found: Mapping[str, Mapping[int, Figures]]) -> Table:
    rows = [
        (
            name,
            f"{at_once:,}",
            f"{figures.median:.1f}",
            f"{figures.p99:.1f}",
            f"{figures.unanswered:.0%}",
            f"{figures.calls:.1f}",
            f"{figures.invocations:.1f}",
            f"{figures.dollars * 1000:.3f}",
            f"{figures.least:.0f}",
            f"{figures.refused:,}",
        )
        for name, by_number in found.items()
        for at_once, figures in by_number.items()
    ]
    return Table(
        title="Each design, by bundles at once",
        columns=(
            "design",
            "at once",
            "median s",
            "p99 s",
            "unanswered",
            "EC2 calls a bundle",
            "invocations a bundle",
            "$ a 1,000 bundles",
            "tokens left",
            "calls refused",
        ),
        rows=tuple(rows),
        notes=_OF_DESIGNS,
    )


def _growth(found: Mapping[str, Mapping[int, Figures]]) -> Table:
    """EC2 calls in all, as bundles become more."""
    rows = []
    for name, by_number in found.items():
        once = by_number[1].calls
        rows.append(
            (name, *(f"{by_number[n].calls * n / once:,.0f}" for n in AT_ONCE if n in by_number))
        )
    return Table(
        title="EC2 calls in all, as a multiple of those for one bundle",
        columns=("design", *(f"{n:,}" for n in AT_ONCE)),
        rows=tuple(rows),
    )


def _kinds() -> Table:
    """This application by the kind of the progress."""
    bundles = [bundle for seed in range(_BUNDLES) for bundle in draw(1, seed)]
    rows = []
    for kind, share in KINDS.items():
        of_it = [bundle for bundle in bundles if bundle.kind == kind]
        outcomes = [application([replace(bundle, start=0)]) for bundle in of_it]
        answers = [answer for outcome in outcomes for answer in outcome.answers]
        calls = sum(len(outcome.calls) for outcome in outcomes) / len(of_it)
        rows.append(
            (
                kind,
                f"{share}%",
                f"{percentile(answers, 50):.1f}",
                f"{percentile(answers, 99):.1f}",
                f"{calls:.0f}",
            )
        )
    return Table(
        title="This application, one bundle at once, by the kind of its progress",
        columns=("progress", "share", "median s", "p99 s", "EC2 calls a bundle"),
        rows=tuple(rows),
        notes=_OF_KINDS,
    )


def _queues() -> Table:
    """What the batch is made of, and why."""
    kinds: Mapping[str, tuple[SourceMapping, Gathering]] = {
        "as it is: 10 a batch, no window, a busy batch gathers": (MAPPING, GATHERING),
        "nothing is gathered": (MAPPING, NO_GATHERING),
        "no maximum concurrency": (replace(MAPPING, concurrency=1250), GATHERING),
        "Lambda's window: 100 a batch, 1 s": (SourceMapping(100, 1), NO_GATHERING),
    }
    rows = []
    for name, (mapping, gathering) in kinds.items():
        design = partial(application, mapping=mapping, gathering=gathering)
        for at_once in (1, 100, 3_000):
            figures = watch(design, at_once, 1_000)
            rows.append(
                (
                    name,
                    f"{at_once:,}",
                    f"{figures.median:.1f}",
                    f"{figures.p99:.1f}",
                    f"{figures.calls:.1f}",
                    f"{figures.least:.0f}",
                    f"{figures.refused:,}",
                )
            )
    return Table(
        title="Other ways to fill a batch",
        columns=(
            "queue",
            "at once",
            "median s",
            "p99 s",
            "EC2 calls a bundle",
            "tokens left",
            "calls refused",
        ),
        rows=tuple(rows),
        notes=_OF_QUEUES,
    )


@dataclass(frozen=True, slots=True)
class _Frontier:
    table: Table
    plot: Plot


def _frontier(found: Mapping[str, Mapping[int, Figures]]) -> _Frontier:
    """Time to answer against calls, of this and of other look-aheads."""
    families: Mapping[str, Iterable[tuple[str, ours.Interval]]] = {
        "a fixed interval": [
            (f"{seconds} s", _every(seconds)) for seconds in (4, 6, 8, 10, 12, 15, 20, 30)
        ],
        "half of what is left, at the latest after": [
            (f"{latest} s", _only(Interval(latest, share=0.5, grid=5)))
            for latest in (10, 15, 20, 30, 60)
        ],
        "all of what is left, at the latest after": [
            (f"{latest} s", _only(Interval(latest, share=1.0, grid=5)))
            for latest in (10, 15, 20, 30, 60)
        ],
    }
    rows, series = [], []
    for family, members in families.items():
        points, labels = [], []
        for label, look_ahead in members:
            figures = watch(partial(application, look_ahead=look_ahead), 1, 1_000)
            rows.append((f"{family}, {label}", *_of_frontier(figures)))
            points.append((figures.calls, figures.median))
            labels.append(label)
        series.append(Series(family, tuple(points), tuple(labels)))
    for name, by_number in found.items():
        rows.append((name, *_of_frontier(by_number[1])))
        point = (by_number[1].calls, by_number[1].median)
        series.append(Series(name, (point,)))
    return _Frontier(
        Table(
            title="Look-aheads: time to answer against calls, one bundle at once",
            columns=("look-ahead", "EC2 calls a bundle", "median s", "p99 s"),
            rows=tuple(rows),
            notes=_OF_INTERVALS,
        ),
        Plot(
            file="frontier.png",
            title="Time to answer against calls, one bundle at once",
            x="EC2 calls a bundle",
            y="median time to answer, s",
            series=tuple(series),
            kind="points",
            log="xy",
        ),
    )


def _every(seconds: int) -> ours.Interval:
    def look_ahead(_task: Task, _now: float, _since_event: float) -> int:
        return seconds

    return look_ahead


def _only(usual: Interval) -> ours.Interval:
    """A look-ahead that no event changes."""

    def look_ahead(task: Task, now: float, _since_event: float) -> int:
        return usual.seconds(task, now)

    return look_ahead


def _of_frontier(figures: Figures) -> tuple[str, str, str]:
    return f"{figures.calls:.0f}", f"{figures.median:.1f}", f"{figures.p99:.1f}"


def _curves(found: Mapping[str, Mapping[int, Figures]]) -> tuple[Plot, ...]:
    def of(value: Callable[[int, Figures], float]) -> tuple[Series, ...]:
        return tuple(
            Series(name, tuple((n, value(n, figures)) for n, figures in by_number.items()))
            for name, by_number in found.items()
        )

    return (
        Plot(
            file="calls.png",
            title="EC2 calls in all",
            x="bundles at once",
            y="Describe calls",
            series=of(lambda n, figures: figures.calls * n),
            log="xy",
        ),
        Plot(
            file="cost.png",
            title="Cost of watching 1,000 bundles",
            x="bundles at once",
            y="US dollars",
            series=of(lambda _, figures: 1000 * figures.dollars),
            log="xy",
        ),
        Plot(
            file="time-to-answer.png",
            title="Time to answer: 99 of 100 bundles",
            x="bundles at once",
            y="seconds",
            series=of(lambda _, figures: figures.p99),
            log="xy",
        ),
    )
