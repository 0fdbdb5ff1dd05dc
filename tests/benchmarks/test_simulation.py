"""The simulated EC2, its request limit, and the queue."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from benchmarks import prices
from benchmarks.polling import assumptions, peers
from benchmarks.polling.before_and_after import GATHERING, MAPPING
from benchmarks.polling.bundles import KINDS, LONGEST, SHORTEST, Bundle, draw
from benchmarks.polling.ours import Function
from benchmarks.polling.outcome import Usage, percentile
from benchmarks.polling.queue import NO_GATHERING, Gathering, Mapping, Queue
from benchmarks.polling.request_limit import strain
from benchmarks.polling.simulation import Simulation
from benchmarks.polling.time_to_answer import Figures, application, peer, watch
from instance_bundle.polling import messages

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def progress_of(bundle: Bundle) -> list[int]:
    moments = [bundle.start + bundle.duration * part / 200 for part in range(200)]
    return [int(bundle.seen(moment).progress.rstrip("%") or 0) for moment in moments]


def test_bundles_last_as_long_as_they_may_and_end_when_they_say() -> None:
    bundles = draw(500, seed=1)

    assert all(SHORTEST <= bundle.duration <= LONGEST for bundle in bundles)
    assert {bundle.kind for bundle in bundles} == {*KINDS}
    for bundle in bundles:
        assert bundle.seen(bundle.end - 0.01).phase == "running"
        assert bundle.seen(bundle.end + 0.01).phase == "complete"


@pytest.mark.parametrize("kind", KINDS)
def test_progress_never_goes_back_and_has_its_kinds_shape(kind: str) -> None:
    bundles = [bundle for bundle in draw(500, seed=2) if bundle.kind == kind]
    for bundle in bundles:
        progress = progress_of(bundle)
        assert progress == sorted(progress)
        match kind:
            case "honest":
                assert progress[-1] >= 98
            case "silent":
                assert {*progress} == {0}
            case "jumps":
                assert len({*progress}) <= 5
            case "stalls":
                assert max(progress.count(each) for each in progress) >= 50
            case "lies":
                assert progress[-1] in (0, 1, 98, 99)


def test_a_bucket_of_tokens_is_emptied_and_filled() -> None:
    assert strain([0.0] * 100).refused == 0
    assert strain([0.0] * 101).refused == 1
    assert strain([0.0] * 100 + [1.0] * 20).refused == 0
    assert strain([0.0] * 100 + [1.0] * 21).refused == 1
    assert strain([n / 20 for n in range(10_000)]).least == pytest.approx(99)


class Recorder:
    """Work that takes a second, and is written down."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, list[int]]] = []

    def __call__(self, now: float, batch: Sequence[int]) -> float:
        self.batches.append((now, [*batch]))
        return now + 1


def served(
    mapping: Mapping, gathering: Gathering, moments: Sequence[float]
) -> list[tuple[float, list[int]]]:
    work = Recorder()
    simulation = Simulation()
    queue = Queue(simulation, mapping, gathering, work, seed=1)
    for number, moment in enumerate(moments):
        queue.send(number, moment)
    simulation.run()
    assert sorted(each for _, batch in work.batches for each in batch) == [*range(len(moments))]
    return work.batches


def test_a_message_is_served_at_once_where_there_is_no_window() -> None:
    [(at, batch)] = served(Mapping(), NO_GATHERING, [100])

    assert batch == [0]
    assert at == pytest.approx(100 + assumptions.RECEIVE + assumptions.COLD_START)


def test_a_window_lasts_for_a_long_poll_where_the_queue_is_quiet() -> None:
    [(at, _)] = served(Mapping(batch_size=100, window=1), NO_GATHERING, [100])

    warm = at - assumptions.COLD_START
    assert warm == pytest.approx(100 + assumptions.RECEIVE + assumptions.LONG_POLL)


def test_no_batch_is_larger_and_no_more_run_at_once_than_the_mapping_says() -> None:
    batches = served(Mapping(batch_size=10, concurrency=3), NO_GATHERING, [0] * 200)

    assert max(len(batch) for _, batch in batches) == 10
    for at, _ in batches:
        assert sum(at <= other < at + 1 for other, _ in batches) <= 3


def test_a_busy_batch_gathers_what_comes_within_its_time_and_a_lone_one_waits_for_nothing() -> None:
    gathering = Gathering(least=2, most=100, seconds=1)
    mapping = Mapping(concurrency=1)
    moments = [0, 10, 10, 10.4, 10.8, 15]
    assert [batch for _, batch in served(mapping, gathering, moments)] == [[0], [1, 2, 3, 4], [5]]
    [(alone, _)] = served(mapping, gathering, [0])
    assert alone == pytest.approx(assumptions.RECEIVE + assumptions.COLD_START)


def test_pollers_are_added_while_messages_are_left() -> None:
    many = served(Mapping(), NO_GATHERING, [0] * 1000)
    few = served(Mapping(concurrency=5), NO_GATHERING, [0] * 1000)

    assert max(at for at, _ in many) < max(at for at, _ in few)


def test_the_simulation_has_the_mapping_of_the_template_and_the_functions_own_gathering() -> None:
    properties = yaml_parse(TEMPLATE.read_text())["Resources"]["PollSource"]["Properties"]

    assert (
        Mapping(
            batch_size=properties["BatchSize"],
            window=properties.get("MaximumBatchingWindowInSeconds", 0),
            concurrency=properties["ScalingConfig"]["MaximumConcurrency"],
        )
        == MAPPING
    )
    assert (GATHERING.most, GATHERING.seconds) == (messages.MOST, messages.WINDOW)


def test_the_simulated_function_has_the_memory_of_the_template() -> None:
    function = yaml_parse(TEMPLATE.read_text())["Globals"]["Function"]

    assert Function().memory == function["MemorySize"]


@cache
def ours(at_once: int, bundles: int) -> Figures:
    """What this application comes to; simulated once, since that takes seconds."""
    return watch(application, at_once, bundles=bundles)


@pytest.mark.parametrize("at_once", [1, 10, 100, 1000])
def test_answers_come_in_time_and_calls_stay_under_the_limit(at_once: int) -> None:
    figures = ours(at_once, bundles=1000)

    assert figures.unanswered == 0
    assert figures.median <= 5
    assert figures.p99 <= 20
    assert figures.refused == 0


def test_calls_grow_far_below_linearly() -> None:
    alone, many = ours(1, bundles=300), ours(1000, bundles=1000)

    assert many.calls < alone.calls / 8


def test_the_others_that_answer_as_soon_cost_more() -> None:
    here = ours(1, bundles=300)
    theirs = watch(peer(peers.provider_framework(5)), 1, bundles=300)

    assert theirs.median < 5
    assert here.dollars < theirs.dollars / 5


def test_costs_are_added_up() -> None:
    million = 10**6
    usage = Usage(million, 0, million, read_units=million, write_units=million, transitions=million)

    assert prices.cost(usage) == pytest.approx(0.20 + 0.40 + 0.125 + 0.625 + 25)
    assert prices.cost(Usage(gb_seconds=1)) == pytest.approx(0.0000166667)
    assert prices.idle_month(5, 20) == pytest.approx(0.2592)


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(range(100), 99) == 99
