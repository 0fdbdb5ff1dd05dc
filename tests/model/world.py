"""The world of one schedule: a clock, processes, messages and stacks, and choices between them.

There is a choice before each step of the process that runs, and whenever no process runs. The first
option of a choice has no fault. A schedule is given by its deviations: the choices at which another
option is taken, and that option.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import InstanceBundleError
from instance_bundle.lifecycle import effects
from instance_bundle.methods import Methods
from instance_bundle.request import Request, RequestKey
from instance_bundle.state import Announcement, Answer, Done, Ledger, Poll, Record
from tests.model import cloud
from tests.model.cloud import Cloud
from tests.model.exchanges import Exchange, Signal
from tests.model.faults import FAULTS, PASSING, Calls
from tests.model.methods import BundleInstance, Cut, StoreImage
from tests.model.process import INVOCATION, Process
from tests.model.promises import Promises
from tests.model.stacks import Stack
from tests.model.steps import FREE, GO_ON, READ, REMOVE, START, Step, Steps
from tests.model.table import MemoryTable, in_memory

BEGIN = 1_800_000_000.0
TICK = 0.05
"""Seconds that a step takes."""
VISIBILITY_SECONDS = 180.0
RETRY_DELAYS = (60.0, 120.0)
"""Seconds until Lambda retries an event that failed."""
MOST_STEPS = 20_000
"""Steps of a schedule; one with more does not end."""
KILLS = 2
"""Kills in a schedule; after more, the failure handler would answer."""
LATEST = 60.0
"""Seconds by which something can be late while something else that is due later comes first."""

GO = "go"
"""The option without a fault."""


@dataclass(slots=True)
class Running:
    """A process that runs, or that waits while another one runs.

    Attributes:
        on_end: is called when it has ended, with whether it crashed.
        step: the next step; None before the first one.
    """

    process: Process
    steps: Steps
    on_end: Callable[[bool], None]
    step: Step | None = None


class Message:
    """A poll in the queue. due: epoch seconds."""

    __slots__ = ("due", "name", "poll")

    def __init__(self, poll: Poll, due: float) -> None:
        self.poll, self.due = poll, due
        self.name = f"poll {poll.key.request_id}"


class Event:
    """An event in Lambda's queue. due: epoch seconds. attempts: how many have failed."""

    __slots__ = ("attempts", "due", "exchange", "name")

    def __init__(self, exchange: Exchange, due: float, attempts: int = 0) -> None:
        self.exchange, self.due, self.attempts = exchange, due, attempts
        self.name = f"event {exchange.request_id}"


Waiting = tuple[str, float, Event | Message | Stack]
"""What is due at some time: its name, when it is due, in epoch seconds, and the thing itself."""


@dataclass
class Settings:
    """What is special in a scenario.

    Attributes:
        lease: its duration in seconds; 0: leases have ended, as after a process has stalled.
        twice: each event and each poll is delivered twice.
        hangs: work does not end.
        fails: work fails.
    """

    lease: float = INVOCATION + budget.LEASE_MARGIN
    twice: bool = False
    hangs: bool = False
    fails: bool = False


class Diverged(Exception):
    """A deviation does not match any option: it was recorded with another version."""


class World:
    """The world of one schedule.

    Attributes:
        now: epoch seconds.
        choice: the number of the last choice.
        choices: the options of the choices that are listed, by number.
        trace: what was done, a line for each step, if it is traced.
        announced: IDs of the bundles of which an event said that they were removed.
    """

    def __init__(
        self,
        settings: Settings,
        deviations: Mapping[int, str],
        *,
        lists: bool = True,
        traces: bool = False,
    ) -> None:
        """lists: whether to list the options of the choices after the last deviation."""
        self.now = BEGIN
        self.choice = -1
        self._lists_from = max(deviations, default=0) if lists else math.inf
        self.settings = settings
        self.lease = settings.lease
        self.choices: dict[int, tuple[str, ...]] = {}
        self.trace: list[str] = []
        self._traces = traces
        self._deviations = deviations
        self.cloud = Cloud(lambda: self.now)
        if settings.hangs or settings.fails:
            outcome = "hang" if settings.hangs else "failed"
            self.cloud.ec2.instances[cloud.WINDOWS].tags["sandbox:outcome"] = outcome
            self.cloud.ec2.instances[cloud.LINUX].tags["sandbox:image-outcome"] = outcome
        cut = Cut()
        self.methods = Methods(
            {
                "BundleInstance": BundleInstance(self.cloud, cut),
                "StoreImage": StoreImage(self.cloud, cut),
            }
        )
        self.calls = Calls(self, cut)
        self.promises = Promises(self)
        self.table = MemoryTable(self.promises.written)
        self.ledger = Ledger("ledger", "requests", lambda: self.now)
        in_memory(self.ledger, self.table)
        self.stacks: list[Stack] = []
        self.announced: set[str] = set()
        self._running: list[Running] = []
        self._messages: list[Message] = []
        self._events: list[Event] = []
        self._repeated: set[str] = set()
        self._processes = 0
        self._kills = 0

    @property
    def must_succeed(self) -> bool:
        """Whether no rollback and no Delete may fail: all faults pass, and no work fails."""
        deviations = list(self._deviations.values())
        return all(
            what in PASSING
            or what == "finish"
            or what.startswith(("run ", "again ", "resume ", "end ", "hint "))
            for what in deviations
        ) and (
            # A repeated refusal may be final.
            deviations.count("deny") <= 1 and not (self.settings.fails or self.settings.hangs)
        )

    def stack(self, name: str = "a") -> Stack:
        """A new stack."""
        stack = Stack(self, name)
        self.stacks.append(stack)
        return stack

    def run(self) -> None:
        """Run until nothing is due."""
        for _ in range(MOST_STEPS):
            if self._running:
                self._continue(self._running[-1])
            elif not self._start_next():
                break
        else:
            self.promises.broken("the schedule does not end")
        left = [number for number in self._deviations if number > self.choice]
        if left:
            raise Diverged(f"there is no choice {left[0]}")
        self.promises.at_the_end()

    def _choose(self, list_options: Callable[[], Sequence[str]]) -> str:
        self.choice = number = self.choice + 1
        chosen = self._deviations.get(number, GO)
        if number < self._lists_from and chosen == GO:
            return chosen
        options = list_options()
        self.choices[number] = tuple(options)
        if chosen not in options:
            raise Diverged(f"choice {number} has no option {chosen}: {options}")
        return chosen

    def _note(self, what: str, chosen: str = GO) -> None:
        if self._traces:
            number = self.choice
            deviation = "" if chosen == GO else f"  <- {chosen}"
            self.trace.append(f"{number:4} {self.now - BEGIN:8.2f} {what}{deviation}")

    # While a process runs

    def _continue(self, running: Running) -> None:
        process, step = running.process, running.step
        if step is None:
            self._advance(running, lambda: next(running.steps))
            return
        if self.now >= process.ends_at:
            self._note(f"{process.name}: times out")
            self._kill(running)
            return
        if step.kind == FREE:
            self._perform(running, step.do)
            return
        chosen = self._choose(lambda: self._options(running, step))
        if self._traces:
            self._note(f"{process.name}: {_shown(step)}", chosen)
        self.now += TICK
        if chosen == GO:
            self._perform(running, lambda: self.calls.perform(process, step))
            return
        name, _, rest = chosen.partition(" ")
        if name in ("run", "again", "resume", "end", "hint"):
            self._switch(name, rest)
        elif name in ("finish", "fail-work"):
            self.cloud.end_now(fails=name == "fail-work")
            self._perform(running, lambda: self.calls.perform(process, step))
        elif name == "kill":
            self._kills += 1
            if rest:
                self.calls.perform_without_answer(process, step)
            self._kill(running)
        else:
            self._perform(running, lambda: self.calls.perform_with(chosen, process, step))

    def _options(self, running: Running, step: Step) -> list[str]:
        options = [GO, *FAULTS[step.kind]]
        if self._kills >= KILLS:
            options = [each for each in options if not each.startswith("kill")]
        if step.kind in (READ, START, GO_ON, REMOVE) and self.cloud.running():
            options += ["finish", "fail-work"]
        others = [each for each in self._running if each is not running]
        options += [f"resume {each.process.name}" for each in others]
        return [*options, *self._startable(running.process.ends_at)]

    def _startable(self, until: float) -> list[str]:
        """What can come now, or by then if nothing else happens."""
        options = [f"run {name}" for name, due, _ in self._waiting() if due <= until]
        for stack in self.stacks:
            if stack.is_interruptible:
                options.append(f"end {stack.name}")
            for exchange in stack.exchanges[-2:]:
                if exchange.request_id not in self._repeated:
                    options.append(f"again {exchange.request_id}")
                if not exchange.answers:
                    options.append(f"hint {exchange.request_id}")
        return options

    def _perform(self, running: Running, do: Callable[[], Any]) -> None:
        """Perform a process's step, and give it the result."""
        try:
            result = do()
        except InstanceBundleError as error:
            problem = error
            self._advance(running, lambda: running.steps.throw(problem))
        else:
            self._advance(running, lambda: running.steps.send(result))

    def _advance(self, running: Running, to_next: Callable[[], Step]) -> None:
        """Run a process until its next step."""
        try:
            running.step = to_next()
        except StopIteration:
            self._running.remove(running)
            running.on_end(False)
        except InstanceBundleError as error:
            self._note(f"{running.process.name}: crashes: {error}")
            self._running.remove(running)
            running.on_end(True)
        except Exception as error:  # noqa: BLE001  a crash is a violation
            self.promises.broken(f"{type(error).__name__}: {error}")
            self._running.remove(running)
            running.on_end(True)

    def _kill(self, running: Running) -> None:
        self._running.remove(running)
        running.steps.close()
        running.on_end(True)

    # Between processes

    def _waiting(self) -> list[Waiting]:
        """The events, messages and stacks that are due now or later, in that order."""
        now = self.now
        found: dict[str, Waiting] = {}
        coming: list[Event | Message] = [*self._events, *self._messages]
        for each in coming:
            due = each.due if each.due > now else now
            if each.name not in found or due < found[each.name][1]:
                found[each.name] = each.name, due, each
        for stack in self.stacks:
            wakes_at = stack.wakes_at()
            if wakes_at is not None:
                found[stack.wake_name] = stack.wake_name, max(wakes_at, now), stack
        return sorted(found.values(), key=lambda each: each[1])

    def _start_next(self) -> bool:
        """Start what is due next; returns whether anything is."""
        waiting = self._waiting()
        if not waiting:
            return False
        chosen = self._choose(lambda: self._options_between(waiting))
        if chosen == GO:
            self._start(waiting[0])
        elif chosen in ("finish", "fail-work"):
            self._note("EC2", chosen)
            self.cloud.end_now(fails=chosen == "fail-work")
        else:
            name, _, rest = chosen.partition(" ")
            self._switch(name, rest)
        return True

    def _options_between(self, waiting: list[Waiting]) -> list[str]:
        first = waiting[0][1]
        others = [f"run {name}" for name, due, _ in waiting[1:] if due <= first + LATEST]
        works = ["finish", "fail-work"] if self.cloud.running() else []
        return [GO, *others, *self._startable(-math.inf), *works]

    def _switch(self, option: str, name: str) -> None:
        """Start or resume something else; an event that a stack then sends is handled at once."""
        before = len(self._events)
        if option == "run":
            self._start(next(each for each in self._waiting() if each[0] == name))
        elif option == "end":
            stack = next(each for each in self.stacks if each.name == name)
            self._note(f"stack {stack.name} stops waiting")
            stack.wake()
        elif option == "again":
            self._repeated.add(name)
            self._start_event(Event(self.exchange(name), self.now))
        elif option == "hint":
            self._start_hint(self.exchange(name).request)
        else:
            other = next(each for each in self._running if each.process.name == name)
            self._running.remove(other)
            self._running.append(other)
        if option in ("run", "end") and len(self._events) > before:
            event = self._events[-1]
            self._start((event.name, event.due, event))

    def _start(self, waiting: Waiting) -> None:
        name, due, what = waiting
        self.now = max(self.now, due)
        self.cloud.advance()
        self._note(name)
        if isinstance(what, Stack):
            what.wake()
        elif isinstance(what, Event):
            self._events.remove(what)
            self._start_event(what)
        else:
            self._messages.remove(what)
            self._start_poll(what)

    def _start_event(self, event: Event) -> None:
        request = event.exchange.request
        process = Process(self, self._numbered(event.name), request.request_id)

        def on_end(crashed: bool) -> None:
            if crashed:
                delay = RETRY_DELAYS[min(event.attempts, 1)]
                self._events.append(Event(event.exchange, self.now + delay, event.attempts + 1))

        self._running.append(Running(process, process.event(request), on_end))

    def _start_poll(self, message: Message) -> None:
        poll = message.poll
        process = Process(self, self._numbered(message.name), poll.key.request_id)
        received_at = self.now

        def on_end(crashed: bool) -> None:
            if crashed:
                self._add(poll, received_at + VISIBILITY_SECONDS - self.now)

        self._running.append(Running(process, process.poll(poll), on_end))

    def _start_hint(self, request: Request) -> None:
        """AWS sends an event about a request's AMI or bundle."""
        process = Process(self, self._numbered(f"hint {request.request_id}"), request.request_id)
        self._note(process.name)
        self._running.append(Running(process, process.hint(request), lambda _crashed: None))

    def _numbered(self, name: str) -> str:
        self._processes += 1
        return f"{name} #{self._processes}"

    # For processes and stacks

    def deliver(self, exchange: Exchange) -> None:
        """Invoke the function asynchronously."""
        self._events.append(Event(exchange, self.now + 0.2))
        if self.settings.twice:
            self._events.append(Event(exchange, self.now + 0.3))

    def send_poll(self, poll: Poll, delay: float) -> None:
        """Send a poll message."""
        self._add(poll, delay)
        if self.settings.twice:
            self._add(poll, delay)

    def _add(self, poll: Poll, delay: float) -> None:
        self._messages.append(Message(poll, self.now + delay))

    def ask(self, key: RequestKey, answered: Record | None, *, stale: bool = False) -> Any:
        """Read what CloudFormation says about a request; see `effects.Ask`."""
        reads = self._stack(key.stack_id).reads
        answers = reads.previous() if stale else reads.at(self.now)
        if answered is None or answered.answer is None:
            return answers
        received = reads.has_had(answered.answer.physical_id, answers)
        return replace(answers, received=received)

    def put_answer(self, request: Request, answer: Answer) -> None:
        """Send an answer to CloudFormation."""
        self.calls.allow()
        self.exchange(request.request_id).answer(answer, self.now)
        if self._traces:
            self._note(f"   {request.request_id} is answered {answer}")

    def put_signal(self, request: Request, answer: Answer) -> None:
        """Send a signal to the request's handle."""
        signals = self._stack(request.stack_id).signals
        signal = signals.setdefault(request.request_id, Signal(0))
        signal.statuses.append("SUCCESS" if isinstance(answer, Done) else "FAILURE")
        signal.arrived_at = signal.arrived_at or self.now

    def put_events(self, announcements: Sequence[Announcement]) -> None:
        """Publish the events of bundles that were removed."""
        self.announced |= {each.bundle.physical_id for each in announcements}

    def exchange(self, request_id: str) -> Exchange:
        """The exchange of a request."""
        found = (each for stack in self.stacks for each in stack.exchanges)
        return next(each for each in found if each.request_id == request_id)

    def _stack(self, stack_id: str) -> Stack:
        return next(each for each in self.stacks if each.stack_id == stack_id)


def _shown(step: Step) -> str:
    effect = step.effect
    match effect:
        case effects.Mark():
            return f"Mark {effect.record.key.request_id} {effect.mark}"
        case effects.Save():
            return f"Save {effect.after.work.name} {effect.after.confirmed}"
    return step.name
