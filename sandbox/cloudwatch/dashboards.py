"""What PutDashboard refuses, of the API and of templates
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fastjsonschema
from moto.cloudwatch.exceptions import DashboardInvalidInputError
from moto.cloudwatch.models import CloudWatchBackend, Dashboard

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_STATISTIC = (
    r"^(SampleCount|Average|Sum|Minimum|Maximum|IQM|(p|tm|tc|ts|wm)\d{1,3}(\.\d+)?"
    r"|(PR|TM|TC|TS|WM)\(.*\))$"
)
_DIMENSIONS = 30
"""Of a metric, at most (Amazon CloudWatch User Guide, CloudWatch quotas)."""

_PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    "alarm": {
        "required": ["alarms"],
        "properties": {
            "alarms": {
                "type": "array",
                "minItems": 1,
                "maxItems": 100,
                "items": {
                    "type": "string",
                    "pattern": r"^arn:[^:]+:cloudwatch:[^:]+:\d{12}:alarm:",
                },
            }
        },
    },
    "metric": {
        "required": ["region"],
        "anyOf": [{"required": ["metrics"]}, {"required": ["annotations"]}],
        "properties": {
            "region": {"type": "string"},
            "period": {
                "type": "integer",
                "anyOf": [{"enum": [1, 5, 10, 20, 30]}, {"minimum": 60, "multipleOf": 60}],
            },
            "stat": {"type": "string", "pattern": _STATISTIC},
            "view": {"enum": ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"]},
            "metrics": {
                "type": "array",
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": ["string", "object"],
                        "properties": {"stat": {"type": "string", "pattern": _STATISTIC}},
                    },
                },
            },
        },
    },
    "text": {"required": ["markdown"], "properties": {"markdown": {"type": "string"}}},
}
"""The properties of a widget, by its type; those of other types are not checked."""

_BODY: Mapping[str, Any] = {
    "type": "object",
    "required": ["widgets"],
    "properties": {
        "periodOverride": {"enum": ["auto", "inherit"]},
        "widgets": {
            "type": "array",
            "maxItems": 500,
            "items": {
                "type": "object",
                "required": ["type", "properties"],
                "properties": {
                    "type": {"enum": [*_PROPERTIES, "chart", "custom", "explorer", "log"]},
                    "x": {"type": "integer", "minimum": 0, "maximum": 23},
                    "y": {"type": "integer", "minimum": 0},
                    "width": {"type": "integer", "minimum": 1, "maximum": 24},
                    "height": {"type": "integer", "minimum": 1, "maximum": 1000},
                    "properties": {"type": "object"},
                },
                "allOf": [
                    {
                        "if": {"required": ["type"], "properties": {"type": {"const": type_}}},
                        "then": {"properties": {"properties": properties}},
                    }
                    for type_, properties in _PROPERTIES.items()
                ],
            },
        },
    },
}
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""

_validate = fastjsonschema.compile(dict(_BODY))


def checked() -> Callable[..., Dashboard]:
    """moto's PutDashboard, which refuses what CloudWatch refuses."""
    put_dashboard = CloudWatchBackend.put_dashboard

    @functools.wraps(put_dashboard)
    def put(backend: CloudWatchBackend, name: str, body: str) -> Dashboard:
        if not _NAME.fullmatch(name):
            raise DashboardInvalidInputError(f"The name {name} is not valid")
        problems = list(_problems(_parsed(body)))
        if problems:
            found = json.dumps(
                [dict(zip(_FIELDS, each, strict=True)) for each in problems], indent=2
            )
            count = f"there are {len(problems)} validation errors"
            raise DashboardInvalidInputError(f"The dashboard body is invalid, {count}:\n{found}")
        return put_dashboard(backend, name, body)

    return put


_FIELDS = ("dataPath", "message")


def _parsed(body: str) -> Any:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise DashboardInvalidInputError("The field DashboardBody must be a valid JSON object")
    return parsed


def _problems(body: Any) -> Iterator[tuple[str, str]]:
    """The path and the message of what is wrong: the schema's first, or else each bad metric."""
    try:
        _validate(body)
    except fastjsonschema.JsonSchemaValueException as problem:
        yield "".join(f"/{part}" for part in problem.path[1:]), problem.message
        return
    for number, widget in enumerate(body["widgets"]):
        if widget["type"] != "metric":
            continue
        for index, metric in enumerate(widget["properties"].get("metrics", [])):
            for message in _problems_of_metric(metric):
                yield f"/widgets/{number}/properties/metrics/{index}", message


def _problems_of_metric(metric: list[Any]) -> Iterator[str]:
    """A metric is its namespace, its name, and pairs of a dimension's name and value; an object at
    the end says how it is shown. An expression is such an object alone."""
    *others, last = metric
    parts = others if isinstance(last, dict) else metric
    if not all(isinstance(part, str) for part in parts):
        yield 'Invalid metric field type, only "String" type is allowed'
    elif not parts:
        if "expression" not in last:
            yield "Should have required property 'expression'"
    elif "..." not in parts and (len(parts) < 2 or len(parts) % 2):
        yield "Should be a namespace, a name, and pairs of a dimension's name and value"
    elif len(parts) > 2 + 2 * _DIMENSIONS:
        yield f"Should NOT have more than {_DIMENSIONS} dimensions"
