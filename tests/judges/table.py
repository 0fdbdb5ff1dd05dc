"""The table that `make judges` ends with: a row for each suite."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 150


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the judging software itself, for which a case is left out.

    Attributes:
        case: what can't be shown there.
        reproducer: the command, from the top of the repository, that shows the fault without the
            application.
    """

    case: str
    reproducer: str


@dataclass(slots=True)
class Suite:
    """What one piece of software by others judged.

    Attributes:
        name: the software.
        version: its version.
        judges: what it was applied to, and how, in a few words.
        faults: of its own.
        outcomes: of each case, by the test's ID: `passed`, `failed` or `skipped`.
    """

    name: str
    version: str
    judges: str
    faults: tuple[Fault, ...] = ()
    outcomes: dict[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """`passed`, or how many cases did not."""
        others = [outcome for outcome in self.outcomes.values() if outcome != "passed"]
        return ", ".join(
            f"{others.count(outcome)} {outcome}" for outcome in sorted(set(others))
        ) or ("passed" if self.outcomes else "nothing was run")


def show(suites: Iterable[Suite]) -> None:
    """Print the table, and below it the faults of the others with their reproducers."""
    suites = list(suites)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    columns = ("Suite", "Version", "Judges", "Cases", "Result")
    table = Table(*columns, title="Judges", title_justify="left")
    for suite in suites:
        colour = "green" if suite.result == "passed" else "red"
        table.add_row(
            *(Text(cell, overflow="fold") for cell in (suite.name, suite.version, suite.judges)),
            Text(str(len(suite.outcomes)), justify="right"),
            Text(suite.result, style=colour),
        )
    console.print(table)
    for suite in suites:
        for fault in suite.faults:
            console.print(Text(f"{suite.name} {suite.version}: {fault.case}\n  {fault.reproducer}"))
