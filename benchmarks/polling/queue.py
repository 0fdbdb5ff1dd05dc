"""An SQS queue as the event source of a function: its pollers, windows and batches.

As Lambda documents it: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and the pages
below it. What is not modelled: messages delivered twice, and environments that Lambda ends.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.polling import assumptions
from benchmarks.polling.simulation import Simulation

Message = TypeVar("Message")

RECEIVED_AT_ONCE = 10
"""Messages that one ReceiveMessage returns (Amazon SQS API Reference)."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """An event source mapping.

    Attributes:
        batch_size: messages of one invocation at most.
        window: seconds that a batch is filled for. Above 0, it may last as long as a long poll.
        concurrency: invocations at once at most.
    """

    batch_size: int = 10
    window: float = 0
    concurrency: int = assumptions.MOST_POLLERS


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a function does about a batch that it is given, to make it larger.

    Attributes:
        least: messages that the batch has, for the function to wait for more.
        most: that it then takes in all.
        seconds: in which it takes more, and for which it waits for each.
    """

    least: int
    most: int
    seconds: float


NO_GATHERING = Gathering(least=1_000_000, most=0, seconds=0)


@dataclass(slots=True)
class _Poller(Generic[Message]):
    """One that receives, fills a batch, or has a function at work on one."""

    batch: list[Message] = field(default_factory=list)
    opened: float = 0
    gathers: bool = False
    closes: float = 0
    turn: int = 0


Work = Callable[[float, Sequence[Message]], float]
"""Takes the time when an invocation has its messages, and the messages; returns when it ends."""


class Queue(Generic[Message]):
    """The queue, its pollers, and the function that they invoke."""

    def __init__(
        self,
        simulation: Simulation,
        mapping: Mapping,
        gathering: Gathering,
        work: Work[Message],
        seed: int,
    ) -> None:
        self._simulation = simulation
        self._at = simulation.at
        self._mapping = mapping
        self._gathering = gathering
        self._work = work
        self._chance = random.Random(seed)  # noqa: S311  a simulation's
        self._visible: deque[Message] = deque()
        self._waiting: list[_Poller[Message]] = []
        self._pollers = 0
        self._scales = False
        self.invocations = 0
        self.receives = 0
        self.busy_seconds = 0.0
        for _ in range(min(assumptions.FIRST_POLLERS, mapping.concurrency)):
            self._add_poller(0)

    def send(self, message: Message, visible: float) -> None:
        """Have a message be there from a moment on."""
        self._at(visible, lambda now: self._arrives(message, now))

    def _arrives(self, message: Message, now: float) -> None:
        self._visible.append(message)
        if self._waiting:
            poller = self._waiting.pop(self._chance.randrange(len(self._waiting)))
            self._at(now + assumptions.RECEIVE, lambda now: self._receives(poller, now))
        elif not self._scales:
            self._scales = True
            self._at(now + 1, self._scale)

    def _scale(self, now: float) -> None:
        """Lambda adds pollers while messages are left."""
        if not self._visible:
            self._scales = False
            return
        for _ in range(assumptions.MORE_POLLERS):
            if self._pollers < self._mapping.concurrency:
                self._add_poller(now)
        self._at(now + 1, self._scale)

    def _add_poller(self, now: float) -> None:
        self._pollers += 1
        self._wait(_Poller(), now)

    def _wait(self, poller: _Poller[Message], now: float) -> None:
        """Receive at once what is there; else wait for what comes."""
        if self._visible:
            self._at(now + assumptions.RECEIVE, lambda now: self._receives(poller, now))
            return
        poller.turn += 1
        self._waiting.append(poller)
        if poller.batch:
            turn = poller.turn
            until = now + (self._gathering.seconds if poller.gathers else assumptions.LONG_POLL)
            self._at(until, lambda now: self._nothing_came(poller, turn, now))

    def _nothing_came(self, poller: _Poller[Message], turn: int, now: float) -> None:
        if poller in self._waiting and poller.turn == turn:
            self._waiting.remove(poller)
            if poller.gathers:
                self._work_on(poller, now)
            else:
                self._go_on(poller, now)

    def _receives(self, poller: _Poller[Message], now: float) -> None:
        size = self._size(poller)
        self.receives += 1
        if not poller.batch:
            poller.opened = now
        for _ in range(min(RECEIVED_AT_ONCE, size - len(poller.batch), len(self._visible))):
            poller.batch.append(self._visible.popleft())
        self._go_on(poller, now)

    def _size(self, poller: _Poller[Message]) -> int:
        return self._gathering.most if poller.gathers else self._mapping.batch_size

    def _go_on(self, poller: _Poller[Message], now: float) -> None:
        if not poller.batch:
            self._wait(poller, now)
        elif poller.gathers:
            if now < poller.closes and len(poller.batch) < self._size(poller):
                self._wait(poller, now)
            else:
                self._work_on(poller, now)
        elif now < poller.opened + self._mapping.window and len(poller.batch) < self._size(poller):
            self._wait(poller, now)
        else:
            self._invoke(poller, now)

    def _invoke(self, poller: _Poller[Message], now: float) -> None:
        self.invocations += 1
        now = self._simulation.enter(now)
        poller.opened = now
        if len(poller.batch) >= self._gathering.least:
            poller.gathers = True
            poller.closes = now + self._gathering.seconds
            self._at(now, lambda now: self._wait(poller, now))
        else:
            self._at(now, lambda now: self._work_on(poller, now))

    def _work_on(self, poller: _Poller[Message], now: float) -> None:
        ends = self._work(now, poller.batch)
        self.busy_seconds += ends - poller.opened
        self._at(ends, lambda now: self._is_done(poller, now))

    def _is_done(self, poller: _Poller[Message], now: float) -> None:
        self._simulation.leave()
        poller.batch, poller.gathers = [], False
        self._wait(poller, now)
