"""All rules: cfn-lint makes one of each class that it finds in this module.

docs/lint.md describes them. cfn-lint leaves the numbers from 9000 to rules of others (cfn-lint,
docs/rules.md); 9701 to 9799 are ours.
"""

from instance_bundle_lint.attributes import UnknownAttribute
from instance_bundle_lint.handles import NobodyWaits, NoHandle, ReusedHandle
from instance_bundle_lint.properties import (
    Forbidden,
    InvalidLocation,
    InvalidProperty,
    InvalidTimeout,
    Missing,
    OldBucketName,
    RepeatedTag,
    UnknownProperty,
)

__all__ = [
    "Forbidden",
    "InvalidLocation",
    "InvalidProperty",
    "InvalidTimeout",
    "Missing",
    "NoHandle",
    "NobodyWaits",
    "OldBucketName",
    "RepeatedTag",
    "ReusedHandle",
    "UnknownAttribute",
    "UnknownProperty",
]
