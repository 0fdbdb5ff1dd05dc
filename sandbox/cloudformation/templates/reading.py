"""A template as it is submitted, read with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moto.ssm.models import ssm_backends

from sandbox.cloudformation import dynamic_references, exports, secret_references
from sandbox.cloudformation.intrinsics import Resolver, invalid, text
from sandbox.cloudformation.templates.capabilities import capabilities, check_acknowledged
from sandbox.cloudformation.templates.checks import check_sections, transforms
from sandbox.cloudformation.templates.conditions import Conditions, ParameterNames
from sandbox.cloudformation.templates.declarations import declarations, outputs_of
from sandbox.cloudformation.templates.parameters import texts_of, value_of
from sandbox.cloudformation.templates.syntax import parse
from sandbox.cloudformation.templates.template import Template
from sandbox.cloudformation.transform import SAM_TRANSFORM, transform


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
    check_sections(original)
    declared = original.get("Parameters") or {}
    parameters = texts_of(declared, given)
    processed = _process(original, parameters, pseudo, acknowledged=acknowledged, expand=expand)
    check_sections(processed)
    if acknowledged is not None:
        check_acknowledged(capabilities(processed), acknowledged)
    values = {
        **{name: value_of(declared[name], value, pseudo) for name, value in parameters.items()},
        **pseudo,
    }
    resolver = Resolver(
        ParameterNames(values), processed.get("Mappings") or {}, pseudo["AWS::Region"]
    )
    conditions = Conditions(processed.get("Conditions") or {}, resolver).all()
    outputs = outputs_of(processed, conditions, values)
    exports.check_names(outputs, values, resolver)
    template = Template(
        body=body or "",
        processed=processed,
        parameters=parameters,
        hidden=frozenset(
            name for name in declared if text(declared[name].get("NoEcho", False)) == "true"
        ),
        values=values,
        resources=declarations(processed, conditions, values),
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
        check_acknowledged(["CAPABILITY_AUTO_EXPAND"], acknowledged)
    unknown = [macro for macro in macros if macro != SAM_TRANSFORM]
    if unknown:
        raise invalid(f"No transform named {', '.join(unknown)} found.")
    return transform(original, parameters, pseudo["AWS::Region"], pseudo["AWS::AccountId"])
