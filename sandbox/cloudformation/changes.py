"""What a template would change of a stack, and what CloudFormation refuses to change."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation import contexts
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.templates import Template
from sandbox.cloudformation.views import Settings

_NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


def problem(stack: Stack, wanted: Template, settings: Settings) -> str | None:
    """Why a change set of an existing stack fails."""
    return retyped(stack, wanted) or (_NO_CHANGES if unchanged(stack, wanted, settings) else None)


def retyped(stack: Stack, wanted: Template) -> str | None:
    """What is said of logical IDs that stand for resources of other types than before
    (its words: https://github.com/aws/aws-sam-cli/issues/6786)."""
    before = stack.template.resources if stack.template else {}
    changed = [
        name
        for name, resource in wanted.resources.items()
        if name in before and before[name].type != resource.type
    ]
    if not changed:
        return None
    return (
        "Update of resource type is not permitted. The new template modifies resource type of the "
        f"following resources: [{', '.join(changed)}]"
    )


def unchanged(stack: Stack, wanted: Template, settings: Settings) -> bool:
    """Whether nothing is to be updated. What failed is retried."""
    if stack.status.endswith("_FAILED"):
        return False
    before = stack.template.sketch() if stack.template else {}
    return before == wanted.sketch() and stack.settings.tags == settings.tags


def described(stack: Stack, wanted: Template) -> list[dict[str, Any]]:
    """The change of each resource, as DescribeChangeSet gives it with the properties' values."""
    before = stack.template.sketch() if stack.template else {}
    after = wanted.sketch()
    old = stack.template.resources if stack.template else {}
    changed = {name for name in after if before.get(name) != after[name]}
    changed |= {name for name, resource in stack.resources.items() if resource.made is None}
    found = []
    for name in {**old, **wanted.resources}:
        if name not in old:
            change = {"Action": "Add", "ResourceType": wanted.resources[name].type}
        elif name not in wanted.resources:
            change = {"Action": "Remove", "ResourceType": old[name].type}
        elif before[name] != after[name]:
            change = {"Action": "Modify", "ResourceType": old[name].type}
            change["Replacement"] = "Conditional"
        else:
            continue
        existing = stack.resources.get(name)
        physical_id = existing.physical_id if existing else None
        if existing and change["Action"] != "Add":
            change["BeforeContext"] = contexts.before(stack, name)
        if change["Action"] != "Remove":
            change["AfterContext"] = contexts.after(stack, wanted, name, changed)
        found.append(
            {
                **change,
                "LogicalResourceId": name,
                "PhysicalResourceId": physical_id,
                "Scope": ["Properties"] if change["Action"] == "Modify" else [],
                "Details": [],
            }
        )
    return found
