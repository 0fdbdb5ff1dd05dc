"""Plots as PNG files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.section import Plot

_INCHES = (8, 5)
_DOTS = 110
_MARKERS = "osD^vP*X<>"
_WIDE = 300
"""Times that a logarithmic axis's end is its beginning, where powers of ten are labels enough."""


def draw(plot: Plot, directory: Path) -> None:
    """Draw a plot into its file in a directory."""
    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained")
    axes = figure.subplots()
    if plot.kind == "bars":
        _bars(axes, plot)
    else:
        _curves(axes, plot)
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
    # Without these, a file's bytes differ from run to run where its picture doesn't.
    figure.savefig(directory / plot.file, metadata={"Software": None})


def _curves(axes: Axes, plot: Plot) -> None:
    for series, marker in zip(plot.series, _MARKERS, strict=False):
        x, y = zip(*series.points, strict=True)
        style = "-" if plot.kind == "lines" else ":"
        axes.plot(x, y, marker=marker, linestyle=style, label=series.name)
        for point, label in zip(series.points, series.labels, strict=False):
            axes.annotate(label, point, (4, 4), textcoords="offset points", fontsize="x-small")
    if "x" in plot.log:
        axes.set_xscale("log")
        _label(axes.xaxis, axes.get_xlim())
    if "y" in plot.log:
        axes.set_yscale("log")
        _label(axes.yaxis, axes.get_ylim())


def _label(axis: Axis, limits: tuple[float, float]) -> None:
    """Label a logarithmic axis with numbers as people write them, some of them even if it has no
    whole decade."""
    low, high = limits
    steps = (1.0,) if high > low * _WIDE else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def _bars(axes: Axes, plot: Plot) -> None:
    """From the top down, in the order of the points."""
    width = 0.8 / len(plot.series)
    for number, series in enumerate(plot.series):
        places = [at + (number - (len(plot.series) - 1) / 2) * width for at, _ in series.points]
        axes.barh(places, [length for _, length in series.points], width, label=series.name)
    first = plot.series[0]
    axes.set_yticks([at for at, _ in first.points], first.labels)
    axes.invert_yaxis()
