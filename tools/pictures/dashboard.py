"""The application's dashboard in CloudWatch, drawn from its body and the metrics of a sandbox.

It is no screenshot: the places, the titles and the metrics are those of the dashboard's body, the
points those that the sandbox's GetMetricData answers after some minutes with stacks, and the rest
is drawn here.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MinuteLocator
from matplotlib.figure import Figure

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.serve import Ready, running

MINUTES = 6
INTERVAL = 15.0
"""Seconds from one stack to the next one."""

# Amazon CloudWatch API Reference, Dashboard Body Structure and Syntax: 24 columns.
_COLUMNS = 24
_CELL = (0.6, 0.48)
"""The width and height of a cell of the grid, in inches."""
_PLAIN = (0.3, 0.2, 0.3, 0.1)
_GRAPH = (0.5, 0.2, 0.35, 0.85)
"""The free space left, right, above and below in a widget, in inches."""
_STATES = {"OK": "#2e7d46", "ALARM": "#c62828", "INSUFFICIENT_DATA": "#7b8494"}
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a widget.

    Attributes:
        path: its namespace, name, and names and values of dimensions.
        stat: such as Sum, or p99.
        label: what the legend says.
    """

    path: tuple[str, ...]
    stat: str
    label: str


@dataclass(frozen=True, slots=True)
class Minutes:
    """The time that is drawn."""

    start: datetime
    end: datetime


def draw() -> bytes:
    """Create stacks for some minutes, and draw the dashboard as a PNG."""
    with running(parameters={"Dashboard": "true"}) as ready:
        clients = Clients(ready.endpoint)
        start = datetime.now().astimezone()
        _create_stacks(clients, ready)
        shown = Minutes(start.replace(second=0, microsecond=0), datetime.now().astimezone())
        cloudwatch = clients.client("cloudwatch")
        [entry] = cloudwatch.list_dashboards()["DashboardEntries"]
        body = cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"]
        return _drawn(json.loads(body)["widgets"], cloudwatch, shown)


def _create_stacks(clients: Clients, ready: Ready) -> None:
    """Most store an image; each fifth makes a bundle, which fails."""
    _steer(clients, ready.ebs_instance_id, {"image-seconds": "10", "store-seconds": "40"})
    _steer(clients, ready.instance_id, {"seconds": "20", "outcome": "failed"})
    for number in islice(count(), round(MINUTES * 60 / INTERVAL)):
        example, instance = (
            ("bundle.yaml", ready.instance_id)
            if number % 5 == 1
            else ("store-image.yaml", ready.ebs_instance_id)
        )
        clients.cloudformation.create_stack(
            StackName=f"web-{number}",
            TemplateBody=(REPOSITORY / "examples" / example).read_text(),
            Parameters=[
                {"ParameterKey": "InstanceId", "ParameterValue": instance},
                {"ParameterKey": "Bucket", "ParameterValue": ready.bucket},
            ],
        )
        time.sleep(INTERVAL)


def _steer(clients: Clients, instance: str, tags: Mapping[str, str]) -> None:
    clients.ec2.create_tags(
        Resources=[instance],
        Tags=[{"Key": f"sandbox:{key}", "Value": value} for key, value in tags.items()],
    )


def _drawn(widgets: list[dict[str, Any]], cloudwatch: Any, shown: Minutes) -> bytes:
    rows = max(widget["y"] + widget["height"] for widget in widgets)
    cell_width, cell_height = _CELL
    width, height = cell_width * _COLUMNS, cell_height * rows
    figure = Figure(figsize=(width, height), dpi=80)
    for widget in widgets:
        left, right, top, bottom = _GRAPH if widget["type"] == "metric" else _PLAIN
        axes = figure.add_axes(
            (
                (widget["x"] * cell_width + left) / width,
                1 - ((widget["y"] + widget["height"]) * cell_height - bottom) / height,
                (widget["width"] * cell_width - left - right) / width,
                (widget["height"] * cell_height - top - bottom) / height,
            )
        )
        properties = widget["properties"]
        axes.set_title(properties.get("title", ""), loc="left", fontsize=10)
        match widget["type"]:
            case "text":
                _draw_text(axes, properties["markdown"])
            case "alarm":
                _draw_alarms(axes, properties["alarms"], cloudwatch)
            case _:
                _draw_metrics(axes, properties, cloudwatch, shown)
    picture = io.BytesIO()
    # Without this, the file has the version of what drew it.
    figure.savefig(picture, metadata={"Software": None})
    return picture.getvalue()


def _draw_text(axes: Axes, markdown: str) -> None:
    axes.axis("off")
    plain = markdown.replace("**", "").replace("`", "")
    axes.text(0, 0.5, plain, va="center", fontsize=11, transform=axes.transAxes)


def _draw_alarms(axes: Axes, arns: list[str], cloudwatch: Any) -> None:
    """A square for each alarm, in the colour of its state."""
    axes.axis("off")
    alarms = cloudwatch.describe_alarms(AlarmNames=[arn.split(":alarm:")[1] for arn in arns])
    found = sorted(alarms["MetricAlarms"], key=lambda alarm: arns.index(alarm["AlarmArn"]))
    for place, alarm in enumerate(found):
        state = alarm["StateValue"]
        left = place / len(found)
        axes.text(left, 0.7, "■", color=_STATES[state], fontsize=16, va="center")
        axes.text(left + 0.018, 0.7, state, fontsize=9, va="center")
        # The stack's name, the logical ID, and what CloudFormation adds.
        name = alarm["AlarmName"].split("-")[-2]
        axes.text(left, 0.25, name, fontsize=8, va="center")


def _draw_metrics(
    axes: Axes, properties: Mapping[str, Any], cloudwatch: Any, shown: Minutes
) -> None:
    for metric in _metrics(properties):
        times, values = _points(metric, properties["period"], cloudwatch, shown)
        label = metric.label if values else f"{metric.label} (no data)"
        axes.plot(times, values, marker="o", markersize=3, label=label)
    axes.set_xlim(shown.start, shown.end)
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MinuteLocator())
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(0, -0.1))


def _metrics(properties: Mapping[str, Any]) -> Iterator[Metric]:
    """A dot stands for what is above it."""
    above: list[str] = []
    for written in properties["metrics"]:
        parts = [part for part in written if isinstance(part, str)]
        options = written[-1] if isinstance(written[-1], dict) else {}
        above = [above[at] if part == "." else part for at, part in enumerate(parts)]
        stat = options.get("stat", properties["stat"])
        yield Metric((*above,), stat, options.get("label", above[1]))


def _points(
    metric: Metric, period: int, cloudwatch: Any, shown: Minutes
) -> tuple[list[datetime], list[float]]:
    """The times and values of a metric, in the order of time.

    The sandbox has no percentiles: those are taken of the averages of each second.
    """
    if not metric.stat.startswith("p"):
        points = _answered(metric, metric.stat, period, cloudwatch, shown)
        return [when for when, _ in points], [value for _, value in points]
    seconds: dict[datetime, list[float]] = {}
    for when, value in _answered(metric, "Average", 1, cloudwatch, shown):
        seconds.setdefault(when.replace(second=0, microsecond=0), []).append(value)
    percent = float(metric.stat[1:])
    return [*seconds], [_percentile(values, percent) for values in seconds.values()]


def _answered(
    metric: Metric, stat: str, period: int, cloudwatch: Any, shown: Minutes
) -> list[tuple[datetime, float]]:
    namespace, name, *dimensions = metric.path
    pairs = zip(dimensions[::2], dimensions[1::2], strict=True)
    named = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in pairs],
    }
    [answer] = cloudwatch.get_metric_data(
        StartTime=shown.start,
        EndTime=shown.end + timedelta(minutes=1),
        MetricDataQueries=[
            {"Id": "m", "MetricStat": {"Metric": named, "Period": period, "Stat": stat}}
        ],
    )["MetricDataResults"]
    return sorted(zip(answer["Timestamps"], answer["Values"], strict=True))


def _percentile(values: Iterable[float], percent: float) -> float:
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // _PERCENT) - 1)]
