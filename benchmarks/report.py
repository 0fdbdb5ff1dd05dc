"""What the benchmarks found, as a page of tables and plots."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import plots, summary
from benchmarks.section import Section, Table
from sandbox.functions.interpreter import prepare_runtime

RESULTS = Path(__file__).with_name("results")
_PACKAGES = ("aws-lambda-powertools", "awslambdaric", "boto3", "crhelper", "moto")


def write(sections: Sequence[Section], seconds: float) -> Path:
    """Write the page and its plots, and the figures that docs/limits-and-costs.md has of it.

    Args:
        sections: in the order in which they are to be read.
        seconds: that it took to measure them.

    Returns:
        The page.
    """
    RESULTS.mkdir(exist_ok=True)
    for picture in RESULTS.glob("*.png"):
        picture.unlink()
    for section in sections:
        for plot in section.plots:
            plots.draw(plot, RESULTS)
    page = RESULTS / "README.md"
    text = "\n".join(_page(sections, seconds)) + "\n"
    page.write_text(text)
    summary.PAGE.write_text(summary.updated(summary.PAGE.read_text(), text))
    return page


def _page(sections: Sequence[Section], seconds: float) -> Iterator[str]:
    yield "# What was measured"
    yield ""
    yield f"`make bench` wrote this page, in {seconds / 60:.0f} minutes."
    yield ""
    for name, value in _circumstances().items():
        yield f"- {name}: {value}"
    for section in sections:
        yield ""
        yield f"## {section.title}"
        for table in section.tables:
            yield ""
            yield from _table(table)
        for plot in section.plots:
            yield ""
            yield f"![{plot.title}]({plot.file})"


def _table(table: Table) -> Iterator[str]:
    yield f"**{table.title}**"
    yield ""
    yield _row(table.columns)
    yield _row(["---", *["---:"] * (len(table.columns) - 1)])
    for row in table.rows:
        yield _row(row)
    if table.notes:
        yield ""
    for note in table.notes:
        yield f"- {note}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _circumstances() -> Mapping[str, str]:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Machine": f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB of memory",
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_version()}; functions on {_functions_python()}",
        "Packages": packages,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "of an unknown kind"


def _functions_python() -> str:
    python = str(prepare_runtime().python)
    command = [python, "-c", "import platform; print(platform.python_version())"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()
