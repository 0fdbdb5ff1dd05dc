"""The artifact's size, and what each dependency adds to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.section import Section, Table
from sandbox import artifact

QUOTA = 250 * 2**20
"""Bytes that a function's unpacked package may have.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes.

    Attributes:
        unpacked: of the files.
        zipped: of the files in the zip.
    """

    unpacked: int
    zipped: int

    def __add__(self, other: Size) -> Size:
        return Size(self.unpacked + other.unpacked, self.zipped + other.zipped)


@dataclass(frozen=True, slots=True)
class Dependency:
    """An installed distribution.

    Attributes:
        name: normalised.
        size: of its own files.
        requires: the names of those that it asks for, which may not be installed.
    """

    name: str
    size: Size
    requires: frozenset[str]


def run(say: Callable[[str], None]) -> Section:
    """Measure the artifact, and report progress.

    Args:
        say: takes a line of progress.
    """
    say("the artifact's size")
    package = artifact.build()
    by_file = sizes(package)
    dependencies = _dependencies(package, by_file)
    return Section(title="Size", tables=(table(sum(by_file.values(), Size(0, 0)), dependencies),))


def table(artifact_size: Size, dependencies: Mapping[str, Dependency]) -> Table:
    """The artifact, what is not of any dependency, and each dependency."""
    installed = sum((each.size for each in dependencies.values()), Size(0, 0))
    own = Size(artifact_size.unpacked - installed.unpacked, artifact_size.zipped - installed.zipped)
    largest = sorted(dependencies.values(), key=lambda each: -each.size.unpacked)
    return Table(
        title="Size of the artifact, bytes",
        columns=("What", "unpacked", "zipped", "of Lambda's 250 MB", "unpacked, with its own"),
        rows=(
            _row("The artifact", artifact_size, artifact_size),
            _row("The package itself", own, own),
            *(_row(each.name, each.size, _closure(each, dependencies, set())) for each in largest),
        ),
        notes=(
            (
                "With its own: with all that it asks for; what several ask for counts for each. "
                "A module counts with its bytecode, and botocore without the services that the "
                "build leaves out."
            ),
        ),
    )


def sizes(package: bytes) -> dict[str, Size]:
    """The files' sizes; a module's bytecode counts with it."""
    found: defaultdict[str, Size] = defaultdict(lambda: Size(0, 0))
    with ZipFile(BytesIO(package)) as files:
        for file in files.infolist():
            found[_source(file.filename)] += Size(file.file_size, file.compress_size)
    return found


def _source(name: str) -> str:
    path = PurePosixPath(name)
    if path.suffix != ".pyc":
        return name
    return str(path.parent.with_name(f"{path.name.partition('.')[0]}.py"))


def _dependencies(package: bytes, by_file: Mapping[str, Size]) -> dict[str, Dependency]:
    with TemporaryDirectory() as directory, ZipFile(BytesIO(package)) as files:
        files.extractall(directory)
        found = [
            _dependency(PathDistribution(path), by_file)
            for path in sorted(Path(directory).glob("*.dist-info"))
        ]
    return {each.name: each for each in found}


def _dependency(distribution: PathDistribution, by_file: Mapping[str, Size]) -> Dependency:
    files = [str(file) for file in distribution.files or ()]
    asked = (Requirement(text) for text in distribution.requires or ())
    return Dependency(
        name=canonicalize_name(distribution.name),
        size=sum((by_file[file] for file in files if file in by_file), Size(0, 0)),
        requires=frozenset(
            canonicalize_name(each.name)
            for each in asked
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ),
    )


def _closure(one: Dependency, all_of_them: Mapping[str, Dependency], seen: set[str]) -> Size:
    """A dependency's size with all that it asks for, each once."""
    seen.add(one.name)
    size = one.size
    for name in sorted(one.requires):
        if name in all_of_them and name not in seen:
            size += _closure(all_of_them[name], all_of_them, seen)
    return size


def _row(name: str, size: Size, closure: Size) -> tuple[str, ...]:
    return (
        name,
        f"{size.unpacked:,}",
        f"{size.zipped:,}",
        f"{size.unpacked / QUOTA:.1%}",
        f"{closure.unpacked:,}",
    )
