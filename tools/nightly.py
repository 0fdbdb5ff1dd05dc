"""All of `make check` and all long forms, one after the other, and a table of the results.

A part that fails does not stop the others.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

_PYTEST = (sys.executable, "-m", "pytest")


@dataclass(frozen=True, slots=True)
class Part:
    """A command, and its name in the table."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How a part ended.

    Attributes:
        name: the part's name.
        cases: the counts in pytest's closing line, such as `2 failed, 12 passed`; empty for a
            command that is not pytest.
        status: the exit status.
        seconds: how long it took.
    """

    name: str
    cases: str
    status: int
    seconds: float


PARTS = (
    *(
        Part(target, ("make", "--no-print-directory", target))
        for target in (
            *("lint", "scan", "audit", "browse"),
            *("test", "test-sandbox", "clients", "judges", "faults"),
        )
    ),
    Part("long tests", (*_PYTEST, "-m", "nightly and not faults")),
    # They need the machine for themselves, as the faults in `make check` do.
    Part("long tests of faults", (*_PYTEST, "-m", "nightly and faults")),
    Part("chaos", ("make", "--no-print-directory", "chaos")),
)

_CLOSING_LINE = re.compile(r"=* ?(?P<counts>\d+ [a-z]+(?:, \d+ [a-z]+)*) in \d+\.\d+s\b[^=]*=*")


def cases(lines: Iterable[str]) -> str:
    """The counts in the last line that closes a run of pytest; empty where there is none."""
    counts = ""
    for line in lines:
        if closing := _CLOSING_LINE.fullmatch(line.strip()):
            counts = closing["counts"]
    return counts


def run(part: Part, write: Callable[[str], object]) -> Result:
    """Run a part to its end.

    Args:
        part: the part.
        write: takes each line of its output as it comes, with its line end.
    """
    began = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603  our own commands
        part.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            write(line)
            lines.append(line)
    return Result(part.name, cases(lines), process.returncode, time.monotonic() - began)


def table(results: Sequence[Result]) -> Table:
    """What was run, how many cases it had, whether it passed, and how long it took."""
    shown = Table(title="Nightly")
    for heading in ("what", "cases", "result"):
        shown.add_column(heading)
    shown.add_column("seconds", justify="right")
    for result in results:
        ended = "passed" if result.status == 0 else f"FAILED ({result.status})"
        shown.add_row(result.name, result.cases, ended, f"{result.seconds:,.0f}")
    return shown


def main(parts: Sequence[Part], console: Console) -> int:
    """Run all parts, then print the table; 1 if any failed."""
    results = []
    for part in parts:
        console.rule(part.name)
        results.append(run(part, lambda line: console.out(line, end="", highlight=False)))
    console.print(table(results))
    return 1 if any(result.status for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(PARTS, Console()))
