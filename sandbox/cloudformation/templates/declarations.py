"""The resources and outputs that a template declares, with its conditions decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.intrinsics import choose, invalid, references
from sandbox.cloudformation.templates.checks import (
    check_cycles,
    check_references,
    check_resources,
    depends_on,
)
from sandbox.cloudformation.templates.template import Declaration


def declarations(
    template: Mapping[str, Any], conditions: Mapping[str, bool], values: Mapping[str, Any]
) -> dict[str, Declaration]:
    resources: dict[str, Any] = template["Resources"]
    check_resources(resources, set(values), values["AWS::Region"])
    kept = {
        name: resource
        for name, resource in resources.items()
        if _applies(resource, conditions, "Resources")
    }
    declared = {
        name: _declaration(name, resource, conditions, set(kept)) for name, resource in kept.items()
    }
    for declaration in declared.values():
        check_references(declaration.properties, {*kept, *values}, set(kept), "Resources")
    check_cycles({name: resource.depends_on for name, resource in declared.items()})
    return declared


def _declaration(
    name: str, resource: Mapping[str, Any], conditions: Mapping[str, bool], kept: set[str]
) -> Declaration:
    properties = choose(resource.get("Properties") or {}, conditions) or {}
    needed = {needed for needed, _ in references(properties)} | set(depends_on(resource))
    return Declaration(
        logical_id=name,
        type=resource["Type"],
        properties=properties,
        depends_on=frozenset(needed & kept),
        deletion_policy=resource.get("DeletionPolicy", "Delete"),
        update_replace_policy=resource.get("UpdateReplacePolicy", "Delete"),
    )


def _applies(member: Mapping[str, Any], conditions: Mapping[str, bool], section: str) -> bool:
    name = member.get("Condition")
    if name is not None and name not in conditions:
        raise invalid(
            f"Template format error: Unresolved condition dependency {name} "
            f"in the {section} block of the template"
        )
    return name is None or conditions[name]


def outputs_of(
    template: Mapping[str, Any], conditions: Mapping[str, bool], values: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    resources = {
        name
        for name, resource in template["Resources"].items()
        if _applies(resource, conditions, "Resources")
    }
    outputs: dict[str, dict[str, Any]] = {}
    for name, output in (template.get("Outputs") or {}).items():
        if not isinstance(output, dict) or "Value" not in output:
            raise invalid(f"Template format error: Output {name} must have a Value.")
        if _applies(output, conditions, "Outputs"):
            outputs[name] = choose(output, conditions)
            check_references(outputs[name], {*resources, *values}, resources, "Outputs")
    return outputs
