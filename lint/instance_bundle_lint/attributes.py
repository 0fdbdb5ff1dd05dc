"""What `Fn::GetAtt` returns of `Custom::InstanceBundle`."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from cfnlint.helpers import REGEX_SUB_PARAMETERS
from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.template import Template

from instance_bundle_lint.schema import TYPE

ATTRIBUTES = (
    *("BundleId", "InstanceId", "Bucket", "Prefix", "S3Uri", "ManifestLocation"),
    *("State", "Progress", "StartTime", "UpdateTime"),
    *("ImageId", "ImageArn", "SnapshotIds"),
)
"""All attributes, which each answer has."""


class UnknownAttribute(CloudFormationLintRule):
    """cfn-lint accepts any attribute of a custom resource. CloudFormation does not: the operation
    fails if the answer lacks it."""

    id = "E9708"
    shortdesc = "Custom::InstanceBundle has no such attribute"
    description = "Fn::GetAtt and Fn::Sub can read the attributes that the function returns"

    def match(self, cfn: Template) -> list[RuleMatch]:
        """Each use of an attribute that is not there."""
        bundles = cfn.get_resources([TYPE])
        return [
            RuleMatch(path, _message(resource, attribute))
            for path, resource, attribute in _uses(cfn)
            if resource in bundles and attribute not in ATTRIBUTES
        ]


def _message(resource: str, attribute: str) -> str:
    close = get_close_matches(attribute, ATTRIBUTES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(ATTRIBUTES)}"
    return f"{resource} has no attribute {attribute}; {hint}"


def _uses(cfn: Template) -> Iterator[tuple[list[Any], str, str]]:
    """The path, resource and attribute of each use."""
    for *path, value in cfn.search_deep_keys("Fn::GetAtt"):
        parts = value.split(".", 1) if isinstance(value, str) else value
        if isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], str):
            for attribute in _values(cfn, parts[1]):
                yield path, parts[0], attribute
    for *path, value in cfn.search_deep_keys("Fn::Sub"):
        text, own = value if isinstance(value, list) and len(value) == 2 else (value, None)
        for name in REGEX_SUB_PARAMETERS.findall(text) if isinstance(text, str) else []:
            resource, dot, attribute = name.strip().partition(".")
            if dot and name.strip() not in (own or ()):
                yield path, resource, attribute


def _values(cfn: Template, attribute: Any) -> list[str]:
    """The names that an attribute can have: it may be a parameter's value."""
    match attribute:
        case str():
            return [attribute]
        case {"Ref": str(name)}:
            match cfn.template.get("Parameters", {}).get(name):
                case {"AllowedValues": [*values]}:
                    return [str(value) for value in values]
                case {"Default": value}:
                    return [str(value)]
    return []
