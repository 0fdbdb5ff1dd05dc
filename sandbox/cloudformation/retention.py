"""Which resources a stack has, and which of them their policies keep."""

from __future__ import annotations

from sandbox.cloudformation.stacks import Stack
from sandbox.cloudformation.views import Resource


def existing(stack: Stack) -> dict[str, Resource]:
    """The resources that are there, or may be, by their logical IDs."""
    return {name: resource for name, resource in stack.resources.items() if resource.exists}


def replaced(stack: Stack) -> list[Resource]:
    """What resources were before they were created again, where that is something else."""
    return [
        resource
        for resource in stack.former
        if resource.physical_id != stack.resources[resource.declaration.logical_id].physical_id
    ]


def retained(resource: Resource) -> bool:
    """Whether a deletion keeps the resource."""
    return resource.declaration.deletion_policy in ("Retain", "RetainExceptOnCreate")


def retained_on_creation(resource: Resource) -> bool:
    """Whether the rollback of the operation that created the resource keeps it."""
    return resource.declaration.deletion_policy == "Retain"


def retained_on_replacement(resource: Resource) -> bool:
    """Whether the clean-up after a replacement keeps the resource."""
    return resource.declaration.update_replace_policy == "Retain"
