"""README.md has the figures that were measured last, and no others."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.artifact import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results" / "README.md"


@dataclass(frozen=True)
class _Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def only(self, columns: Sequence[str]) -> list[list[str]]:
        """The rows, cut down to these columns."""
        places = [self.columns.index(column) for column in columns]
        return [[row[place] for place in places] for row in self.rows]


def _tables(text: str) -> Iterator[_Table]:
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines()
        ]
        yield _Table(head, rows)


def test_each_row_of_the_readme_is_one_of_the_results() -> None:
    _, _, after = (REPOSITORY / "README.md").read_text().partition("\n## How fast it is")
    shown = list(_tables(after.partition("\n## ")[0]))
    measured = list(_tables(RESULTS.read_text()))

    assert len(shown) == 3
    for table in shown:
        candidates = [one for one in measured if set(table.columns) <= set(one.columns)]
        missing = [
            [row for row in table.rows if [*row] not in one.only(table.columns)]
            for one in candidates
        ]
        assert [] in missing, missing


def test_the_date_and_the_versions_of_the_readme_are_those_of_the_results() -> None:
    readme = " ".join((REPOSITORY / "README.md").read_text().split())
    results = RESULTS.read_text()

    [date] = re.findall(r"^- Date: (\S+)", results, re.MULTILINE)
    [(python, functions)] = re.findall(
        r"^- Python: (\S+); functions on (\S+)$", results, re.MULTILINE
    )
    [minutes] = re.findall(r"wrote this page, in (\d+ minutes)", results)

    assert f"measured on {date} " in readme
    assert f"Python {python} and functions on {functions}, in {minutes}" in readme
