"""A thousand stacks at once: whether all end right, how fast, and what limits it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import psutil

from benchmarks.load import client, loaded_sandbox
from benchmarks.load.checks import Seen, problems
from benchmarks.load.client import Share, Stack
from benchmarks.load.loaded_sandbox import LoadSandbox
from benchmarks.load.processes import Usage, Watch
from benchmarks.section import Section, Table

STACKS = 1000
CLIENTS = 4
"""Processes that create, watch and delete stacks."""

TASK_SECONDS = 60
"""Seconds that a bundle task takes."""

POLLS_AT_ONCE = 4
"""Batches of polls: the sandbox gives the function ten environments, and calls take longer the more
of them make them; all of the template's 20 would leave none for what is new."""

_MB = 1_000_000
_SANDBOX, _FUNCTIONS, _CLIENTS = "the sandbox", "the functions", "the clients"


class LoadFailed(Exception):
    """Not all stacks ended right."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Creating, or deleting, all stacks: from the first call until all are at rest.

    Attributes:
        name: what was done.
        stacks: how many.
        asked: seconds until the last call that began it was answered.
        seconds: until all were at rest.
        usage: what each group of processes took.
        calls: how often the functions made each API call.
        invocations: of the functions.
        timed_out: those that were killed at their time-out.
    """

    name: str
    stacks: int
    asked: float
    seconds: float
    usage: Mapping[str, Usage]
    calls: Mapping[str, int]
    invocations: int
    timed_out: int


def run(say: Callable[[str], None], stacks: int = STACKS) -> Section:
    """Create this many stacks at once, delete them, and check each.

    Args:
        say: takes a line of progress.

    Raises:
        LoadFailed: something did not end right; says what.
    """
    with loaded_sandbox.running() as sandbox, _pool() as pool:
        sandbox.bound_polls(POLLS_AT_ONCE)
        instances = sandbox.instances(stacks, TASK_SECONDS)
        load = _Load(sandbox, pool, say)
        begun = [Stack(f"load-{n}", instance) for n, instance in enumerate(instances)]
        creation, created = load.phase("Creating", client.create, begun)
        deletion, deleted = load.phase("Deleting", client.delete, created)
        seen = Seen(
            bucket=sandbox.ready["bucket"],
            bundle_requests=sandbox.record("bundle-requests"),
            responses=sandbox.record("responses"),
            keys=sandbox.keys(),
            left_in_queues=sandbox.left_in_queues(),
        )
    if found := problems(created, deleted, seen):
        raise LoadFailed("\n".join(found[:20]))
    say(f"{stacks} stacks were created and deleted, and all ended right")
    return Section("Load", (_table(creation, deletion),))


def _pool() -> ProcessPoolExecutor:
    # Processes that share nothing with this one, which has threads.
    return ProcessPoolExecutor(CLIENTS, mp_context=multiprocessing.get_context("spawn"))


class _Load:
    """The stacks of one sandbox, dealt out to the clients."""

    def __init__(
        self, sandbox: LoadSandbox, pool: ProcessPoolExecutor, say: Callable[[str], None]
    ) -> None:
        self._sandbox = sandbox
        self._pool = pool
        self._say = say

    def phase(
        self, name: str, begin: Callable[[Share], tuple[Stack, ...]], stacks: Iterable[Stack]
    ) -> tuple[Phase, list[Stack]]:
        """Begin to create or delete all stacks, and see them through."""
        calls, invocations = self._calls(), self._invocations()
        timed_out = self._sandbox.timed_out()
        start = time.monotonic()
        with Watch(self._groups()) as watch:
            begun = self._deal(begin, stacks)
            asked = time.monotonic() - start
            self._say(f"{name}: all {len(begun)} stacks are begun after {asked:.0f} s")
            ended = self._deal(client.see_through, begun)
        self._say(f"{name}: all are at rest after {watch.seconds:.0f} s")
        more = {call: count - calls.get(call, 0) for call, count in self._calls().items()}
        phase = Phase(
            name,
            len(ended),
            asked,
            watch.seconds,
            watch.usage,
            more,
            self._invocations() - invocations,
            self._sandbox.timed_out() - timed_out,
        )
        return phase, ended

    def _deal(
        self, work: Callable[[Share], tuple[Stack, ...]], stacks: Iterable[Stack]
    ) -> list[Stack]:
        everything = Share(
            self._sandbox.ready["endpoint"], self._sandbox.ready["bucket"], tuple(stacks)
        )
        shares = [replace(everything, stacks=everything.stacks[n::CLIENTS]) for n in range(CLIENTS)]
        return [stack for done in self._pool.map(work, shares) for stack in done]

    def _groups(self) -> Mapping[str, Callable[[], list[psutil.Process]]]:
        here, sandbox = psutil.Process(), self._sandbox
        return {
            _SANDBOX: lambda: [sandbox.process],
            _FUNCTIONS: sandbox.functions,
            _CLIENTS: lambda: [each for each in here.children() if each != sandbox.process],
        }

    def _calls(self) -> dict[str, int]:
        calls: dict[str, int] = {}
        for made in self._sandbox.record("api-calls"):
            calls[made["call"]] = calls.get(made["call"], 0) + made["count"]
        return calls

    def _invocations(self) -> int:
        return sum(made["count"] for made in self._sandbox.record("invocations"))


def _table(*phases: Phase) -> Table:
    def row(what: str, tell: Callable[[Phase], str]) -> tuple[str, ...]:
        return (what, *(tell(phase) for phase in phases))

    def of_group(group: str) -> Iterable[tuple[str, ...]]:
        yield row(
            f"Processor time of {group}, s", lambda phase: f"{phase.usage[group].processor:.0f}"
        )
        yield row(
            f"Processors that {group} kept busy",
            lambda phase: f"{phase.usage[group].processor / phase.seconds:.2f}",
        )

    return Table(
        title=f"{phases[0].stacks} stacks at once, each with a bundle task of {TASK_SECONDS} s",
        columns=("What", *(phase.name for phase in phases)),
        rows=(
            row("Stacks that ended right", lambda phase: f"{phase.stacks}"),
            row("Time until all were begun, s", lambda phase: f"{phase.asked:.1f}"),
            row("Time until all were at rest, s", lambda phase: f"{phase.seconds:.1f}"),
            row("Stacks per second", lambda phase: f"{phase.stacks / phase.seconds:.1f}"),
            row("Invocations per stack", lambda phase: _each(phase, phase.invocations)),
            row("Invocations that timed out", lambda phase: f"{phase.timed_out}"),
            row("EC2 Describe calls per bundle", lambda phase: _each(phase, _describes(phase))),
            row("EC2 calls per bundle", lambda phase: _each(phase, _of_service(phase, "ec2"))),
            row(
                "DynamoDB calls per stack",
                lambda phase: _each(phase, _of_service(phase, "dynamodb")),
            ),
            *(line for group in (_SANDBOX, _FUNCTIONS, _CLIENTS) for line in of_group(group)),
            row("Function processes at once", lambda phase: f"{phase.usage[_FUNCTIONS].at_once}"),
            row("Memory of all of them, MB", lambda phase: _mb(phase.usage[_FUNCTIONS].memory)),
            row("Memory of the largest, MB", lambda phase: _mb(phase.usage[_FUNCTIONS].largest)),
            row("Memory of the sandbox, MB", lambda phase: _mb(phase.usage[_SANDBOX].memory)),
        ),
        notes=(
            f"The machine has {os.cpu_count()} processors; a process runs Python on one of them.",
            *(f"{phase.name} was limited by {_limit(phase)}." for phase in phases),
        ),
    )


def _limit(phase: Phase) -> str:
    busy = {group: usage.processor / phase.seconds for group, usage in phase.usage.items()}
    if busy[_SANDBOX] > 0.85:
        return "the sandbox's one process"
    if sum(busy.values()) > 0.85 * (os.cpu_count() or 1):
        return "the machine's processors"
    return "waiting, not by processors"


def _describes(phase: Phase) -> int:
    return sum(count for call, count in phase.calls.items() if call.startswith("ec2:Describe"))


def _of_service(phase: Phase, service: str) -> int:
    return sum(count for call, count in phase.calls.items() if call.startswith(f"{service}:"))


def _each(phase: Phase, count: int) -> str:
    return f"{count / phase.stacks:.2f}"


def _mb(size: int) -> str:
    return f"{size / _MB:.0f}"
