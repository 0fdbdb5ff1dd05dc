"""Plots as PNG files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.section import Plot

_INCHES = (8, 5)
_DOTS = 110
_MARKERS = "osD^vP*X<>"


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
    if "y" in plot.log:
        axes.set_yscale("log")


def _bars(axes: Axes, plot: Plot) -> None:
    width = 0.8 / len(plot.series)
    for number, series in enumerate(plot.series):
        places = [at + (number - (len(plot.series) - 1) / 2) * width for at, _ in series.points]
        axes.bar(places, [height for _, height in series.points], width, label=series.name)
    first = plot.series[0]
    axes.set_xticks([at for at, _ in first.points], first.labels)
