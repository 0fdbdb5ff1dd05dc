"""What CloudFormation checks of exports
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html).

A name is checked with the template, a value when all resources are there. The words are those of
public reports: https://github.com/aws/aws-cdk/issues/5845,
https://github.com/aws-cloudformation/cfn-lint/issues/1632 and
https://github.com/smoketurner/serverless-vpc-plugin/issues/704.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from sandbox.cloudformation.intrinsics import Resolver, invalid, references, text

_NAME = re.compile("[A-Za-z0-9:-]+")
_UNKNOWN_YET = ("Fn::GetAZs", "Fn::ImportValue")


def check_names(
    outputs: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any], resolver: Resolver
) -> None:
    """Check the names of exports. Raises ValidationError.

    values: of parameters, real and pseudo. resolver: that knows these.
    """
    for key, output in outputs.items():
        if "Export" in output:
            _check_name(key, (output["Export"] or {}).get("Name", ""), values, resolver)


def _check_name(key: str, declared: Any, values: Mapping[str, Any], resolver: Resolver) -> None:
    needed = [name for name, _ in references(declared)]
    if any(name not in values for name in needed) or _uses(declared, _UNKNOWN_YET):
        raise _malformed(
            key,
            "The Name field of Export must not depend on any resources, imported values, or "
            "Fn::GetAZs.",
        )
    if not _NAME.fullmatch(text(resolver.resolve(declared))):
        raise _malformed(
            key,
            "The Name field of every Export member must be specified and consist only of "
            "alphanumeric characters, colons, or hyphens.",
        )


def _malformed(key: str, why: str) -> ValidationError:
    return invalid(f"Template format error: Output {key} is malformed. {why}")


def _uses(value: Any, functions: tuple[str, ...]) -> bool:
    if isinstance(value, dict):
        return any(key in functions or _uses(item, functions) for key, item in value.items())
    return isinstance(value, list) and any(_uses(item, functions) for item in value)


def check_value(key: str, value: str) -> None:
    """Check what an output exports. Raises ValidationError."""
    if not value.strip():
        raise invalid(
            f"Cannot export output {key}. Exported values must not be empty or whitespace-only."
        )
