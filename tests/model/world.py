"""The world of one schedule: a clock, processes, messages and stacks, and choices between them.

Before each step of the process that runs, and whenever none runs, there is a choice. Its first
option is what comes without any trouble. A schedule is given by its deviations: which other option
is taken, at which choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from instance_bundle import budget
from instance_bundle.errors import (
    Denied,
    Doubtful,
    InstanceBundleError,
    NothingDone,
    NotRegistered,
    PassingFault,
    Refused,
    Throttled,
)
from instance_bundle.lifecycle import effects
from instance_bundle.methods import Methods
from instance_bundle.request import Request, RequestKey
from instance_bundle.state import Answer, Done, Ledger, Poll, Record
from tests.model import cloud
from tests.model.cloud import Cloud
from tests.model.methods import BundleInstance, Cut, StoreImage
from tests.model.process import (
    ASK,
    FREE,
    GO_ON,
    INVOCATION,
    LOAD,
    READ,
    REMOVE,
    REPAIR,
    SAVE,
    START,
    TELL,
    Process,
    Step,
    Steps,
)
from tests.model.promises import Promises
from tests.model.stacks import Exchange, Signal, Stack
from tests.model.table import MemoryTable

BEGIN = 1_800_000_000.0
TICK = 0.05
"""Seconds that a step takes."""
VISIBILITY = 180.0
"""Seconds after which a message that was not deleted comes again."""
EVENT_AGAIN = (60.0, 120.0)
"""Seconds after which Lambda repeats an event that failed."""
AT_MOST = 20_000
"""Steps of a schedule; one with more does not come to rest."""
KILLS = 2
"""Kills in a schedule: after more, the failure handler takes over."""
NEAR = 60.0
"""Seconds by which something can come late, while something else comes first."""

GO = "go"
"""The option without any trouble."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    SAVE: ("lost", "twice", "throttle", "deny", "kill", "kill after"),
    LOAD: ("fail", "throttle", "deny", "kill"),
    READ: ("fail", "throttle", "deny", "deny for good", "late", "kill"),
    ASK: ("stale", "fail", "throttle", "deny", "deny for good", "kill"),
    START: ("lost", "fail", "throttle", "refuse", "later", "kill", "kill after"),
    GO_ON: ("lost", "fail", "throttle", "deny", "later", "kill", "kill after"),
    REMOVE: ("lost", "half", "throttle", "refuse", "later", "late", "kill", "kill after"),
    REPAIR: ("lost", "throttle", "deny", "kill"),
    TELL: ("lost", "fail", "kill", "kill after"),
}
"""How a step can go, by what it is for.

lost: it is carried out, and there is no answer; fail: neither. twice: the SDK repeats it, since
the first answer is lost. refuse: for good; deny: where the table of refusals waits for it to pass,
or to be repeated; deny for good: and from then on, until a request is answered. later: with a code
that says to wait. late: what was written just now is not shown. half: cut off in the middle.
stale: what was before.
"""

_DENIED_FOR = 1000.0
"""Seconds after which what was denied for good is allowed, if no request was answered meanwhile."""

_PASSING = {
    *("lost", "fail", "twice", "throttle", "late", "half", "stale", "later", "kill", "kill after"),
    *("finish", "deny"),
}
"""What passes: a rollback and a Delete still succeed."""


@dataclass(slots=True)
class Running:
    """A process that runs, or waits for its turn.

    Attributes:
        ended: is called once it has ended; told whether it has crashed.
        step: the next one.
    """

    process: Process
    steps: Steps
    ended: Callable[[bool], None]
    step: Step | None = None


class Message:
    """A poll on its way. due: epoch seconds."""

    __slots__ = ("due", "name", "poll")

    def __init__(self, poll: Poll, due: float) -> None:
        self.poll, self.due = poll, due
        self.name = f"poll {poll.key.request_id}"


class Event:
    """An event on its way. due: epoch seconds. attempts: that failed."""

    __slots__ = ("attempts", "due", "exchange", "name")

    def __init__(self, exchange: Exchange, due: float, attempts: int = 0) -> None:
        self.exchange, self.due, self.attempts = exchange, due, attempts
        self.name = f"event {exchange.request.request_id}"


@dataclass
class Settings:
    """What a scenario has otherwise than usual.

    Attributes:
        lease: seconds; 0 where a process has stalled, and its lease has run out.
        twice: each event and each poll comes twice.
        hangs: work does not end.
        fails: work fails.
    """

    lease: float = INVOCATION + budget.LEASE_MARGIN
    twice: bool = False
    hangs: bool = False
    fails: bool = False


class Diverged(Exception):
    """A deviation names an option that there is not: it is one of another version."""


class World:
    """The world, for one schedule.

    Attributes:
        now: epoch seconds.
        choice: the number of the last one.
        choices: the options at each choice, by its number, where they are wanted.
        taken: what was done, a line for each step.
        asked: requests for which CloudFormation has answered what it is doing.
        unseen: tasks whose entity tag could not be read: no `OnDelete` can remove them.
    """

    def __init__(
        self, settings: Settings, deviations: Mapping[int, str], *, lists: bool = True
    ) -> None:
        """lists: whether the options are wanted that come after the last deviation."""
        self.now = BEGIN
        self.choice = -1
        self._lists_from = max(deviations, default=0) if lists else math.inf
        self.settings = settings
        self.lease = settings.lease
        self.choices: dict[int, tuple[str, ...]] = {}
        self.taken: list[str] = []
        self.traces = False
        self._deviations = deviations
        self.cloud = Cloud(lambda: self.now)
        if settings.hangs or settings.fails:
            outcome = "hang" if settings.hangs else "failed"
            self.cloud.ec2.instances[cloud.WINDOWS].tags["sandbox:outcome"] = outcome
            self.cloud.ec2.instances[cloud.LINUX].tags["sandbox:image-outcome"] = outcome
        self.cut = Cut()
        self.methods = Methods(
            {
                "BundleInstance": BundleInstance(self.cloud, self.cut),
                "StoreImage": StoreImage(self.cloud, self.cut),
            }
        )
        self.promises = Promises(self)
        self.table = MemoryTable(self.promises.written)
        self.ledger = Ledger("ledger", lambda: self.now)
        self.ledger._table = self.table  # type: ignore[assignment]
        self.ledger.locations._table = self.table  # type: ignore[assignment]
        self.stacks: list[Stack] = []
        self._running: list[Running] = []
        self._messages: list[Message] = []
        self._events: list[Event] = []
        self._repeated: set[str] = set()
        self._denied: dict[str, float] = {}
        self._count = 0
        self._kills = 0
        self.steps = 0
        self.unseen: set[str] = set()
        self.asked: set[str] = set()

    # What is done

    @property
    def passes(self) -> bool:
        """Whether nothing was refused for good, and no work failed."""
        deviations = list(self._deviations.values())
        return all(
            what in _PASSING or what.startswith(("run ", "again ", "resume ", "end "))
            for what in deviations
        ) and (
            # What is refused again may be believed.
            deviations.count("deny") <= 1 and not (self.settings.fails or self.settings.hangs)
        )

    def stack(self, name: str = "a") -> Stack:
        """A new stack."""
        stack = Stack(self, name)
        self.stacks.append(stack)
        return stack

    def run(self) -> None:
        """Do everything that there is to do."""
        while self.steps < AT_MOST:
            self.steps += 1
            if self._running:
                self._go_on(self._running[-1])
            elif not self._idle():
                break
        else:
            self.promises.broken("the schedule does not come to rest")
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

    def _trace(self, what: str, chosen: str = GO) -> None:
        if self.traces:
            number = self.choice
            said = "" if chosen == GO else f"  <- {chosen}"
            self.taken.append(f"{number:4} {self.now - BEGIN:8.2f} {what}{said}")

    # While a process runs

    def _go_on(self, running: Running) -> None:
        step = running.step
        if step is None:
            self._advance(running, lambda: next(running.steps))
            return
        if self.now >= running.process.ends:
            self._trace(f"{running.process.name}: its time is up")
            self._kill(running)
            return
        if step.kind == FREE:
            self._carry_out(running, step.do)
            return
        chosen = self._choose(lambda: self._options(running, step))
        if self.traces:
            self._trace(f"{running.process.name}: {_shown(step)}", chosen)
        self.now += TICK
        if chosen == GO:
            self._carry_out(running, lambda: self._do(running, step))
            return
        name, _, rest = chosen.partition(" ")
        if name in ("run", "again", "resume", "end"):
            self._turn(name, rest, running)
        elif name in ("finish", "fail-work"):
            self.cloud.end_now(fails=name == "fail-work")
            self._carry_out(running, lambda: self._do(running, step))
        elif name == "kill":
            self._kills += 1
            if rest:
                _try(lambda: self._do(running, step))
            self._kill(running)
        else:
            self._carry_out(running, lambda: self._fail(running, step, chosen))

    def _options(self, running: Running, step: Step) -> list[str]:
        options = [GO, *OPTIONS[step.kind]]
        if self._kills >= KILLS:
            options = [each for each in options if not each.startswith("kill")]
        if step.kind in (READ, START, GO_ON, REMOVE) and self.cloud.running():
            options += ["finish", "fail-work"]
        others = [each for each in self._running if each is not running]
        options += [f"resume {each.process.name}" for each in others]
        return [*options, *self._startable(running.process.ends)]

    def _startable(self, until: float) -> list[str]:
        """What can come now, or by then if nothing else happens."""
        options = [f"run {name}" for name, due, _ in self._waiting() if due <= until]
        for stack in self.stacks:
            if stack.may_end:
                options.append(f"end {stack.name}")
            options += [
                f"again {exchange.request_id}"
                for exchange in stack.exchanges[-2:]
                if exchange.request_id not in self._repeated
            ]
        return options

    def _do(self, running: Running, step: Step) -> Any:
        self._require_time(running, step)
        if self._denied.get(step.name, 0) > self.now:
            self._was_denied(step)
            raise _refused(step)
        self.promises.about_to(step, running.process)
        result = step.do()
        if step.kind == ASK:
            self.asked.add(running.process.request_id)
        return result

    def _fail(self, running: Running, step: Step, how: str) -> Any:
        if how in _ERRORS:
            raise _ERRORS[how](f"{step.name}: {how}")
        if how in ("deny", "refuse", "deny for good"):
            if how == "deny for good":
                self._denied[step.name] = self.now + _DENIED_FOR
            self._was_denied(step)
            raise _refused(step)
        match how:
            case "lost":
                self._do(running, step)
                raise PassingFault(f"{step.name}: no answer")
            case "half":
                with self.cut.armed():
                    self._do(running, step)
                raise PassingFault(f"{step.name}: no answer")
            case "twice":
                _try(lambda: self._do(running, step))
                return self._do(running, step)
            case "later":
                raise Refused(_denied(step))
            case "late":
                with self.cloud.late():
                    return self._do(running, step)
            case "stale":
                self.asked.add(running.process.request_id)
                return self.ask(step.effect.record.key, step.effect.answered, stale=True)
        raise Diverged(how)

    def _was_denied(self, step: Step) -> None:
        if isinstance(step.effect, effects.Etag):
            self.unseen.add(step.effect.task.id)

    def _require_time(self, running: Running, step: Step) -> None:
        needed = budget.SAVE if step.kind in (SAVE, LOAD, TELL) else budget.WORK
        if running.process.ends - self.now < needed:
            raise NothingDone(f"{step.name}: too little time is left in this invocation")

    def _carry_out(self, running: Running, do: Callable[[], Any]) -> None:
        try:
            result = do()
        except InstanceBundleError as error:
            problem = error
            self._advance(running, lambda: running.steps.throw(problem))
        else:
            self._advance(running, lambda: running.steps.send(result))

    def _advance(self, running: Running, go_on: Callable[[], Step]) -> None:
        try:
            running.step = go_on()
        except StopIteration:
            self._running.remove(running)
            running.ended(False)
        except InstanceBundleError as error:
            self._trace(f"{running.process.name}: crashes: {error}")
            self._running.remove(running)
            running.ended(True)
        except Exception as error:  # noqa: BLE001  a crash is a violation
            self.promises.broken(f"{type(error).__name__}: {error}")
            self._running.remove(running)
            running.ended(True)

    def _kill(self, running: Running) -> None:
        self._running.remove(running)
        running.steps.close()
        running.ended(True)

    # Between processes

    def _waiting(self) -> list[tuple[str, float, Any]]:
        """What is on its way: its name, when it is due, and it."""
        now = self.now
        found: dict[str, tuple[str, float, Any]] = {}
        coming: list[Event | Message] = [*self._events, *self._messages]
        for each in coming:
            due = each.due if each.due > now else now
            if each.name not in found or due < found[each.name][1]:
                found[each.name] = each.name, due, each
        for stack in self.stacks:
            wakes = stack.wakes()
            if wakes is not None:
                found[stack.wake_name] = stack.wake_name, max(wakes, now), stack
        return sorted(found.values(), key=lambda each: each[1])

    def _idle(self) -> bool:
        """Nothing runs: begin what is due next."""
        waiting = self._waiting()
        if not waiting:
            return False
        chosen = self._choose(lambda: self._options_between(waiting))
        if chosen == GO:
            self._begin(waiting[0])
        elif chosen in ("finish", "fail-work"):
            self._trace("EC2", chosen)
            self.cloud.end_now(fails=chosen == "fail-work")
        else:
            name, _, rest = chosen.partition(" ")
            self._turn(name, rest, None)
        return True

    def _options_between(self, waiting: list[tuple[str, float, Any]]) -> list[str]:
        first = waiting[0][1]
        others = [f"run {name}" for name, due, _ in waiting[1:] if due <= first + NEAR]
        works = ["finish", "fail-work"] if self.cloud.running() else []
        return [GO, *others, *self._startable(-math.inf), *works]

    def _turn(self, name: str, rest: str, running: Running | None) -> None:
        """Let something else go on; what a stack sends then is begun at once."""
        before = len(self._events)
        if name == "run":
            self._begin(next(each for each in self._waiting() if each[0] == rest))
        elif name == "end":
            stack = next(each for each in self.stacks if each.name == rest)
            self._trace(f"stack {stack.name} gives its request up")
            stack.wake()
        elif name == "again":
            self._repeated.add(rest)
            found = (each for stack in self.stacks for each in stack.exchanges)
            exchange = next(each for each in found if each.request.request_id == rest)
            self._start_event(Event(exchange, self.now))
        else:
            other = next(each for each in self._running if each.process.name == rest)
            self._running.remove(other)
            self._running.append(other)
        if name in ("run", "end") and len(self._events) > before:
            event = self._events[-1]
            self._begin((event.name, event.due, event))

    def _begin(self, waiting: tuple[str, float, Any]) -> None:
        name, due, what = waiting
        self.now = max(self.now, due)
        self.cloud.advance()
        self._trace(name)
        if isinstance(what, Stack):
            what.wake()
        elif isinstance(what, Event):
            self._events.remove(what)
            self._start_event(what)
        else:
            self._start_poll(what)

    def _start_event(self, event: Event) -> None:
        request = event.exchange.request
        process = Process(self, self._name(event.name), request.request_id)

        def ended(crashed: bool) -> None:
            if crashed:
                delay = EVENT_AGAIN[min(event.attempts, 1)]
                self._events.append(Event(event.exchange, self.now + delay, event.attempts + 1))

        self._running.append(Running(process, process.event(request), ended))

    def _start_poll(self, message: Message) -> None:
        self._messages.remove(message)
        process = Process(self, self._name(message.name), message.poll.key.request_id)
        began = self.now

        def ended(crashed: bool) -> None:
            if crashed:
                self._add(message.poll, began + VISIBILITY - self.now)

        self._running.append(Running(process, process.poll(message.poll), ended))

    def _name(self, name: str) -> str:
        self._count += 1
        return f"{name} #{self._count}"

    # For processes and stacks

    def deliver(self, exchange: Exchange) -> None:
        """Have the function be invoked."""
        self._events.append(Event(exchange, self.now + 0.2))
        if self.settings.twice:
            self._events.append(Event(exchange, self.now + 0.3))

    def send_poll(self, poll: Poll, delay: float) -> None:
        """Have a poll come."""
        self._add(poll, delay)
        if self.settings.twice:
            self._add(poll, delay)

    def _add(self, poll: Poll, delay: float) -> None:
        self._messages.append(Message(poll, self.now + delay))

    def ask(self, key: RequestKey, answered: Record | None, *, stale: bool = False) -> Any:
        """What CloudFormation says of a request's stack."""
        stack = next(each for each in self.stacks if each.stack_id == key.stack_id)
        said = stack.said_before() if stale else stack.said(self.now)
        if answered is None or answered.answer is None:
            return said
        return replace(said, received=stack.has_had(answered.answer.physical_id, said))

    def put_answer(self, request: Request, answer: Answer) -> None:
        """Have CloudFormation hear an answer."""
        self._denied.clear()
        exchange = self.exchange(request.request_id)
        exchange.answer(answer, self.now)
        if self.traces:
            self._trace(f"   {request.request_id} is answered {answer}")

    def put_signal(self, request: Request, answer: Answer) -> None:
        """Have a handle hear of the end."""
        stack = next(each for each in self.stacks if each.stack_id == request.stack_id)
        signal = stack.signals.setdefault(request.request_id, Signal(0))
        signal.heard.append("SUCCESS" if isinstance(answer, Done) else "FAILURE")
        signal.came = signal.came or self.now

    def exchange(self, request_id: str) -> Exchange:
        """The exchange of a request."""
        found = (each for stack in self.stacks for each in stack.exchanges)
        return next(each for each in found if each.request.request_id == request_id)


_ERRORS = {"fail": PassingFault, "throttle": Throttled}


def _try(do: Callable[[], Any]) -> None:
    try:
        do()
    except InstanceBundleError:
        return


def _denied(step: Step) -> Denied:
    return Denied(step.name, "UnauthorizedOperation", "You are not authorized")


def _refused(step: Step) -> InstanceBundleError:
    """What it means that a step is refused for want of a permission: `aws.refusals.TABLE`."""
    denied = _denied(step)
    match step.kind:
        case "start" | "remove":
            return denied
        case "go on":
            return Refused(NotRegistered("the work", "s3://images", str(denied)))
        case "repair":
            return Refused(denied)
    return Doubtful(denied)


def _shown(step: Step) -> str:
    effect = step.effect
    match effect:
        case effects.Mark():
            return f"Mark {effect.record.key.request_id} {effect.mark}"
        case effects.Save():
            return f"Save {effect.after.work.name} {effect.after.confirmed}"
    return step.name
