"""What is checked of a template before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sandbox.cloudformation import schemas, template_limits
from sandbox.cloudformation.intrinsics import invalid, references
from sandbox.cloudformation.templates.parameters import PSEUDO

_RESOURCE_TYPE = re.compile(r"\w+::\w+::\w+(::\w+)?|Custom::[\w@-]+")
_REGION = "us-east-1"
"""Whose types a template has that is validated: it has the most."""


def transforms(template: Mapping[str, Any]) -> list[str]:
    """The macros that the template names in ``Transform``."""
    named = template.get("Transform") or []
    return [named] if isinstance(named, str) else list(named)


def check(template: Mapping[str, Any]) -> None:
    """Check what can be checked of a template without its parameters, and of one with a transform
    before it is transformed. Raises ValidationError."""
    check_sections(template)
    if not transforms(template):
        names = {*(template.get("Parameters") or {}), *PSEUDO}
        check_resources(template["Resources"], names, _REGION)


def check_sections(template: Mapping[str, Any]) -> None:
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for section in ("Parameters", "Conditions", "Outputs", "Mappings"):
        if section in template and not isinstance(template[section], dict):
            raise invalid(
                f"[/{section}] 'null' values are not allowed in templates"
                if template[section] is None
                else f"Template format error: {section} must be an object."
            )
    for name, resource in resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise invalid(
                f"Template format error: [/Resources/{name}] Every Resources object "
                "must contain a Type member."
            )
    _check_nulls(template, "")
    template_limits.check_sections(template)


def _check_nulls(value: Any, path: str) -> None:
    if value is None:
        raise invalid(f"[{path}] 'null' values are not allowed in templates")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_nulls(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_nulls(item, f"{path}/{index}")


def check_resources(resources: Mapping[str, Any], names: set[str], region: str) -> None:
    types = {resource["Type"] for resource in resources.values()}
    unrecognized = sorted(
        kind
        for kind in types
        if not _RESOURCE_TYPE.fullmatch(kind) or not _is_recognized(kind, region)
    )
    if unrecognized:
        listed = ", ".join(unrecognized)
        raise invalid(f"Template format error: Unrecognized resource types: [{listed}]")
    known = {*resources, *names, "AWS::NoValue"}
    for resource in resources.values():
        check_references(resource.get("Properties") or {}, known, set(resources), "Resources")
        _check_names(depends_on(resource), set(resources), "Resources")


def _is_recognized(kind: str, region: str) -> bool:
    return kind.startswith("Custom::") or schemas.is_known(kind, region)


def check_references(value: Any, names: set[str], resources: set[str], section: str) -> None:
    found = list(references(value))
    for name, of_attribute in found:
        if of_attribute and name not in resources:
            raise invalid(
                f"Template error: instance of Fn::GetAtt references undefined resource {name}"
            )
    _check_names([name for name, _ in found], names, section)


def _check_names(found: list[str], names: set[str], section: str) -> None:
    unresolved = sorted(set(found) - names)
    if unresolved:
        raise invalid(
            f"Template format error: Unresolved resource dependencies "
            f"[{', '.join(unresolved)}] in the {section} block of the template"
        )


def check_cycles(graph: Mapping[str, frozenset[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        cycle = ", ".join(sorted(set(problem.args[1])))
        raise invalid(f"Circular dependency between resources: [{cycle}]") from problem


def depends_on(resource: Mapping[str, Any]) -> list[str]:
    named = resource.get("DependsOn") or []
    return [named] if isinstance(named, str) else list(named)
