"""What a benchmark has to say: tables and plots, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title.

    Attributes:
        title: what is compared, with units.
        columns: their headings; the first column is set left, the others right.
        rows: as many texts each as there are columns.
        notes: what must be known to read it, a sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one design.

    Attributes:
        name: of the design, as the legend gives it.
        points: x and y of each.
        labels: of the points, where each is to be named; as many as points, or none.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, and the name of the file that it goes to.

    Attributes:
        file: name of the PNG file.
        title: what it shows.
        x: what the horizontal axis is, with its unit.
        y: what the vertical axis is, with its unit.
        series: what is drawn.
        kind: lines through the points; or the points alone; or a bar for each series' points, whose
            labels are next to it.
        log: which axes are logarithmic.
    """

    file: str
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    kind: Literal["lines", "points", "bars"] = "lines"
    log: Literal["", "x", "y", "xy"] = ""


@dataclass(frozen=True, slots=True)
class Section:
    """All that one benchmark has to say."""

    title: str
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...] = ()
