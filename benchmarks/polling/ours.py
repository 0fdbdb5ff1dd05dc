"""This application: one message a request in a delay queue, and one Describe call a batch; an event
of AWS's makes a request's next poll come at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.polling import assumptions
from benchmarks.polling.aws_events import Source
from benchmarks.polling.bundles import Bundle, epoch
from benchmarks.polling.outcome import Outcome
from benchmarks.polling.queue import NO_GATHERING, Gathering, Mapping, Queue
from benchmarks.polling.simulation import Simulation
from instance_bundle import budget
from instance_bundle.aws import FILTER_VALUES
from instance_bundle.methods.method import Task

Interval = Callable[[Task, float, float], int]
"""Takes a task, epoch seconds, and seconds since the last event; returns the seconds to wait."""

_SEND = 10
"""Messages that one SendMessageBatch or DeleteMessageBatch takes (Amazon SQS API Reference)."""

_APART = 1
"""Seconds between two events about a request that count."""
_SMALL = 1
"""Write units of an item of up to 1 KB: an AMI's, or that of a bucket that has sent an event."""


@dataclass(frozen=True, slots=True)
class Function:
    """What the function needs.

    Attributes:
        memory: MB, as template.yaml has it; a test compares the two.
        batch_processor: seconds of a processor for an invocation: more than was measured on the
            slower of two machines (cold_start/).
        poll_processor: seconds of a processor for a poll, the same; also for an event.
        poll_calls: calls that each poll makes by itself: it reads what was asked, takes the lease,
            and gives it back.
        event_calls: calls that each event makes: it finds its request, is stored with it, and makes
            its poll due.
        writes: write units of a poll: two writes of an item of up to 2 KB, as measured
            (ceilings/).
    """

    memory: int = 1024
    batch_processor: float = 0.006
    poll_processor: float = 0.0047
    poll_calls: int = 3
    event_calls: int = 3
    writes: int = 4

    @property
    def batch(self) -> float:
        """Seconds of an invocation without its polls: start, Describe call, and sends."""
        return assumptions.INVOCATION + 2 * assumptions.CALL + self._real(self.batch_processor)

    @property
    def poll(self) -> float:
        """Seconds of each poll."""
        return self.poll_calls * assumptions.CALL + self._real(self.poll_processor)

    @property
    def event(self) -> float:
        """Seconds of each event."""
        return self.event_calls * assumptions.CALL + self._real(self.poll_processor)

    @property
    def write(self) -> int:
        """Write units of one write; one that is refused costs as much
        (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html)."""
        return self.writes // 2

    def _real(self, processor: float) -> float:
        return processor * max(1, assumptions.FULL_PROCESSOR / self.memory)


FUNCTION = Function()


@dataclass(frozen=True, slots=True)
class Events:
    """What AWS sends about the bundles.

    Attributes:
        arrivals: of each bundle, when its events are in the event queue, in seconds of the
            simulation.
        source: who sends them.
        mapping: of the event queue.
    """

    arrivals: Sequence[Sequence[float]]
    source: Source
    mapping: Mapping


class _Poll(NamedTuple):
    """A message of the poll queue."""

    number: int
    generation: int


@dataclass(slots=True)
class _Request:
    """What the ledger has of a request, and when its current poll ends."""

    generation: int = 0
    due: float = 0
    hinted_at: float = -math.inf
    is_answered: bool = False
    polled_until: float = 0


class _Application:
    """Both queues, and the function's work on their messages."""

    def __init__(
        self,
        bundles: Sequence[Bundle],
        look_ahead: Interval,
        mapping: Mapping,
        gathering: Gathering,
        function: Function,
    ) -> None:
        self.outcome = Outcome()
        self._usage = self.outcome.usage
        self._bundles = bundles
        self._look_ahead = look_ahead
        self._function = function
        self._source = Source.EC2
        self._requests = [_Request() for _ in bundles]
        self._simulation = Simulation()
        self._queues: list[Queue[_Poll] | Queue[int]] = []
        self._polls = Queue(self._simulation, mapping, gathering, self._on_polls, seed=len(bundles))
        self._queues.append(self._polls)

    def expect(self, events: Events) -> None:
        """Have the events come. At its start, a request is written with whether its bucket has sent
        an event lately; an AMI gets an item of its own, so that its events find their request."""
        self._source = events.source
        queue = Queue(
            self._simulation, events.mapping, NO_GATHERING, self._on_events, len(self._bundles)
        )
        self._queues.append(queue)
        self._usage.read_units += len(self._bundles)
        self._usage.write_units += len(self._bundles) * (
            _SMALL if events.source is Source.EC2 else self._function.write
        )
        for number, arrivals in enumerate(events.arrivals):
            for moment in arrivals:
                queue.send(number, moment)
                self._usage.sqs_requests += 1

    def run(self) -> Outcome:
        """Watch the bundles until each is answered."""
        for number, bundle in enumerate(self._bundles):
            self._polls.send(_Poll(number, 0), bundle.start + budget.NEXT_POLL)
        self._simulation.run()
        for queue in self._queues:
            self._usage.invocations += queue.invocations
            self._usage.sqs_requests += queue.receives
            self._usage.gb_seconds += queue.busy_seconds * self._function.memory / 1024
        self.outcome.unanswered = len(self._bundles) - len(self.outcome.answers)
        return self.outcome

    def _on_polls(self, now: float, batch: Sequence[_Poll]) -> float:
        called = now + self._function.batch + self._function.poll / 2 * len(batch)
        taken = [poll.number for poll in batch if self._take(poll)]
        self.outcome.calls += [called] * math.ceil(len(taken) / FILTER_VALUES)
        moment = called + assumptions.CALL
        going_on = []
        for number in taken:
            bundle, request = self._bundles[number], self._requests[number]
            task = bundle.seen(called)
            moment += self._function.poll / 2
            self._usage.write_units += self._function.write
            if task.phase == "complete":
                request.is_answered = True
                self.outcome.answers.append(moment - bundle.end)
            else:
                going_on.append((request, number, task))
        for request, number, task in going_on:
            wait = self._look_ahead(task, epoch(moment), moment - request.hinted_at)
            request.due, request.polled_until = moment + wait, moment
            self._polls.send(_Poll(number, request.generation), request.due)
        self._usage.sqs_requests += math.ceil(len(going_on) / _SEND)
        self._usage.sqs_requests += math.ceil(len(batch) / _SEND)
        return moment

    def _take(self, poll: _Poll) -> bool:
        """Whether a message is the request's current one. The first of two is."""
        request = self._requests[poll.number]
        self._usage.read_units += 1
        self._usage.write_units += self._function.write
        if request.is_answered or request.generation != poll.generation:
            return False
        request.generation += 1
        return True

    def _on_events(self, now: float, batch: Sequence[int]) -> float:
        moment = now + self._function.batch
        sent = []
        for number in batch:
            request = self._requests[number]
            moment += self._function.event
            self._usage.read_units += 1
            self._usage.write_units += self._function.write
            if request.is_answered or moment < request.hinted_at + _APART:
                continue
            request.hinted_at = moment
            # While the request is polled, the event is kept, and the next poll follows.
            request.due = max(moment, request.polled_until)
            self._usage.write_units += self._function.write
            self._usage.write_units += _SMALL if self._source is Source.S3 else 0
            sent.append(number)
        for number in sent:
            request = self._requests[number]
            self._polls.send(_Poll(number, request.generation), max(moment, request.due))
        self._usage.sqs_requests += math.ceil(len(sent) / _SEND)
        self._usage.sqs_requests += math.ceil(len(batch) / _SEND)
        return moment


def simulate(
    bundles: Sequence[Bundle],
    look_ahead: Interval,
    mapping: Mapping,
    gathering: Gathering,
    function: Function = FUNCTION,
    events: Events | None = None,
) -> Outcome:
    """Watch bundles until each is answered."""
    application = _Application(bundles, look_ahead, mapping, gathering, function)
    if events is not None:
        application.expect(events)
    return application.run()
