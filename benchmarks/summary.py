"""The figures of the benchmark in docs/limits-and-costs.md: some rows, and some columns, of all.

Which rows and columns the page's tables have is the page's own choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.artifact import REPOSITORY

PAGE = REPOSITORY / "docs" / "limits-and-costs.md"

_SECTION = "\n## How fast it is, and what it costs\n"
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """A table, read from a page.

    Attributes:
        head: its first two lines.
        columns: their headings.
        rows: as many texts each as there are columns.
    """

    head: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def only(self, columns: Sequence[str]) -> list[tuple[str, ...]]:
        """The rows, cut down to these columns."""
        places = [self.columns.index(column) for column in columns]
        return [tuple(row[place] for place in places) for row in self.rows]

    @property
    def keys(self) -> int:
        """How many columns, from the left, distinguish the rows."""
        return next(
            count
            for count in range(1, len(self.columns) + 1)
            if len({row[:count] for row in self.rows}) == len(self.rows)
        )

    def __str__(self) -> str:
        return self.head + "".join(f"| {' | '.join(row)} |\n" for row in self.rows)


def tables(text: str) -> Iterator[Shown]:
    """The tables of a page."""
    return map(_read, _TABLE.findall(text))


def updated(page: str, results: str) -> str:
    """The page with the figures of the results.

    Args:
        page: the text of `PAGE`.
        results: the text of benchmarks/results/README.md.

    Raises:
        ValueError: a row of the page is not among the results.
    """
    before, heading, section = page.partition(_SECTION)
    measured = [*tables(results)]
    section = _TABLE.sub(lambda found: str(_measured(_read(found[0]), measured)), section)
    [date] = re.findall(r"^- Date: (\S+)", results, re.MULTILINE)
    [(python, functions)] = re.findall(
        r"^- Python: (\S+); functions on (\S+)$", results, re.MULTILINE
    )
    [minutes] = re.findall(r"wrote this page, in (\d+) minutes", results)
    for pattern, figure in (
        (r"(measured\s+on\s+)\S+", date),
        (r"(with\s+Python\s+)\S+", python),
        (r"(functions\s+on\s+)[\d.]+(?=,)", functions),
        (r"(in\s+)\d+(?=\s+minutes)", minutes),
    ):
        section = re.sub(pattern, rf"\g<1>{figure}", section)
    return before + heading + section


def _read(text: str) -> Shown:
    head, line, *rows = text.splitlines(keepends=True)
    columns, *cells = [
        tuple(cell.strip() for cell in row.strip().strip("|").split(" | ")) for row in (head, *rows)
    ]
    return Shown(head + line, columns, tuple(cells))


def _measured(shown: Shown, measured: Sequence[Shown]) -> Shown:
    """The table with the same rows, as they were measured: the first table that has all of them."""
    keys = shown.keys
    for table in measured:
        if not {*shown.columns} <= {*table.columns}:
            continue
        rows = {row[:keys]: row for row in reversed(table.only(shown.columns))}
        if {row[:keys] for row in shown.rows} <= {*rows}:
            return Shown(shown.head, shown.columns, tuple(rows[row[:keys]] for row in shown.rows))
    raise ValueError(f"No table of the results has all rows of this one:\n{shown}")
