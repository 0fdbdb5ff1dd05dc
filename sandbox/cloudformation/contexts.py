"""The values of properties in a change set, before and after, as far as they are known.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html; examples
are in the user guide, "Example change sets for CloudFormation stacks".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from sandbox.cloudformation.intrinsics import as_text
from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.steps import StackNames
from sandbox.cloudformation.templates import Declaration, Template

KNOWN_AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
"""What stands for a value that is not known yet
(https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2113)."""


class PlannedNames(StackNames):
    """What a template's names will mean in a stack, as far as that is known.

    changed: the resources that are new or are changed, and so may have other IDs and attributes.
    """

    def __init__(self, stack: Stack, template: Template, changed: Set[str]) -> None:
        super().__init__(stack, template, hide_parameters=True, hide_attributes=True)
        self._exports = stack.exports
        self._changed = changed

    def ref(self, name: str) -> Any:
        return KNOWN_AFTER_APPLY if name in self._changed else super().ref(name)

    def attribute(self, logical_id: str, name: str) -> Any:
        if logical_id in self._changed:
            return KNOWN_AFTER_APPLY
        return super().attribute(logical_id, name)

    def imported(self, name: str) -> Any:
        export = self._exports.get(name)
        return KNOWN_AFTER_APPLY if export is None else export.value


def before(stack: Stack, logical_id: str) -> str:
    """A resource as it is."""
    existing = stack.resources[logical_id]
    return _context(existing.declaration, existing.shown)


def after(stack: Stack, wanted: Template, logical_id: str, changed: Set[str]) -> str:
    """A resource as it will be."""
    declaration = wanted.resources[logical_id]
    names = PlannedNames(stack, wanted, changed)
    return _context(declaration, wanted.resolver(names).resolve(declaration.properties))


def _context(declaration: Declaration, properties: Mapping[str, Any]) -> str:
    policies = {
        "UpdateReplacePolicy": declaration.update_replace_policy,
        "DeletionPolicy": declaration.deletion_policy,
    }
    given = {name: policy for name, policy in policies.items() if policy != "Delete"}
    return json.dumps({"Properties": as_text(properties), **given})
