"""The simulated events of AWS's, and what they do to the time to answer."""

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from benchmarks.polling import assumptions, event_tables, ours
from benchmarks.polling.aws_events import ASSUMED, TYPICAL, Fate, Source, arrivals, fate, shares
from benchmarks.polling.before_and_after import (
    EVENT_MAPPING,
    GATHERING,
    MAPPING,
    at_once,
    of_fate,
    polled,
    with_events,
)
from benchmarks.polling.bundles import Bundle, epoch
from benchmarks.polling.outcome import Outcome, percentile
from benchmarks.polling.queue import Mapping
from benchmarks.polling.request_limit import strain
from benchmarks.polling.stages import BUNDLE_TASK, PENDING, STAGES, STORING, Stage
from instance_bundle.lifecycle import interval
from instance_bundle.lifecycle.interval import IF_EXPECTED
from instance_bundle.methods.method import Task, parsed

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def test_the_simulated_event_queue_has_the_mapping_of_the_template() -> None:
    properties = yaml_parse(TEMPLATE.read_text())["Resources"]["EventSource"]["Properties"]

    assert (
        Mapping(
            batch_size=properties["BatchSize"],
            window=properties.get("MaximumBatchingWindowInSeconds", 0),
            concurrency=properties["ScalingConfig"]["MaximumConcurrency"],
        )
        == EVENT_MAPPING
    )


@pytest.mark.parametrize("source", Source)
def test_events_come_as_often_and_as_soon_as_assumed(source: Source) -> None:
    of = {fate: [arrivals(fate, TYPICAL[source], seed) for seed in range(2000)] for fate in Fate}

    assert {fate: {len(each) for each in times} for fate, times in of.items()} == {
        Fate.IN_TIME: {1},
        Fate.LATE: {1},
        Fate.LOST: {0},
        Fate.TWICE: {2},
    }
    in_time = [first for (first,) in of[Fate.IN_TIME]]
    assert percentile(in_time, 50) == pytest.approx(TYPICAL[source], rel=0.1)
    soonest, latest = assumptions.LATE_EVENT
    assert all(soonest <= late <= latest for (late,) in of[Fate.LATE])
    assert all(first < second for first, second in of[Fate.TWICE])


def test_fates_are_shared_out_as_the_shares_say() -> None:
    found = Counter(fate(number, shares(lost=0.05)) for number in range(5000, 6000))

    assert found == {Fate.IN_TIME: 930, Fate.LATE: 10, Fate.LOST: 50, Fate.TWICE: 10}
    assert sum(ASSUMED.values()) == pytest.approx(1)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_ends_when_it_says_and_is_shown_in_time_or_a_little_later(stage: Stage) -> None:
    tasks = [stage.draw(seed) for seed in range(400)]

    for task in tasks:
        assert task.seen(task.end - 0.01).phase == "running"
        assert task.seen(task.end + task.shown_late + 0.01).phase == "complete"
        assert 0 <= task.shown_late <= assumptions.SHOWN_WITHIN
    late = sum(task.shown_late > 0 for task in tasks) / len(tasks)
    assert late == pytest.approx(assumptions.SHOWN_LATE, abs=0.07)


def test_an_ami_shows_no_progress_until_it_is_stored_and_then_its_second_half() -> None:
    pending, storing = PENDING.draw(1), STORING.draw(1)

    moments = [pending.start + part * pending.duration for part in (0.1, 0.9)]
    assert {pending.seen(moment).progress for moment in moments} == {""}
    parts = [storing.seen(storing.start + part * storing.duration) for part in (0, 0.5, 0.999)]
    assert [part.progress for part in parts] == ["50%", "75%", "99%"]
    assert epoch(storing.start) - parsed(parts[0].started) == pytest.approx(storing.before, abs=1)


def at(
    arrivals: tuple[float, ...], shown_late: float = 0, waits: int = 30
) -> tuple[Outcome, list[float]]:
    """One bundle that ends at 100 s, and polls at 5 s, 35 s, 65 s, 95 s, …; its events, and the
    seconds between its calls."""
    task = Bundle("ami-1", 0, 100, 0, "silent", (), shown_late=shown_late)

    def look_ahead(_task: Task, _now: float, since_event: float) -> int:
        return interval.after_event(since_event) or waits

    outcome = ours.simulate(
        [task],
        look_ahead,
        MAPPING,
        GATHERING,
        events=ours.Events([[100 + each for each in arrivals]], Source.EC2, EVENT_MAPPING),
    )
    return outcome, [after - before for before, after in pairwise(outcome.calls)]


def test_an_event_makes_the_next_poll_come_at_once() -> None:
    outcome, _ = at((1.0,))

    [answer] = outcome.answers
    assert 1 < answer < 1.5


def test_without_its_event_a_stage_is_found_by_the_next_poll() -> None:
    outcome, between = at(())

    [answer] = outcome.answers
    assert between == pytest.approx([30] * 4, abs=0.3)
    assert outcome.calls[-1] < 100 + answer < outcome.calls[-1] + 0.3


def test_polls_follow_after_one_two_and_four_seconds_until_the_end_is_shown() -> None:
    outcome, between = at((1.0,), shown_late=7)

    assert between[-3:] == pytest.approx([1, 2, 4], abs=0.2)
    assert len(outcome.answers) == 1


def test_what_an_event_costs_is_counted() -> None:
    without, _ = at(())
    lost, once, twice = without.usage, at((1.0,))[0].usage, at((1.0, 3.0))[0].usage

    # The event, its poll instead of the next one, and the message that is dropped.
    assert once.invocations == lost.invocations + 2
    assert once.read_units == lost.read_units + 1 + 1
    assert once.write_units == lost.write_units + 4 + 2
    # The second event finds the request answered.
    assert twice.invocations == once.invocations + 1
    assert twice.write_units == once.write_units + 2


def test_an_event_that_comes_too_soon_after_another_makes_no_poll() -> None:
    once, twice = at((1.0,), shown_late=8)[0], at((1.0, 1.5), shown_late=8)[0]

    assert len(twice.calls) == len(once.calls)


def test_an_event_that_comes_while_its_request_is_polled_makes_another_poll_follow() -> None:
    polls = at((), waits=19)[0].calls
    during = polls[-1] - 100
    outcome, between = at((during,), shown_late=during + 0.05, waits=19)

    assert len(outcome.answers) == 1
    assert any(gap < 0.2 for gap in between)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_with_events_ends_are_found_sooner_with_half_the_calls_and_for_less(stage: Stage) -> None:
    before, after = polled(stage), with_events(stage)

    assert after.within(50) <= 1.5
    assert after.within(99) <= 15
    assert after.within(99) <= before.within(99)
    assert after.calls <= 0.55 * before.calls
    assert after.dollars < before.dollars


def test_polls_of_pending_amis_are_half_as_many_and_a_longer_interval_is_too_late() -> None:
    before = polled(PENDING)

    assert with_events(PENDING).calls == pytest.approx(before.calls / 2, rel=0.03)
    longer = interval.Interval(40, IF_EXPECTED.share, IF_EXPECTED.grid)
    assert with_events(PENDING, longer).within(99) > 15


def test_a_lost_event_delays_a_stage_until_its_next_poll_and_no_longer() -> None:
    lost = of_fate(PENDING, IF_EXPECTED, Fate.LOST, TYPICAL[PENDING.source])

    assert lost.within(100) <= 2 * IF_EXPECTED.latest
    assert lost.within(90) <= IF_EXPECTED.latest + 1


def test_where_no_event_is_expected_nothing_has_changed() -> None:
    now = 1_800_000_000.0
    chance = random.Random(1)  # noqa: S311  a test's
    for _ in range(100):
        task = BUNDLE_TASK.draw(chance.randrange(1000)).seen(chance.uniform(0, 3000))
        assert interval.next_poll(task, now) == interval.INTERVAL.seconds(task, now)


def test_events_of_many_stages_fit_the_queue_and_the_request_limit() -> None:
    outcome = at_once(PENDING, 1000, 0, ASSUMED)

    assert outcome.unanswered == 0
    assert percentile(outcome.answers, 50) <= 1.5
    assert strain(outcome.calls).refused == 0


def test_the_chosen_interval_is_among_those_that_are_compared() -> None:
    assert event_tables.LATEST.keys() == {*STAGES}
    assert all(IF_EXPECTED.latest in latest for latest in event_tables.LATEST.values())
