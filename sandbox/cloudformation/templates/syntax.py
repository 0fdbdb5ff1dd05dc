"""The text of a template: YAML or JSON, read as CloudFormation reads it."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import yaml

from sandbox.cloudformation.intrinsics import invalid


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short-form functions, no dates, keys as strings."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        return {
            self.construct_scalar(key): self.construct_object(value, deep=deep)
            for key, value in node.value
        }


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


def parse(body: str | None) -> dict[str, Any]:
    """The template in `body`, YAML or JSON, with short-form functions written out.

    Raises ValidationError for a body that is no mapping.
    """
    if not body:
        raise invalid("Either Template URL or Template Body must be specified.")
    try:
        if body.lstrip().startswith("{"):
            template = json.loads(body)
        else:
            template = yaml.load(body, Loader=_Loader)  # noqa: S506 (it is a SafeLoader)
    except json.JSONDecodeError as problem:
        raise invalid(
            f"Template format error: JSON not well-formed. "
            f"(line {problem.lineno}, column {problem.colno})"
        ) from problem
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{place}") from problem
    except yaml.YAMLError as problem:
        raise invalid(f"Template format error: YAML not well-formed. {problem}") from problem
    if not isinstance(template, dict):
        raise invalid("Template format error: unsupported structure.")
    return template
