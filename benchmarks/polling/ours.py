"""This application: one message a request in a delay queue, and one Describe call a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.polling import assumptions
from benchmarks.polling.bundles import Bundle, epoch
from benchmarks.polling.outcome import Outcome
from benchmarks.polling.queue import Gathering, Mapping, Queue
from instance_bundle.aws import FILTER_VALUES
from instance_bundle.methods.method import Task

Interval = Callable[[Task, float], int]


@dataclass(frozen=True, slots=True)
class Function:
    """What the function needs.

    Attributes:
        memory: MB, as template.yaml has it; a test compares the two.
        batch_processor: seconds of a processor for an invocation: more than was measured on the
            slower of two machines (cold_start/).
        poll_processor: seconds of a processor for a poll, the same.
        poll_calls: calls that each poll makes by itself: it takes the lease, and gives it back.
        writes: write units of a poll: two writes of an item of up to 2 KB, as measured
            (ceilings/).
    """

    memory: int = 1024
    batch_processor: float = 0.006
    poll_processor: float = 0.0047
    poll_calls: int = 2
    writes: int = 4

    @property
    def batch(self) -> float:
        """Seconds of an invocation without its polls: start, Describe call, and sends."""
        return assumptions.INVOCATION + 2 * assumptions.CALL + self._real(self.batch_processor)

    @property
    def poll(self) -> float:
        """Seconds of each poll."""
        return self.poll_calls * assumptions.CALL + self._real(self.poll_processor)

    def _real(self, processor: float) -> float:
        return processor * max(1, assumptions.FULL_PROCESSOR / self.memory)


FUNCTION = Function()


def simulate(
    bundles: Sequence[Bundle],
    look_ahead: Interval,
    mapping: Mapping,
    gathering: Gathering,
    function: Function = FUNCTION,
) -> Outcome:
    """Watch bundles until each is answered."""
    outcome = Outcome()
    usage = outcome.usage

    def work(now: float, batch: Sequence[int]) -> float:
        called = now + function.batch + function.poll / 2 * len(batch)
        outcome.calls += [called] * math.ceil(len(batch) / FILTER_VALUES)
        moment = called + assumptions.CALL
        going_on = []
        for number in batch:
            bundle = bundles[number]
            task = bundle.seen(called)
            moment += function.poll / 2
            usage.write_units += function.writes
            if task.phase == "complete":
                outcome.answers.append(moment - bundle.end)
            else:
                going_on.append((number, task))
        for number, task in going_on:
            queue.send(number, moment + look_ahead(task, epoch(moment)))
        usage.sqs_requests += math.ceil(len(going_on) / 10)
        usage.sqs_requests += math.ceil(len(batch) / 10)
        return moment

    queue = Queue(mapping, gathering, work, seed=len(bundles))
    for number, bundle in enumerate(bundles):
        queue.send(number, bundle.start + 5)
    queue.run()
    usage.invocations = queue.invocations
    usage.sqs_requests += queue.receives
    usage.gb_seconds = queue.busy_seconds * function.memory / 1024
    outcome.unanswered = len(bundles) - len(outcome.answers)
    return outcome
