"""AWS's own managed policies, which moto knows only if it is configured to load them all."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend


def make_known(backend: IAMBackend, arn: str) -> None:
    """Have moto know a policy if it is one of AWS's own, such as
    ``arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole``."""
    _, _, _, _, owner, path = arn.split(":", 5)
    name = path.rpartition("/")[2]
    if owner != "aws" or arn in backend.managed_policies or name not in _all():
        return
    policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, _all()[name])
    if policy.arn == arn:
        backend.managed_policies[arn] = policy


@cache
def _all() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    return known
