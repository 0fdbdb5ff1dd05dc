"""The table that `make clients` ends with: a row for each command that a client was given."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 150
_COLOURS = {"passed": "green", "skipped": "yellow"}


@dataclass
class Row:
    """A command, as it was typed.

    Attributes:
        client: what it was typed to.
        version: the client's.
        command: the whole line.
        seen: the result, in a word or two.
        test: the test that it was part of.
    """

    client: str
    version: str
    command: str
    seen: str = ""
    test: str = field(default_factory=lambda: os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0])


def show(rows: Iterable[Row], outcomes: Mapping[str, str]) -> None:
    """Print the table; a row's result is that of the test that it was part of.

    Args:
        outcomes: of tests, by their IDs: `passed`, `failed`, or `skipped` and why.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table("Client", "Version", "Command", "Result", title="Clients", title_justify="left")
    for row in rows:
        outcome = outcomes.get(row.test, "failed")
        result = f"{outcome}: {row.seen}" if row.seen else outcome
        colour = _COLOURS.get(outcome.partition(":")[0], "red")
        cells = (row.client, row.version, row.command)
        table.add_row(*(Text(cell, overflow="fold") for cell in cells), Text(result, style=colour))
    console.print(table)
