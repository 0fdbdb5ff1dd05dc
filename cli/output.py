"""How a command writes what it found: a table, or JSON."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

Format = Literal["table", "json"]
Say = Callable[[str], None]
"""Shows a line about what is being done."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_WIDEST = 10_000
"""Columns of a pipe: no line of a table is broken."""


def moment(seconds: float) -> str:
    """Epoch seconds in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Seconds as people say them, by the two largest units: `2h 5m`; `0s` for less than one."""
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or "0s"


def size(number: int) -> str:
    """Bytes as people say them, with a digit behind the point: `1.5 MiB`."""
    amount, unit = float(number), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{number} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def usd(amount: float) -> str:
    """US dollars, to the cent."""
    return "< 0.01" if 0 < amount < 0.01 else f"{amount:.2f}"


@contextmanager
def progress() -> Iterator[Say]:
    """Shows what a command is doing, on a terminal only, and on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None  # noqa: ARG005
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(_printable(text)))


def write_json(value: Any) -> None:
    """Write a value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows below their columns' names; long values are folded on a terminal only."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _write(table)


def write_facts(facts: Mapping[str, str]) -> None:
    """Write names with their values, one a line."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    _write(table)


def write_line(text: str = "") -> None:
    """Write a line of text."""
    sys.stdout.write(_printable(text) + "\n")


def _write(table: Table) -> None:
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(file=sys.stdout, width=_WIDEST, color_system=None)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _cell(value: str) -> Text:
    return Text(_printable(value) or "-")


def _printable(text: str) -> str:
    """A text without what moves a terminal's cursor: stacks and events are others' text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
