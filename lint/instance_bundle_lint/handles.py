"""Wait condition handles in `CompletionHandle`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from cfnlint.helpers import REGEX_SUB_PARAMETERS
from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.template import Template

from instance_bundle_lint.schema import TYPE

_ANY = {True, False}
_HANDLE = "AWS::CloudFormation::WaitConditionHandle"


@dataclass(frozen=True, slots=True)
class _Use:
    """One value that `CompletionHandle` can have.

    Attributes:
        resource: the logical ID of the bundle.
        value: a text, or a function that is not `Fn::If`.
        path: where the value is in the template.
    """

    resource: str
    value: Any
    path: tuple[Any, ...]

    @property
    def name(self) -> str | None:
        """What it refers to by `Ref`, or by `Fn::Sub` of one name; None of another value."""
        match self.value:
            case {"Ref": str(name)}:
                return name
            case {"Fn::Sub": str(text)}:
                names = REGEX_SUB_PARAMETERS.findall(text)
                return str(names[0]) if names and text == f"${{{names[0]}}}" else None
        return None

    @property
    def is_fixed(self) -> bool:
        """Whether it is a URL that the template itself has."""
        text = self.value.get("Fn::Sub") if isinstance(self.value, Mapping) else self.value
        return isinstance(text, str) and text.startswith("http")


class NoHandle(CloudFormationLintRule):
    id = "E9709"
    shortdesc = "CompletionHandle of Custom::InstanceBundle is no wait condition handle"
    description = "The Ref of an AWS::CloudFormation::WaitConditionHandle is the URL to signal to"

    def match(self, cfn: Template) -> list[RuleMatch]:
        """Each value that is another resource's, or a URL in the template itself."""
        resources = cfn.get_resources()
        return [
            RuleMatch(use.path, _no_handle(use, resources))
            for use in _uses(cfn)
            if use.is_fixed
            or (use.name in resources and resources[use.name].get("Type") != _HANDLE)
        ]


class ReusedHandle(CloudFormationLintRule):
    id = "E9710"
    shortdesc = "CompletionHandle of Custom::InstanceBundle is another bundle's"
    description = "Each bundle needs its own handle: a condition cannot say which bundle signalled"

    def match(self, cfn: Template) -> list[RuleMatch]:
        """Each handle that two bundles have at once."""
        pairs = combinations((use for use in _uses(cfn) if use.name), 2)
        return [
            RuleMatch(
                second.path,
                f"CompletionHandle: {second.name} is the handle of {first.resource}; give "
                f"{second.resource} a handle and a condition of its own",
            )
            for first, second in pairs
            if first.name == second.name
            and first.resource != second.resource
            and _at_once(cfn, first, second)
        ]


class NobodyWaits(CloudFormationLintRule):
    id = "W9712"
    shortdesc = "Nothing waits for CompletionHandle of Custom::InstanceBundle"
    description = "The stack completes before the work, unless a wait condition has the handle"

    def match(self, cfn: Template) -> list[RuleMatch]:
        """Each handle that the template uses for bundles only."""
        resources, uses = cfn.get_resources(), list(_uses(cfn))
        elsewhere = Counter(_references(cfn)) - Counter(use.name for use in uses if use.name)
        return [
            RuleMatch(
                use.path,
                f"CompletionHandle: no AWS::CloudFormation::WaitCondition has the handle {use.name}"
                "; the stack does not wait for the work",
            )
            for use in uses
            if use.name in resources
            and resources[use.name].get("Type") == _HANDLE
            and use.name not in elsewhere
        ]


def _no_handle(use: _Use, resources: Mapping[str, Any]) -> str:
    is_a = (
        f"{use.name} is of type {resources[use.name].get('Type')}" if use.name else "is a fixed URL"
    )
    return f"CompletionHandle: {is_a}; give !Ref of an {_HANDLE}"


def _uses(cfn: Template) -> Iterator[_Use]:
    for resource, definition in cfn.get_resources([TYPE]).items():
        properties = definition.get("Properties")
        if isinstance(properties, dict) and isinstance(definition.get("Condition", ""), str):
            path = ("Resources", resource, "Properties", "CompletionHandle")
            for at, value in _values(properties.get("CompletionHandle"), path):
                yield _Use(resource, value, at)


def _values(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values, with their paths, between which `Fn::If` chooses."""
    match value:
        case {"Fn::If": [str(), yes, no]}:
            yield from _values(yes, (*path, "Fn::If", 1))
            yield from _values(no, (*path, "Fn::If", 2))
        case _:
            yield path, value


def _at_once(cfn: Template, first: _Use, second: _Use) -> bool:
    """Whether the conditions of both can hold in the same stack."""
    one, other = (
        cfn.get_conditions_from_path(cfn.template, [*use.path]) for use in (first, second)
    )
    both = {name: one.get(name, _ANY) & other.get(name, _ANY) for name in {*one, *other}}
    return all(both.values()) and (not both or any(cfn.conditions.build_scenarios(both)))


def _references(cfn: Template) -> Iterator[str]:
    """Each name that a `Ref` or an `Fn::Sub` of the template refers to, once for each time."""
    yield from (path[-1] for path in cfn.search_deep_keys("Ref") if isinstance(path[-1], str))
    for path in cfn.search_deep_keys("Fn::Sub"):
        text = path[-1][0] if isinstance(path[-1], list) else path[-1]
        if isinstance(text, str):
            yield from REGEX_SUB_PARAMETERS.findall(text)
