"""The outputs of a stack."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation import exports
from sandbox.cloudformation.intrinsics import invalid, text
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.steps import StackNames, resolved
from sandbox.cloudformation.templates import Template
from sandbox.cloudformation.views import Output


def output(stack: Stack, template: Template, key: str) -> Output:
    declared = template.outputs[key]
    names = StackNames(stack, template)
    export = declared.get("Export")
    value = _output_value(key, resolved(template, names, declared["Value"]))
    if export:
        exports.check_value(key, value)
    return Output(
        key=key,
        value=value,
        shown=_output_value(
            key,
            resolved(
                template, StackNames(stack, template, hide_attributes=True), declared["Value"]
            ),
        ),
        description=declared.get("Description"),
        export_name=text(resolved(template, names, export["Name"])) if export else None,
    )


def _output_value(key: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise invalid(
            f"Template format error: The Value field of every Outputs member must evaluate to a "
            f"String. ({key})"
        )
    return text(value)
