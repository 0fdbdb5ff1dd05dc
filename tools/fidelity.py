"""Writes the table at the top of docs/fidelity.md: how many behaviours are known, and how, by area.

A row that is partly recorded and partly documented counts in both columns.

Usage: `python -m tools.fidelity`, after a row was added or its evidence changed.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fidelity.md"
KINDS = ("recorded", "documented", "assumed")

_BEGINS, _ENDS = "<!-- counts: python -m tools.fidelity -->\n", "<!-- end of the counts -->\n"
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Area:
    """A section of the page.

    Attributes:
        name: its heading.
        evidence: of each row, the kinds of evidence that it has.
    """

    name: str
    evidence: tuple[frozenset[str], ...]

    def row(self) -> str:
        """Its row of the table."""
        counts = [sum(kind in kinds for kinds in self.evidence) for kind in KINDS]
        return f"| {' | '.join(map(str, (self.name, len(self.evidence), *counts)))} |"


def areas(page: str) -> Iterator[Area]:
    """The sections of the page, with the evidence of their rows."""
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        rows = [line for line in text.splitlines() if line.startswith("|")][2:]
        cells = [_CELLS.split(row)[5] for row in rows]
        kinds = [frozenset(re.findall(rf"\b({'|'.join(KINDS)})\b", cell)) for cell in cells]
        yield Area(name, tuple(kinds))


def counted(page: str) -> str:
    """The page, with the table as its rows are now.

    Raises:
        ValueError: the page has no place for it.
    """
    found = list(areas(page))
    whole = Area("**All**", tuple(kinds for area in found for kinds in area.evidence))
    table = "\n".join(
        [
            f"| Area | Rows | {' | '.join(kind.capitalize() for kind in KINDS)} |",
            "|---|--:|--:|--:|--:|",
            *(area.row() for area in (*found, whole)),
        ]
    )
    before, begins, rest = page.partition(_BEGINS)
    _, ends, after = rest.partition(_ENDS)
    if not (begins and ends):
        raise ValueError(f"{PAGE} has no place for the counts: {_BEGINS}{_ENDS}")
    return f"{before}{begins}\n{table}\n\n{ends}{after}"


def main() -> int:
    """Write the page; the exit status."""
    PAGE.write_text(counted(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
