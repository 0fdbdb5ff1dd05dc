"""Events of EC2's and S3's in the simulated world: lost, late, doubled, forged, and many."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from instance_bundle.lifecycle.interval import IF_EXPECTED, INTERVAL
from tests.chaos.aws_events import FATES, is_batch, of_others
from tests.chaos.branches import explore
from tests.chaos.forged_events import ABOUT
from tests.chaos.sequence import Run, Step
from tests.chaos.steps import CREATE, HANDLE, REGISTERS, STORES, later
from tests.chaos.world import Fault, World

WORKS: Mapping[str, dict[str, Any]] = {
    "bundled": {},
    "registered": REGISTERS | {"register_seconds": 100},
    "stored": STORES,
}
SOON: Mapping[str, float] = {"bundled": 1, "registered": 5, "stored": 1}
"""Seconds from the end of work to its answer if events arrive. EC2 shows for some seconds that a
registered AMI is pending."""
LAST_STAGES: Mapping[str, str] = {"bundled": "seconds", "stored": "store_seconds"}
LONG = [43, 56, 101, 138, 199, 262, 311]
"""Seconds that work takes; each ends at another time between two polls."""
MOST_LATE = IF_EXPECTED.latest + IF_EXPECTED.grid + 1
"""Seconds from the end of work to its answer, whatever becomes of the events."""


def sent(*fates: str) -> Step:
    return {"do": "aws events", "bucket": True, "fates": [*fates]}


def forged(about: str, number: int = 0, count: int = 1) -> Step:
    return {"do": "forge event", "about": about, "number": number, "count": count}


def timed(world: World) -> list[float]:
    """When answers arrive, from now on."""
    moments: list[float] = []
    on_answer = world.on_answer

    def receive(url: str, body: bytes) -> int:
        moments.append(time.time())
        return on_answer(url, body)

    world.on_answer = receive
    return moments


def ended_at(world: World) -> float:
    """When the last work ended that has ended."""
    return max(end for end in world._ends() if end <= time.time())


def lateness(world: World, work: dict[str, Any], *fates: str) -> float:
    """Seconds from the end of a Create's work to its answer."""
    run = Run(world)
    answers = timed(world)
    run.carry_out([*([sent(*fates)] if fates else []), CREATE | work])
    world.run_until_idle()
    [stack] = run.stacks
    assert stack.status == "CREATE_COMPLETE"
    assert len(answers) == 1
    late: float = answers[0] - ended_at(world) - work.get("register_seconds", 0)
    run.finish()
    return late


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("work", WORKS)
def test_whatever_becomes_of_its_events_a_request_is_answered_once(
    world: World, work: str, fate: str
) -> None:
    late = lateness(world, WORKS[work] | {"seconds": 56}, fate)

    assert 0 <= late < (SOON[work] if fate in ("at once", "soon", "twice") else MOST_LATE)


@pytest.mark.parametrize("work", LAST_STAGES)
def test_with_events_answers_come_a_second_after_the_end(world: World, work: str) -> None:
    """Without them, half the time between two polls later."""
    long = [WORKS[work] | {"timeout": 600, LAST_STAGES[work]: seconds} for seconds in LONG]

    with_events = [lateness(world, each, "soon") for each in long]
    without = [lateness(world, each) for each in long]

    assert max(with_events) < SOON[work]
    assert statistics.median(without) > 2
    assert max(without) < INTERVAL.latest + INTERVAL.grid + 1


@pytest.mark.parametrize("work", WORKS)
def test_an_event_before_the_task_is_recorded_changes_nothing(world: World, work: str) -> None:
    """The AMI's event is dropped; the bundle's claim is there already."""
    run, answers = Run(world), timed(world)
    hint = {"do": "fault", "call": "dynamodb:UpdateItem", "kind": "hint", "nth": 1, "times": 6}

    run.carry_out([sent("soon"), hint, CREATE | WORKS[work]])
    world.run_until_idle()

    assert world.log.count("hint dynamodb:UpdateItem") >= 3
    assert run.stacks[0].status == "CREATE_COMPLETE"
    assert len(answers) == 1
    run.finish()


# Forged events


def outcome_of(world: World, work: dict[str, Any], *, about: str | None) -> list[Any]:
    """How a stack is created, and what remains, with a forged event every few seconds or without.

    Answers have IDs and times, which vary.
    """
    run = Run(world)
    run.carry_out([sent("lost"), CREATE | {"timeout": 300} | work])
    for number in range(50):
        run.carry_out([*([forged(about, number, 2)] if about else []), later(7)])
    world.run_until_idle()
    [stack] = run.stacks
    found = [
        stack.status,
        [(each.event["RequestType"], each.succeeded, len(each.bodies)) for each in stack.exchanges],
        len(world.started),
        len(world.images.made),
        len(world.images.registered),
        len(world.keys(run.bucket)),
        [*world.log],
    ]
    run.finish()
    return found


@pytest.mark.parametrize(
    "about",
    [
        pytest.param(about, marks=[] if about in ("image", "bundle") else pytest.mark.faults)
        for about in ABOUT
    ],
)
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(REGISTERS, id="registered"),
        pytest.param(STORES, id="stored"),
        pytest.param({"outcome": "failed"}, id="fails", marks=pytest.mark.faults),
        pytest.param({"outcome": "hang"}, id="hangs", marks=pytest.mark.faults),
        pytest.param(STORES | HANDLE, id="accepted", marks=pytest.mark.faults),
    ],
)
def test_forged_events_change_no_outcome(world: World, work: dict[str, Any], about: str) -> None:
    assert outcome_of(world, work, about=about) == outcome_of(world, work, about=None)


# Many events


def test_a_thousand_events_a_minute_for_others_cost_a_read_each_and_delay_no_poll(
    world: World,
) -> None:
    seconds = 150
    calm, _ = polls_of(world, seconds, a_second=0)
    counted_before = world.counts["events of AWS's"]

    busy, calls = polls_of(world, seconds, a_second=17)

    handled = world.counts["events of AWS's"] - counted_before
    assert handled == seconds * 17 > seconds * 1000 / 60
    assert calls == {"dynamodb:Query": handled}
    assert busy == calm


def polls_of(world: World, seconds: int, a_second: int) -> tuple[list[float], Counter[str]]:
    """When a stack is polled, in seconds since its request, while events of others arrive; and the
    calls that these events cost."""
    run = Run(world)
    calls: Counter[str] = Counter()

    def count(name: str) -> None:
        calls[name] += is_batch(world.handled)

    world.on_call = count
    run.carry_out([sent("lost"), CREATE | {"seconds": seconds - 20}])
    for second in range(seconds):
        with world.aws_events.all_delivered():
            for number in range(a_second):
                of_others(second * a_second + number)
        run.step(later(1))
    world.run_until_idle()
    world.on_call = None
    begun = run.stacks[0].exchanges[0].sent_at
    polled = [round(moment - begun, 1) for moment in world.polled]
    run.finish()
    return polled, +calls


# Faults at the calls that an event makes


STRUCK = ("kill", "kill-after", "throttle", "fail", "cut-after", "garble", "hang", "deny", "twice")


@pytest.mark.faults
@pytest.mark.parametrize("work", WORKS)
def test_a_stack_ends_right_whatever_the_calls_of_an_event_meet(world: World, work: str) -> None:
    run = Run(world)
    run.step(sent("soon", "twice"))

    def at_calls_of_events(_: str) -> Iterator[Fault]:
        if is_batch(world.handled):
            yield from (Fault("*", kind) for kind in STRUCK)

    def play() -> None:
        run.step(CREATE | WORKS[work] | {"seconds": 56})
        world.run_until_idle()

    def check() -> list[str]:
        status = run.stacks[0].status
        return [*([] if status == "CREATE_COMPLETE" else [status]), *run.broken()]

    branches = explore(world, at_calls_of_events, play, check)

    assert {branch.fault.call for branch in branches} >= {
        *("dynamodb:Query", "dynamodb:UpdateItem", "sqs:SendMessageBatch")
    }
    assert {str(branch): branch.problems for branch in branches if branch.problems} == {}
