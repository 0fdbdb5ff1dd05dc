"""From a process's start to its first answer: ours, and of alternatives."""

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
from sandbox import artifact, packages
from sandbox.functions.interpreter import Runtime, prepare_runtime
from sandbox.functions.process import Deployment

_ROUNDS = 9
_BATCH = 10
"""Polls in the batch that a new process is given."""

_FUNCTIONS = Path(__file__).with_name("functions")
_REQUIREMENTS = artifact.REPOSITORY / "functions" / "requirements.txt"

_Measure = Literal["ready", "seconds", "processor", "memory"]

_OURS = "ours"
_EMPTY = "an empty handler"
_BASELINE = "the same clients"
_CALLING = "the same clients and calls"
_STOCK = "crhelper and Powertools"
_COMPILED = ", bytecode"
"""Bytecode is known by its source's hash, as in our artifact."""

_AS_OURS = ("--invalidation-mode", "checked-hash")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A function, its code, what it is asked, and the answers to what it calls."""

    name: str
    handler: str
    code: Path
    recording: Recording


@dataclass(frozen=True, slots=True)
class _Builds:
    """Directories of code.

    Attributes:
        ours: the artifact.
        usual: the same dependencies as `sam build` installs them where a template says nothing of
            it, with the functions that ours is compared with.
        compiled: that, with bytecode.
    """

    ours: Path
    usual: Path
    compiled: Path


@dataclass(frozen=True, slots=True)
class _Request:
    """The first request of a process.

    Attributes:
        clients: of boto3, that ours makes for it, in its order; `_once` marks one that repeats no
            call.
        ours: what is asked of ours.
        stock: what is asked of the stock function.
    """

    name: str
    clients: str
    ours: Recording
    stock: Recording

    def candidates(self, builds: _Builds) -> tuple[_Candidate, ...]:
        """Who is measured with it."""
        return (
            _Candidate(_OURS, APPLICATION, builds.ours, self.ours),
            *self._peers(builds.usual, ""),
            *self._peers(builds.compiled, _COMPILED),
        )

    def _peers(self, code: Path, suffix: str) -> tuple[_Candidate, ...]:
        nothing = replace(self.ours, tape=Tape())
        return (
            _Candidate(_EMPTY + suffix, _function("empty"), code, nothing),
            _Candidate(_BASELINE + suffix, _function("only_clients"), code, nothing),
            _Candidate(_CALLING + suffix, _function("clients_and_calls"), code, self.ours),
            _Candidate(_STOCK + suffix, STOCK, code, self.stock),
        )


def run(say: Callable[[str], None]) -> Section:
    """Measure, and report progress.

    Args:
        say: takes a line of progress.
    """
    runtime = prepare_runtime()
    tables: list[Table] = []
    plots: list[Plot] = []
    with TemporaryDirectory() as directory, Endpoint.open() as endpoint:
        builds = _build(Path(directory), runtime)
        sizes = sorted({_BATCH, *memory_size.BATCHES})
        recordings = record(builds.ours, builds.usual, runtime, endpoint, sizes, say)
        for request in _requests(recordings):
            say(f"{request.name}: {_ROUNDS} rounds of {len(request.candidates(builds))} functions")
            taken = _measure(request, builds, recordings.deployment, runtime, endpoint)
            tables.append(_table(request, taken))
            plots.append(_plot(request, taken))
        cost = memory_size.measure(recordings, runtime, endpoint, say)
    return Section(
        title="Cold start, memory and processor time",
        tables=(*tables, *memory_size.tables(cost)),
        plots=tuple(plots),
    )


def _function(name: str) -> str:
    return f"benchmarks.cold_start.functions.{name}.handler"


def _requests(recordings: Recordings) -> tuple[_Request, ...]:
    create, polls = recordings.create, recordings.polls[_BATCH]
    requests = (
        _Request("Create", "dynamodb sqs s3 ec2 ec2_once", create, recordings.stock_create),
        _Request(f"{_BATCH} polls", "sqs dynamodb ec2", polls, recordings.stock_poll),
    )
    for request in requests:
        named = {client.removesuffix("_once") for client in request.clients.split()}
        if named != request.ours.tape.services:
            raise RuntimeError(f"{request.name} calls {request.ours.tape.services}, not {named}")
    return requests


def _build(directory: Path, runtime: Runtime) -> _Builds:
    builds = _Builds(directory / "ours", directory / "usual", directory / "compiled")
    with ZipFile(BytesIO(artifact.build())) as package:
        package.extractall(builds.ours)
    packages.install(runtime.python, _REQUIREMENTS, builds.usual, "--no-compile")
    sources = shutil.ignore_patterns("__pycache__")
    functions = builds.usual / "benchmarks" / "cold_start" / "functions"
    shutil.copytree(_FUNCTIONS, functions, ignore=sources)
    shutil.copytree(builds.usual, builds.compiled)
    subprocess.run(  # noqa: S603  an interpreter of this machine, on files of ours
        [runtime.python, "-m", "compileall", "-q", *_AS_OURS, builds.compiled], check=True
    )
    return builds


def _measure(
    request: _Request,
    builds: _Builds,
    deployment: Deployment,
    runtime: Runtime,
    endpoint: Endpoint,
) -> dict[str, list[Taken]]:
    """Each candidate in a new process, in turn; a round before goes to the disk's cache."""
    variables = {
        **deployment.variables,
        "CLIENTS": request.clients,
        "CALLS": " ".join(request.ours.tape.calls.elements()),
    }
    candidates = request.candidates(builds)
    taken: dict[str, list[Taken]] = {candidate.name: [] for candidate in candidates}
    for _ in range(1 + _ROUNDS):
        for candidate in candidates:
            environment = MeasuredEnvironment(
                replace(
                    deployment,
                    handler=candidate.handler,
                    code=candidate.code,
                    variables=variables,
                ),
                runtime,
            )
            try:
                taken[candidate.name].append(play(environment, candidate.recording, endpoint))
            finally:
                environment.close()
    return {name: rounds[1:] for name, rounds in taken.items()}


def _table(request: _Request, taken: Mapping[str, Sequence[Taken]]) -> Table:
    usual, compiled = taken[_BASELINE], taken[_BASELINE + _COMPILED]
    return Table(
        title=f"Cold start: {request.name}",
        columns=(
            "Function",
            "code loaded, ms",
            "first answer, ms",
            "lowest",
            "highest",
            "ratio",
            "ratio to bytecode",
            "processor, ms",
            "memory, MB",
            "memory ratio",
            "memory ratio to bytecode",
        ),
        rows=tuple(
            (
                name,
                _ms(_median(rounds, "ready")),
                _ms(_median(rounds, "seconds")),
                _ms(min(each.seconds for each in rounds)),
                _ms(max(each.seconds for each in rounds)),
                _ratio(rounds, usual, "seconds"),
                _ratio(rounds, compiled, "seconds"),
                _ms(_median(rounds, "processor")),
                f"{_median(rounds, 'memory') / 1e6:.1f}",
                _ratio(rounds, usual, "memory"),
                _ratio(rounds, compiled, "memory"),
            )
            for name, rounds in taken.items()
        ),
        notes=(
            (
                f"Medians of {len(usual)} rounds, and of the ratios within a round, the lowest and "
                "the highest of which are in brackets."
            ),
            (
                f"Ratios are to `{_BASELINE}`, which makes the boto3 clients that ours makes "
                f"({request.clients.replace(' ', ', ')}) and calls nothing, as `sam build` leaves "
                "it by itself, and then with bytecode."
            ),
            (
                f"Ours makes {request.ours.tape.calls.total()} calls, as `{_CALLING}` does; "
                "recorded answers come to them at once, over plain HTTP."
            ),
        ),
    )


def _plot(request: _Request, taken: Mapping[str, Sequence[Taken]]) -> Plot:
    names = tuple(taken)
    points: Mapping[str, _Measure] = {
        "until the code is loaded": "ready",
        "until the first answer": "seconds",
    }
    return Plot(
        file=f"cold-start-{request.name}.png".lower().replace(" ", "-"),
        title=f"Cold start: {request.name}",
        x="ms",
        y="",
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


def _ratio(rounds: Sequence[Taken], others: Sequence[Taken], what: _Measure) -> str:
    """Of the rounds' own ratios, with their spread: what disturbs a round disturbs both."""
    pairs = zip(rounds, others, strict=True)
    ratios = [getattr(ours, what) / getattr(theirs, what) for ours, theirs in pairs]
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
