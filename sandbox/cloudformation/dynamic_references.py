"""Dynamic references to SSM parameters: ``{{resolve:ssm:<name>:<version>}}``, or without a version
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html).

They are read when an operation is requested, and not again in its rollback; a change of the value
alone is no update (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/844).
References to secrets and to secure strings stay as they are here; `secret_references` has what they
are to AWS's own types. Custom resources do not support them
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.ssm.models import SimpleSystemManagerBackend

from sandbox.cloudformation.intrinsics import invalid

_REFERENCE = re.compile(r"\{\{resolve:ssm:([A-Za-z0-9_.\-/]+(?::\d+)?)\}\}")
_ANY = re.compile(r"\{\{resolve:(?:ssm|ssm-secure|secretsmanager):[^{}]+\}\}")
_PLAIN = ("String", "StringList")
_LIMIT = 60  # of dynamic references in a template


def used_in(body: str) -> bool:
    """Whether a template may have such references."""
    return "{{resolve:" in body


def values(value: Any, ssm: SimpleSystemManagerBackend) -> dict[str, str]:
    """What the references in `value` stand for, by name and version, as SSM has it now.

    Raises ValidationError for more than a template may have, and where a parameter is missing or a
    secure string.
    """
    named = list(_named(value, _REFERENCE))
    if len(list(_named(value, _ANY))) > _LIMIT:
        raise invalid(f"Template error: a template can have {_LIMIT} dynamic references")
    found = {name: stored for name in named if (stored := ssm.get_parameter(name))}
    missing = [name for name in dict.fromkeys(named) if name not in found]
    if missing:
        listed = ", ".join(f"ssm:{name}" for name in missing)
        raise invalid(f"Parameters: [{listed}] cannot be found.")
    secure = [name for name, stored in found.items() if stored.parameter_type not in _PLAIN]
    if secure:
        raise invalid(f"Parameters: [{', '.join(secure)}] are no plaintext values")
    return {name: stored.value for name, stored in found.items()}


def _named(value: Any, pattern: re.Pattern[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield from pattern.findall(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _named(item, pattern)


def replaced(value: Any, values: Mapping[str, str]) -> Any:
    """`value` with these references replaced."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: replaced(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, values) for item in value]
    return value
