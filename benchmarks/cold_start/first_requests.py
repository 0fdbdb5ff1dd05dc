"""From a process's start to its first answer: ours, and what could stand in its place."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal
from zipfile import ZipFile

from benchmarks.cold_start import memory_size
from benchmarks.cold_start.measured import MeasuredEnvironment, Taken
from benchmarks.cold_start.memory_size import play
from benchmarks.cold_start.recordings import APPLICATION, STOCK, Recording, Recordings, record
from benchmarks.cold_start.tape import Endpoint, Tape
from benchmarks.section import Plot, Section, Series, Table
from sandbox import artifact
from sandbox.functions.runtime import Deployment, Runtime, prepare_runtime

_ROUNDS = 5
_BATCH = 10
"""Polls in the batch that a new process is given."""

_FUNCTIONS = Path(__file__).with_name("functions")

_Measure = Literal["ready", "seconds", "processor", "memory"]

_OURS = "ours"
_BESIDE = "the same clients"
_CALLING = "the same clients and calls"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A function, what it is asked, and the answers to what it calls."""

    name: str
    handler: str
    recording: Recording


@dataclass(frozen=True, slots=True)
class _Request:
    """The first request of a process.

    Attributes:
        clients: of boto3, that ours makes for it; `_once` marks one that repeats no call.
        ours: what is asked of ours.
        stock: what is asked of the stock function.
    """

    name: str
    clients: str
    ours: Recording
    stock: Recording

    @property
    def candidates(self) -> tuple[_Candidate, ...]:
        """Who is measured with it."""
        nothing = replace(self.ours, tape=Tape())
        return (
            _Candidate(_OURS, APPLICATION, self.ours),
            _Candidate(_BESIDE, "benchmarks.cold_start.functions.only_clients.handler", nothing),
            _Candidate(
                _CALLING, "benchmarks.cold_start.functions.clients_and_calls.handler", self.ours
            ),
            _Candidate(
                "an empty handler", "benchmarks.cold_start.functions.empty.handler", nothing
            ),
            _Candidate("crhelper and Powertools", STOCK, self.stock),
        )


def run(say: Callable[[str], None]) -> Section:
    """Measure, and tell of it.

    Args:
        say: takes a line of progress.
    """
    runtime = prepare_runtime()
    tables: list[Table] = []
    plots: list[Plot] = []
    with TemporaryDirectory() as directory, Endpoint.open() as endpoint:
        code = _unpack(Path(directory) / "code")
        sizes = sorted({_BATCH, *memory_size.BATCHES})
        recordings = record(code, runtime, endpoint, sizes, say)
        as_built = recordings.deployment
        compiled = replace(as_built, code=_compile(code, runtime))
        for request in _requests(recordings):
            for kind, deployment in (("no bytecode", as_built), ("bytecode", compiled)):
                say(f"{request.name}, {kind}: {_ROUNDS} rounds")
                taken = _measure(request, deployment, runtime, endpoint)
                tables.append(_table(request, kind, taken))
                plots.append(_plot(request, kind, taken))
        cost = memory_size.measure(recordings, runtime, endpoint, say)
    return Section(
        title="Cold start, memory and processor time",
        tables=(*tables, *memory_size.tables(cost)),
        plots=tuple(plots),
    )


def _requests(recordings: Recordings) -> tuple[_Request, ...]:
    create, polls = recordings.create, recordings.polls[_BATCH]
    requests = (
        _Request("Create", "ec2 ec2_once dynamodb sqs s3", create, recordings.stock_create),
        _Request(f"{_BATCH} polls", "ec2 dynamodb sqs", polls, recordings.stock_poll),
    )
    for request in requests:
        named = {client.removesuffix("_once") for client in request.clients.split()}
        if named != request.ours.tape.services:
            raise RuntimeError(f"{request.name} calls {request.ours.tape.services}, not {named}")
    return requests


def _unpack(code: Path) -> Path:
    """The artifact, with the functions that it is measured beside."""
    with ZipFile(BytesIO(artifact.build())) as package:
        package.extractall(code)
    sources = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_FUNCTIONS, code / "benchmarks" / "cold_start" / "functions", ignore=sources)
    return code


def _compile(code: Path, runtime: Runtime) -> Path:
    """A copy with bytecode that is not checked against its source."""
    compiled = code.with_name("compiled")
    shutil.copytree(code, compiled)
    subprocess.run(  # noqa: S603  an interpreter of this machine, on files of ours
        [
            runtime.python,
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            compiled,
        ],
        check=True,
    )
    return compiled


def _measure(
    request: _Request, deployment: Deployment, runtime: Runtime, endpoint: Endpoint
) -> dict[str, list[Taken]]:
    """Each candidate in a new process, in turn; a round before goes to the disk's cache."""
    variables = {
        **deployment.variables,
        "CLIENTS": request.clients,
        "CALLS": " ".join(request.ours.tape.calls.elements()),
    }
    taken: dict[str, list[Taken]] = {candidate.name: [] for candidate in request.candidates}
    for _ in range(1 + _ROUNDS):
        for candidate in request.candidates:
            environment = MeasuredEnvironment(
                replace(deployment, handler=candidate.handler, variables=variables), runtime
            )
            try:
                taken[candidate.name].append(play(environment, candidate.recording, endpoint))
            finally:
                environment.close()
    return {name: rounds[1:] for name, rounds in taken.items()}


def _table(request: _Request, kind: str, taken: Mapping[str, Sequence[Taken]]) -> Table:
    beside, calling = taken[_BESIDE], taken[_CALLING]
    return Table(
        title=f"Cold start: {request.name}, {kind}",
        columns=(
            "Function",
            "code loaded, ms",
            "first answer, ms",
            "lowest",
            "highest",
            "ratio",
            "ratio to calls",
            "processor, ms",
            "ratio",
            "ratio to calls",
            "memory, MB",
            "ratio",
        ),
        rows=tuple(
            (
                name,
                _ms(_median(rounds, "ready")),
                _ms(_median(rounds, "seconds")),
                _ms(min(each.seconds for each in rounds)),
                _ms(max(each.seconds for each in rounds)),
                _ratio(rounds, beside, "seconds"),
                _ratio(rounds, calling, "seconds"),
                _ms(_median(rounds, "processor")),
                _ratio(rounds, beside, "processor"),
                _ratio(rounds, calling, "processor"),
                f"{_median(rounds, 'memory') / 1e6:.1f}",
                _ratio(rounds, beside, "memory"),
            )
            for name, rounds in taken.items()
        ),
        notes=(
            f"Medians of {len(beside)} rounds, and of the ratios within a round.",
            (
                f"Ratios are to `{_BESIDE}`, which makes the boto3 clients that ours makes "
                f"({request.clients.replace(' ', ', ')}) and calls nothing, and to `{_CALLING}`."
            ),
            (
                f"Ours makes {request.ours.tape.calls.total()} calls; recorded answers come to "
                "them at once, over plain HTTP."
            ),
        ),
    )


def _plot(request: _Request, kind: str, taken: Mapping[str, Sequence[Taken]]) -> Plot:
    names = tuple(taken)
    points: Mapping[str, _Measure] = {
        "until the code is loaded": "ready",
        "until the first answer": "seconds",
    }
    return Plot(
        file=f"cold-start-{request.name}-{kind}.png".lower().replace(" ", "-"),
        title=f"Cold start: {request.name}, {kind}",
        x="",
        y="ms",
        series=tuple(
            Series(
                series,
                tuple(
                    (float(place), 1000 * _median(taken[name], what))
                    for place, name in enumerate(names)
                ),
                names,
            )
            for series, what in points.items()
        ),
        kind="bars",
    )


def _median(rounds: Sequence[Taken], what: _Measure) -> float:
    return median(float(getattr(taken, what)) for taken in rounds)


def _ratio(rounds: Sequence[Taken], beside: Sequence[Taken], what: _Measure) -> str:
    """Of the rounds' own ratios: what disturbs a round disturbs both."""
    pairs = zip(rounds, beside, strict=True)
    return f"{median(getattr(ours, what) / getattr(theirs, what) for ours, theirs in pairs):.2f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
