"""How large templates and their parameters may be
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.cloudformation.intrinsics import invalid

BODY = 51_200
"""Bytes of a template in a request."""
OBJECT = 1_000_000
"""Bytes of a template in S3: the page says 1 MB, and AWS's refusal this number."""
DESCRIPTION = 1_024
"""Bytes."""
VALUE = 4_096
"""Bytes of a parameter's value."""
NAME = 255
"""Characters of a logical ID."""
COUNTS: Mapping[str, int] = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
"""Members of each section."""


def check_body(body: str) -> None:
    """Raises ValidationError for a template that is too large for a request."""
    if len(body.encode()) > BODY:
        raise invalid(
            f"1 validation error detected: Value '{body}' at 'templateBody' failed to satisfy "
            f"constraint: Member must have length less than or equal to {BODY}"
        )


def check_object(stored: bytes) -> None:
    """Raises ValidationError for a template in S3 that is too large."""
    if len(stored) > OBJECT:
        raise invalid(f"Template may not exceed {OBJECT} bytes in size.")


def check_sections(template: Mapping[str, Any]) -> None:
    """Raises ValidationError for too many members, their names, and too long a description."""
    for section, most in COUNTS.items():
        names = list(template.get(section) or {})
        if len(names) > most:
            raise invalid(
                f"Template format error: Number of {section.lower()}, {len(names)}, is greater "
                f"than maximum allowed, {most}"
            )
        if section != "Mappings":
            _check_names(section.removesuffix("s"), names)
    if len(str(template.get("Description") or "").encode()) > DESCRIPTION:
        raise invalid(f"Template format error: 'Description' length is greater than {DESCRIPTION}.")


def _check_names(what: str, names: list[str]) -> None:
    for name in names:
        if not re.fullmatch("[A-Za-z0-9]+", name):
            raise invalid(f"Template format error: {what} name {name} is non alphanumeric.")
        if len(name) > NAME:
            raise invalid(
                f"Template format error: {what} name {name} length is greater than {NAME}."
            )


def check_values(parameters: Mapping[str, str]) -> None:
    """Raises ValidationError for a parameter whose value is too long."""
    for name, value in parameters.items():
        if len(value.encode()) > VALUE:
            raise invalid(
                f"Template format error: Parameter '{name}' value '[****]' length is greater than "
                f"{VALUE}."
            )
