"""What a stack is to become: a template with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cloudformation.intrinsics import Names, Resolver


@dataclass(frozen=True, slots=True)
class Declaration:
    """A resource as the template declares it, with its conditions decided."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    depends_on: frozenset[str]
    deletion_policy: str
    update_replace_policy: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template with its parameters: what a stack is to become.

    body: as it was submitted. processed: after its transform. parameters: by name, as strings.
    hidden: names of NoEcho parameters. values: what ``Ref`` gives for parameters, real and pseudo.
    resources and outputs: those whose condition holds. references: what dynamic references stand
    for.
    """

    body: str
    processed: dict[str, Any]
    parameters: dict[str, str]
    hidden: frozenset[str]
    values: dict[str, Any]
    resources: dict[str, Declaration]
    outputs: dict[str, dict[str, Any]]
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def description(self) -> str | None:
        description: str | None = self.processed.get("Description")
        return description

    @property
    def graph(self) -> dict[str, frozenset[str]]:
        """The resources, each with those it needs."""
        return {name: resource.depends_on for name, resource in self.resources.items()}

    def resolver(self, names: Names, *, sketching: bool = False) -> Resolver:
        """A resolver of this template's functions."""
        mappings = self.processed.get("Mappings") or {}
        return Resolver(names, mappings, self.values["AWS::Region"], sketching=sketching)

    def sketch(self) -> dict[str, Any]:
        """What the template asks for, as far as it is known before any resource exists: equal
        sketches mean that nothing is to be updated."""
        resolver = self.resolver(_Symbols(self.values), sketching=True)
        return {
            **{
                name: {
                    "Type": resource.type,
                    "Properties": resolver.resolve(resource.properties),
                    "DeletionPolicy": resource.deletion_policy,
                }
                for name, resource in self.resources.items()
            },
            "/Outputs": resolver.resolve(self.outputs),
        }


class _Symbols:
    """Names before there are resources: each stands for itself."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def ref(self, name: str) -> Any:
        return self._values.get(name, f"${{{name}}}")

    def attribute(self, logical_id: str, name: str) -> Any:
        return f"${{{logical_id}.{name}}}"

    def imported(self, name: str) -> Any:
        return f"${{import {name}}}"
