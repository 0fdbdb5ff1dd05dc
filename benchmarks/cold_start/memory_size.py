"""How much processor time the function needs, and which MemorySize follows from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

from benchmarks.cold_start.measured import MeasuredEnvironment, Taken
from benchmarks.cold_start.recordings import Recording, Recordings
from benchmarks.cold_start.tape import Endpoint
from benchmarks.polling.assumptions import FULL_PROCESSOR
from benchmarks.prices import LAMBDA_GB_SECOND, LAMBDA_REQUEST
from benchmarks.section import Table
from sandbox.functions.interpreter import Runtime

BATCHES = (1, 10, 50, 100)
"""Sizes of the batches of polls that are measured; the function gathers 100 at the most."""

MEMORY_SIZES = (128, 256, 512, 1024, 1769)
"""MB."""

_WAIT = 0.01
"""Seconds from a call to its answer, assumed: DynamoDB says single-digit milliseconds
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html), and EC2 and
SQS take longer."""

_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Cost:
    """What the function takes.

    Attributes:
        create: a Create in a new process, from the process's start; the first of each round.
        batches: a batch of polls in a process that has had others, by the batch's size; all rounds.
        per_batch: seconds of processor time of a batch, whatever its size.
        per_poll: seconds of processor time that each poll of a batch adds.
        create_calls: calls of AWS that the Create makes.
        calls: those that a batch makes, by its size.
    """

    create: Taken
    batches: Mapping[int, Sequence[Taken]]
    per_batch: float
    per_poll: float
    create_calls: int
    calls: Mapping[int, int]


def measure(
    recordings: Recordings, runtime: Runtime, endpoint: Endpoint, say: Callable[[str], None]
) -> Cost:
    """Have the function answer what was recorded.

    Args:
        recordings: with batches of the sizes of BATCHES.
        runtime: what runs functions.
        endpoint: where the functions call AWS.
        say: takes a line of progress.
    """
    say(f"{_ROUNDS} rounds of batches of {', '.join(map(str, BATCHES))} polls")
    environment = MeasuredEnvironment(recordings.deployment, runtime)
    try:
        create = play(environment, recordings.create, endpoint)
        rounds = [
            {size: play(environment, recordings.polls[size], endpoint) for size in BATCHES}
            for _ in range(_ROUNDS + 1)
        ]
    finally:
        environment.close()
    # The first round imports what polls need.
    batches = {size: [taken[size] for taken in rounds[1:]] for size in BATCHES}
    spent = [median(taken.processor for taken in batches[size]) for size in BATCHES]
    per_poll, per_batch = linear_regression(BATCHES, spent)
    return Cost(
        create=create,
        batches=batches,
        per_batch=per_batch,
        per_poll=per_poll,
        create_calls=recordings.create.tape.calls.total(),
        calls={size: recordings.polls[size].tape.calls.total() for size in BATCHES},
    )


def play(environment: MeasuredEnvironment, recording: Recording, endpoint: Endpoint) -> Taken:
    """Invoke a function, and answer its calls as was recorded.

    Raises:
        RuntimeError: it has called something else than when it was recorded.
    """
    recording.tape.rewind()
    endpoint.server = recording.tape.play
    taken = environment.measure(recording.event)
    if not recording.tape.is_played:
        raise RuntimeError(f"The function did not call {recording.tape.calls}")
    return taken


def tables(cost: Cost) -> tuple[Table, ...]:
    """What was measured, and what is to be expected of it on AWS."""
    return _measured(cost), _expected(cost)


def _measured(cost: Cost) -> Table:
    return Table(
        title="Processor time of a warm batch of polls",
        columns=("Polls in the batch", "ms", "lowest", "highest", "ms a poll"),
        rows=tuple(
            (
                f"{size}",
                _ms(median(spent)),
                _ms(min(spent)),
                _ms(max(spent)),
                _ms(median(spent) / size),
            )
            for size, taken in cost.batches.items()
            for spent in [[each.processor for each in taken]]
        ),
        notes=(
            f"The medians are {_ms(cost.per_batch)} ms a batch, {_ms(cost.per_poll)} ms a poll.",
            "Of bundles that still run: each poll writes the ledger twice.",
            "On this machine, over plain HTTP: on AWS, TLS comes to it.",
        ),
    )


def _expected(cost: Cost) -> Table:
    sizes = (1, 10, 100)
    return Table(
        title="What MemorySize makes of it, estimated",
        columns=(
            "MB",
            "cold Create, s",
            *(f"batch of {size}, s" for size in sizes),
            *(f"$ a million polls, {size} a batch" for size in sizes),
        ),
        rows=tuple(
            (
                f"{megabytes}",
                f"{_seconds(cost.create.processor, cost.create_calls, megabytes):.1f}",
                *(f"{_batch(cost, size, megabytes):.2f}" for size in sizes),
                *(f"{_price(cost, size, megabytes):.2f}" for size in sizes),
            )
            for megabytes in MEMORY_SIZES
        ),
        notes=(
            (
                f"Processor time over the share of a vCPU (MB / {FULL_PROCESSOR}), a vCPU taken "
                f"to be as fast as this machine's, and {_WAIT * 1000:.0f} ms of waiting for each "
                "call, which is assumed."
            ),
            f"At ${LAMBDA_GB_SECOND:.10f} a GB-second and $0.20 a million invocations.",
        ),
    )


def _seconds(processor: float, calls: int, megabytes: int) -> float:
    """How long it takes on Lambda."""
    return processor * FULL_PROCESSOR / min(megabytes, FULL_PROCESSOR) + calls * _WAIT


def _batch(cost: Cost, size: int, megabytes: int) -> float:
    """Seconds of a batch on Lambda."""
    processor = cost.per_batch + size * cost.per_poll
    return _seconds(processor, cost.calls[size], megabytes)


def _price(cost: Cost, size: int, megabytes: int) -> float:
    """Dollars of a million polls."""
    invocation = (
        _batch(cost, size, megabytes) * megabytes / 1024 * LAMBDA_GB_SECOND + LAMBDA_REQUEST
    )
    return 1e6 / size * invocation


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
