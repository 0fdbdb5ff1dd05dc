"""What can be said of a template without its parameters."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.intrinsics import text
from sandbox.cloudformation.templates.capabilities import capabilities
from sandbox.cloudformation.templates.checks import transforms


def summary(template: dict[str, Any]) -> dict[str, Any]:
    """What ValidateTemplate and GetTemplateSummary both say of a template."""
    macros = transforms(template)
    needed = [*capabilities(template), *(["CAPABILITY_AUTO_EXPAND"] if macros else [])]
    return {
        "Description": template.get("Description"),
        "Parameters": [
            _parameter(name, declaration)
            for name, declaration in (template.get("Parameters") or {}).items()
        ],
        "Capabilities": needed,
        "CapabilitiesReason": (
            f"The template requires capabilities: [{', '.join(needed)}]" if needed else None
        ),
        "DeclaredTransforms": macros,
    }


def _parameter(name: str, declaration: dict[str, Any]) -> dict[str, Any]:
    default = declaration.get("Default")
    allowed = [text(value) for value in declaration.get("AllowedValues", [])]
    return {
        "ParameterKey": name,
        "DefaultValue": None if default is None else text(default),
        "ParameterType": declaration.get("Type", "String"),
        "NoEcho": text(declaration.get("NoEcho", False)) == "true",
        "Description": declaration.get("Description"),
        "ParameterConstraints": {"AllowedValues": allowed} if allowed else {},
    }
