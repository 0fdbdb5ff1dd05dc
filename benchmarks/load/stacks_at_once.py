"""A thousand stacks at once: whether all end right, how fast, and what limits it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.load import client, loaded_sandbox
from benchmarks.load.checks import Seen, problems
from benchmarks.load.client import Share, Stack
from benchmarks.load.loaded_sandbox import LoadSandbox
from benchmarks.load.processes import Usage, Watch
from benchmarks.section import Section, Table

STACKS = 1000
CLIENTS = 4
"""Processes that create and watch stacks."""

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
class Creation:
    """The creation of all stacks: from the first call until all were at rest.

    Attributes:
        stacks: how many.
        begun: seconds until the last call that began it was answered.
        seconds: until all were at rest.
        usage: what each group of processes took.
        calls: how often the functions made each API call, once the application was deployed.
        invocations: of the functions.
        timed_out: those that were killed at their timeout.
    """

    stacks: int
    begun: float
    seconds: float
    usage: Mapping[str, Usage]
    calls: Mapping[str, int]
    invocations: int
    timed_out: int


def run(say: Callable[[str], None], stacks: int = STACKS) -> Section:
    """Create this many stacks at once, and check each.

    Args:
        say: takes a line of progress.
        stacks: how many.

    Raises:
        LoadFailed: something did not end right; says what.
    """
    with loaded_sandbox.running() as sandbox, _pool() as pool:
        sandbox.bound_polls(POLLS_AT_ONCE)
        instances = sandbox.instances(stacks, TASK_SECONDS)
        to_create = [Stack(f"load-{n}", instance) for n, instance in enumerate(instances)]
        creation, created = _create(sandbox, pool, to_create, say)
        seen = Seen(
            bucket=sandbox.ready["bucket"],
            bundle_requests=sandbox.record("bundle-requests"),
            responses=sandbox.record("responses"),
            keys=sandbox.keys(),
            left_in_queues=sandbox.left_in_queues(),
        )
    if found := problems(created, seen):
        raise LoadFailed("\n".join(found[:20]))
    say(f"{stacks} stacks were created, and all ended right")
    return Section("Load", (_table(creation),))


def _pool() -> ProcessPoolExecutor:
    # Processes that share nothing with this one, which has threads.
    return ProcessPoolExecutor(CLIENTS, mp_context=multiprocessing.get_context("spawn"))


def _create(
    sandbox: LoadSandbox,
    pool: ProcessPoolExecutor,
    stacks: Sequence[Stack],
    say: Callable[[str], None],
) -> tuple[Creation, list[Stack]]:
    """Begin all stacks, dealt out to the clients, and see them through."""

    def deal(work: Callable[[Share], tuple[Stack, ...]], stacks: Sequence[Stack]) -> list[Stack]:
        ready = sandbox.ready
        shares = [
            Share(ready["endpoint"], ready["bucket"], tuple(stacks[n::CLIENTS]))
            for n in range(CLIENTS)
        ]
        return [stack for done in pool.map(work, shares) for stack in done]

    calls, invocations = _calls(sandbox), _invocations(sandbox)
    start = time.monotonic()
    with Watch(_groups(sandbox)) as watch:
        begun = deal(client.create, stacks)
        after = time.monotonic() - start
        say(f"All {len(begun)} stacks are begun after {after:.0f} s")
        ended = deal(client.see_through, begun)
    say(f"All are at rest after {watch.seconds:.0f} s")
    creation = Creation(
        stacks=len(ended),
        begun=after,
        seconds=watch.seconds,
        usage=watch.usage,
        calls={call: count - calls.get(call, 0) for call, count in _calls(sandbox).items()},
        invocations=_invocations(sandbox) - invocations,
        timed_out=sandbox.timed_out(),
    )
    return creation, ended


def _groups(sandbox: LoadSandbox) -> Mapping[str, Callable[[], list[psutil.Process]]]:
    here = psutil.Process()
    return {
        _SANDBOX: lambda: [sandbox.process],
        _FUNCTIONS: sandbox.functions,
        _CLIENTS: lambda: [each for each in here.children() if each != sandbox.process],
    }


def _calls(sandbox: LoadSandbox) -> Counter[str]:
    calls: Counter[str] = Counter()
    for made in sandbox.record("api-calls"):
        calls[made["call"]] += made["count"]
    return calls


def _invocations(sandbox: LoadSandbox) -> int:
    return sum(made["count"] for made in sandbox.record("invocations"))


def _table(creation: Creation) -> Table:
    functions, usage = creation.usage[_FUNCTIONS], creation.usage
    return Table(
        title=f"{creation.stacks:,} stacks created at once, each with a task of {TASK_SECONDS} s",
        columns=("what", "figure"),
        rows=(
            ("stacks that ended right", f"{creation.stacks:,}"),
            ("time until all were begun, s", f"{creation.begun:.0f}"),
            ("time until all were at rest, s", f"{creation.seconds:.0f}"),
            ("stacks per second", f"{creation.stacks / creation.seconds:.1f}"),
            ("invocations per stack", _each(creation, creation.invocations)),
            ("invocations that timed out", f"{creation.timed_out:,}"),
            ("EC2 Describe calls per bundle", _each(creation, _count(creation, "ec2:Describe"))),
            ("EC2 calls per bundle", _each(creation, _count(creation, "ec2:"))),
            ("DynamoDB calls per stack", _each(creation, _count(creation, "dynamodb:"))),
            *(
                (f"processors that {group} kept busy", f"{_busy(creation)[group]:.2f}")
                for group in usage
            ),
            ("function processes at once", f"{functions.at_once}"),
            ("memory of all of them, MB", _mb(functions.memory)),
            ("memory of the largest, MB", _mb(functions.largest)),
            ("memory of the sandbox, MB", _mb(usage[_SANDBOX].memory)),
        ),
        notes=(
            (
                f"{CLIENTS} processes create and watch the stacks. Each is checked: its outputs, "
                "its one BundleInstance call, its manifest and its answers; and that no message "
                "is left."
            ),
            f"The machine has {os.cpu_count()} processors; a process runs Python on one of them.",
            f"It was limited by {_limit(creation)}.",
        ),
    )


def _busy(creation: Creation) -> Mapping[str, float]:
    """Processors that each group kept busy."""
    return {group: used.processor / creation.seconds for group, used in creation.usage.items()}


def _limit(creation: Creation) -> str:
    busy = _busy(creation)
    if busy[_SANDBOX] > 0.85:
        return "the sandbox's one process"
    if sum(busy.values()) > 0.85 * (os.cpu_count() or 1):
        return "the machine's processors"
    return "waiting, not by processors"


def _count(creation: Creation, beginning: str) -> int:
    return sum(count for call, count in creation.calls.items() if call.startswith(beginning))


def _each(creation: Creation, count: int) -> str:
    return f"{count / creation.stacks:.2f}"


def _mb(size: int) -> str:
    return f"{size / _MB:.0f}"
