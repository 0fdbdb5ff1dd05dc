"""The templates of the stacks that are recorded.

A resource's property `Name` is its identity: another one replaces it, since its physical ID is made
of logical ID and name. Its property `Note` is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Template = Mapping[str, Any]

SERVICE_TOKEN = "ServiceToken"  # noqa: S105  a parameter's name
BUCKET_URL = "{bucket-url}"
"""Stands for the address of the bucket that has the templates of nested stacks."""

LONGEST_WAIT = "600"
"""Seconds for which CloudFormation waits for an answer; so a stack ends if nobody answers."""


def resource(
    name: str = "one", *, note: str = "", service_timeout: str = LONGEST_WAIT, **attributes: Any
) -> dict[str, Any]:
    """A custom resource.

    Args:
        name: its identity.
        note: what an update changes in place.
        service_timeout: seconds.
        attributes: `DependsOn` and the other attributes of a resource.
    """
    return {
        "Type": "Custom::Recorded",
        **attributes,
        "Properties": {
            "ServiceToken": {"Ref": SERVICE_TOKEN},
            "ServiceTimeout": service_timeout,
            "Name": name,
            "Note": note,
        },
    }


def template(**resources: dict[str, Any]) -> Template:
    """A template of these resources, by their logical IDs."""
    return {
        "Parameters": {SERVICE_TOKEN: {"Type": "String"}},
        "Resources": resources,
    }


def nested(key: str, **attributes: Any) -> dict[str, Any]:
    """A nested stack, its template the object of that key."""
    return {
        "Type": "AWS::CloudFormation::Stack",
        **attributes,
        "Properties": {
            "TemplateURL": f"{BUCKET_URL}/{key}",
            "Parameters": {SERVICE_TOKEN: {"Ref": SERVICE_TOKEN}},
        },
    }
