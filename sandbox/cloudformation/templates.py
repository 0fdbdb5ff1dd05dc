"""CloudFormation templates: how they are read and checked.

moto's own reading is not used: it reads YAML with an unsafe loader and makes dates of strings,
reads ``!Condition`` as ``Fn::Condition``, keeps ``AWS::NoValue`` in lists, cuts ``Fn::GetAtt`` at
the second dot, compares numbers with strings in ``Fn::Equals``, leaves the defaults of list
parameters unsplit, and creates resources while it resolves. What templates mean, and how refusals
are worded, is from the template reference of the CloudFormation user guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml
from moto.cloudformation.exceptions import CloudFormationError
from moto.ssm.models import ssm_backends
from moto.utilities.utils import get_partition

from sandbox.cloudformation import (
    dynamic_references,
    exports,
    secret_references,
    template_limits,
)
from sandbox.cloudformation.intrinsics import (
    Names,
    Resolver,
    as_text,
    choose,
    invalid,
    references,
    text,
)
from sandbox.cloudformation.transform import SAM_TRANSFORM, transform

_RESOURCE_TYPE = re.compile(r"\w+::\w+::\w+(::\w+)?|Custom::[\w@-]+")
_NAMED_IAM_TYPES = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
_IAM_TYPES = {
    *_NAMED_IAM_TYPES,
    "AWS::IAM::AccessKey",
    "AWS::IAM::Policy",
    "AWS::IAM::UserToGroupAddition",
}


_PSEUDO = (
    "AWS::AccountId",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
)


class InsufficientCapabilities(CloudFormationError):
    """The template needs capabilities that the request does not acknowledge."""

    code = "InsufficientCapabilitiesException"


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


def transforms(template: Mapping[str, Any]) -> list[str]:
    """The macros that the template names in ``Transform``."""
    named = template.get("Transform") or []
    return [named] if isinstance(named, str) else list(named)


def capabilities(template: Mapping[str, Any]) -> list[str]:
    """The capabilities that the template's IAM resources need: none, or one of the two IAM ones."""
    iam = [
        resource
        for resource in (template.get("Resources") or {}).values()
        if isinstance(resource, dict) and resource.get("Type") in _IAM_TYPES
    ]
    if any(
        _NAMED_IAM_TYPES.get(resource["Type"]) in (resource.get("Properties") or {})
        for resource in iam
    ):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"] if iam else []


def pseudo_parameters(
    stack_id: str, stack_name: str, region: str, account: str, topics: list[str]
) -> dict[str, Any]:
    """The values of ``AWS::StackId``, ``AWS::Region`` and their like."""
    partition = get_partition(region)
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": topics,
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
    }


def _parameter_texts(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts: dict[str, str] = {}
    for name, declaration in declared.items():
        value = given.get(name, declaration.get("Default"))
        if value is not None:
            texts[name] = ",".join(map(text, value)) if isinstance(value, list) else text(value)
    missing = [name for name in declared if name not in texts]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    template_limits.check_values(texts)
    for name, value in texts.items():
        _check_parameter(name, declared[name], value)
    return texts


def _check_parameter(name: str, declaration: Mapping[str, Any], value: str) -> None:
    problem = _parameter_problem(declaration, value)
    if not problem:
        return
    described = declaration.get("ConstraintDescription")
    raise invalid(
        f"Parameter '{name}' failed to satisfy constraint: {described}"
        if described
        else f"Parameter '{name}' {problem}"
    )


def _parameter_problem(declaration: Mapping[str, Any], value: str) -> str | None:
    kind = str(declaration.get("Type", "String"))
    items = _items(value) if _is_list(kind) else [value]
    if "AllowedValues" in declaration:
        allowed = [text(choice) for choice in declaration["AllowedValues"]]
        if any(item not in allowed for item in items):
            return "must be one of AllowedValues"
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not all(re.fullmatch(pattern, item) for item in items):
        return f"must match pattern {pattern}"
    if "MinLength" in declaration and len(value) < int(declaration["MinLength"]):
        return f"must contain at least {declaration['MinLength']} characters"
    if "MaxLength" in declaration and len(value) > int(declaration["MaxLength"]):
        return f"must contain at most {declaration['MaxLength']} characters"
    if kind in ("Number", "List<Number>"):
        return _number_problem(declaration, items)
    return None


def _number_problem(declaration: Mapping[str, Any], items: list[str]) -> str | None:
    try:
        numbers = [float(item) for item in items]
    except ValueError:
        return "must be a number"
    if "MinValue" in declaration and min(numbers) < float(declaration["MinValue"]):
        return f"must be a number not less than {declaration['MinValue']}"
    if "MaxValue" in declaration and max(numbers) > float(declaration["MaxValue"]):
        return f"must be a number not greater than {declaration['MaxValue']}"
    return None


def _is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",")] if value else []


def _number(value: str) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


def _parameter_value(declaration: Mapping[str, Any], value: str, pseudo: Mapping[str, Any]) -> Any:
    """What ``Ref`` gives for the parameter: a string, a number, or a list."""
    kind = str(declaration.get("Type", "String"))
    if kind.startswith("AWS::SSM::Parameter::Value<"):
        kind = kind.removeprefix("AWS::SSM::Parameter::Value<").removesuffix(">")
        stored = ssm_backends[pseudo["AWS::AccountId"]][pseudo["AWS::Region"]].get_parameter(value)
        if stored is None:
            raise invalid(
                f"Unable to fetch parameters [{value}] from parameter store for this account"
            )
        value = stored.value
    if kind == "Number":
        return _number(value)
    if kind == "List<Number>":
        return [_number(item) for item in _items(value)]
    return _items(value) if _is_list(kind) else value


class _ParameterNames:
    """Names where no resource can be referred to: in conditions."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def ref(self, name: str) -> Any:
        if name not in self._values:
            raise invalid(
                f"Template format error: Unresolved dependencies [{name}]. "
                "Cannot reference resources in the Conditions block of the template"
            )
        return self._values[name]

    def attribute(self, logical_id: str, name: str) -> Any:
        raise invalid(f"Template error: Cannot use Fn::GetAtt in Conditions: {logical_id}.{name}")

    def imported(self, name: str) -> Any:
        raise invalid(f"Template error: Cannot use Fn::ImportValue in Conditions: {name}")


class _Conditions:
    def __init__(self, expressions: Mapping[str, Any], resolver: Resolver) -> None:
        self._expressions = expressions
        self._resolver = resolver
        self._open: list[str] = []

    def all(self) -> dict[str, bool]:
        return {name: self._named(name) for name in self._expressions}

    def _named(self, name: str) -> bool:
        if name not in self._expressions:
            raise invalid(
                f"Template error: unresolved condition dependency {name} "
                "in the Conditions block of the template"
            )
        if name in self._open:
            raise invalid(f"Circular dependency between conditions: [{', '.join(self._open)}]")
        self._open.append(name)
        holds = self._holds(self._expressions[name])
        self._open.pop()
        return holds

    def _holds(self, expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return self._named(name)
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::And": [*inner]}:
                return all(self._holds(item) for item in inner)
            case {"Fn::Or": [*inner]}:
                return any(self._holds(item) for item in inner)
            case {"Fn::Equals": [left, right]}:
                return bool(
                    as_text(self._resolver.resolve(left)) == as_text(self._resolver.resolve(right))
                )
        raise invalid(
            "Template format error: Every Conditions member must be an intrinsic function "
            "that gives a condition"
        )


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


def read(
    body: str | None,
    given: Mapping[str, str],
    pseudo: Mapping[str, Any],
    *,
    acknowledged: list[str] | None,
    expand: bool,
) -> Template:
    """The template in `body` with the parameters `given`, checked as CloudFormation checks it.

    `acknowledged` are the request's capabilities (None: they are not asked for); with `expand` a
    transform needs no capability, as in a change set. Raises ValidationError and
    InsufficientCapabilities.
    """
    original = parse(body)
    _check_sections(original)
    declared = original.get("Parameters") or {}
    parameters = _parameter_texts(declared, given)
    processed = _process(original, parameters, pseudo, acknowledged=acknowledged, expand=expand)
    _check_sections(processed)
    if acknowledged is not None:
        _check_capabilities(capabilities(processed), acknowledged)
    values = {
        **{
            name: _parameter_value(declared[name], value, pseudo)
            for name, value in parameters.items()
        },
        **pseudo,
    }
    resolver = Resolver(
        _ParameterNames(values), processed.get("Mappings") or {}, pseudo["AWS::Region"]
    )
    conditions = _Conditions(processed.get("Conditions") or {}, resolver).all()
    outputs = _outputs(processed, conditions, values)
    exports.check_names(outputs, values, resolver)
    template = Template(
        body=body or "",
        processed=processed,
        parameters=parameters,
        hidden=frozenset(
            name for name in declared if text(declared[name].get("NoEcho", False)) == "true"
        ),
        values=values,
        resources=_declarations(processed, conditions, values),
        outputs=outputs,
    )
    if not dynamic_references.used_in(template.body):
        return template
    ssm = ssm_backends[pseudo["AWS::AccountId"]][pseudo["AWS::Region"]]
    sketch = template.sketch()
    secret_references.check({name: sketch[name] for name in template.resources})
    return replace(template, references=dynamic_references.values(sketch, ssm))


def _process(
    original: dict[str, Any],
    parameters: Mapping[str, str],
    pseudo: Mapping[str, Any],
    *,
    acknowledged: list[str] | None,
    expand: bool,
) -> dict[str, Any]:
    macros = transforms(original)
    if not macros:
        return original
    if acknowledged is not None and not expand:
        _check_capabilities(["CAPABILITY_AUTO_EXPAND"], acknowledged)
    unknown = [macro for macro in macros if macro != SAM_TRANSFORM]
    if unknown:
        raise invalid(f"No transform named {', '.join(unknown)} found.")
    return transform(original, parameters, pseudo["AWS::Region"], pseudo["AWS::AccountId"])


def _check_capabilities(needed: list[str], acknowledged: list[str]) -> None:
    if "CAPABILITY_NAMED_IAM" in acknowledged:
        acknowledged = [*acknowledged, "CAPABILITY_IAM"]
    missing = [capability for capability in needed if capability not in acknowledged]
    if missing:
        raise InsufficientCapabilities(f"Requires capabilities : [{', '.join(missing)}]")


def _check_sections(template: Mapping[str, Any]) -> None:
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


def check(template: Mapping[str, Any]) -> None:
    """Check what can be checked of a template without its parameters, and of one with a transform
    before it is transformed. Raises ValidationError."""
    _check_sections(template)
    if not transforms(template):
        names = {*(template.get("Parameters") or {}), *_PSEUDO}
        _check_resources(template["Resources"], names)


def _check_resources(resources: Mapping[str, Any], names: set[str]) -> None:
    types = {resource["Type"] for resource in resources.values()}
    unrecognized = sorted(
        kind
        for kind in types
        if not _RESOURCE_TYPE.fullmatch(kind) or kind.startswith("AWS::Serverless::")
    )
    if unrecognized:
        listed = ", ".join(unrecognized)
        raise invalid(f"Template format error: Unrecognized resource types: [{listed}]")
    known = {*resources, *names, "AWS::NoValue"}
    for resource in resources.values():
        _check_references(resource.get("Properties") or {}, known, set(resources), "Resources")
        _check_names(_depends_on(resource), set(resources), "Resources")


def _declarations(
    template: Mapping[str, Any], conditions: Mapping[str, bool], values: Mapping[str, Any]
) -> dict[str, Declaration]:
    resources: dict[str, Any] = template["Resources"]
    _check_resources(resources, set(values))
    kept = {
        name: resource
        for name, resource in resources.items()
        if _applies(resource, conditions, "Resources")
    }
    declared = {
        name: _declaration(name, resource, conditions, set(kept)) for name, resource in kept.items()
    }
    for declaration in declared.values():
        _check_references(declaration.properties, {*kept, *values}, set(kept), "Resources")
    _check_cycles({name: resource.depends_on for name, resource in declared.items()})
    return declared


def _declaration(
    name: str, resource: Mapping[str, Any], conditions: Mapping[str, bool], kept: set[str]
) -> Declaration:
    properties = choose(resource.get("Properties") or {}, conditions) or {}
    needed = {needed for needed, _ in references(properties)} | set(_depends_on(resource))
    return Declaration(
        logical_id=name,
        type=resource["Type"],
        properties=properties,
        depends_on=frozenset(needed & kept),
        deletion_policy=resource.get("DeletionPolicy", "Delete"),
        update_replace_policy=resource.get("UpdateReplacePolicy", "Delete"),
    )


def _depends_on(resource: Mapping[str, Any]) -> list[str]:
    named = resource.get("DependsOn") or []
    return [named] if isinstance(named, str) else list(named)


def _applies(member: Mapping[str, Any], conditions: Mapping[str, bool], section: str) -> bool:
    name = member.get("Condition")
    if name is not None and name not in conditions:
        raise invalid(
            f"Template format error: Unresolved condition dependency {name} "
            f"in the {section} block of the template"
        )
    return name is None or conditions[name]


def _check_references(value: Any, names: set[str], resources: set[str], section: str) -> None:
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


def _check_cycles(graph: Mapping[str, frozenset[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        cycle = ", ".join(sorted(set(problem.args[1])))
        raise invalid(f"Circular dependency between resources: [{cycle}]") from problem


def _outputs(
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
            _check_references(outputs[name], {*resources, *values}, resources, "Outputs")
    return outputs
