"""What CloudFormation does when a managed policy of IAM's is changed; moto's model does nothing.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.iam.models import ManagedPolicy

VERSIONS = 5
"""How many versions of a policy there may be."""


def update(policy: ManagedPolicy, properties: Mapping[str, Any]) -> None:
    """Make a new default version of the policy, in the place of the oldest if there is no room."""
    if len(policy.versions) >= VERSIONS:
        oldest = next(version for version in policy.versions if not version.is_default_version)
        policy.backend.delete_policy_version(policy.arn, oldest.version_id)
    document = json.dumps(properties["PolicyDocument"])
    policy.backend.create_policy_version(policy.arn, document, set_as_default=True)
