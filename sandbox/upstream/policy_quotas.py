"""How large IAM lets policies be, which moto does not check. White space does not count.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.iam.exceptions import LimitExceededException
from moto.iam.models import Group, IAMBackend, Role, User

INLINE: Mapping[str, int] = {"role": 10_240, "group": 5_120, "user": 2_048}
"""Characters of all inline policies together, by what has them."""
MANAGED = 6_144
"""Characters of a managed policy."""
TRUST = 2_048
"""Characters of a role's trust policy."""


@contextmanager
def enforced() -> Iterator[None]:
    """Have moto refuse policies that are too large, of all accounts."""
    with ExitStack() as patches:
        for owner, name, guarded in (
            (Role, "put_policy", _inline(Role.put_policy, "role")),
            (Group, "put_policy", _inline(Group.put_policy, "group")),
            (User, "put_policy", _inline(User.put_policy, "user")),
            (IAMBackend, "create_policy", _managed(IAMBackend.create_policy)),
            (IAMBackend, "create_policy_version", _managed(IAMBackend.create_policy_version)),
            (
                IAMBackend,
                "create_role",
                _trust(IAMBackend.create_role, "assume_role_policy_document"),
            ),
            (
                IAMBackend,
                "update_assume_role_policy",
                _trust(IAMBackend.update_assume_role_policy, "policy_document"),
            ),
        ):
            patches.enter_context(patch.object(owner, name, guarded))
        yield


def size(document: Any) -> int:
    """The characters of a policy that count."""
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return len(re.sub(r"\s", "", text))


def _inline(put: Callable[..., None], kind: str) -> Callable[..., None]:
    @functools.wraps(put)
    def guarded(owner: Any, policy_name: str, policy_json: Any) -> None:
        together = {**owner.policies, policy_name: policy_json}
        if sum(map(size, together.values())) > INLINE[kind]:
            raise LimitExceededException(
                f"Maximum policy size of {INLINE[kind]} bytes exceeded for {kind} {owner.name}"
            )
        put(owner, policy_name, policy_json)

    return guarded


def _managed(create: Callable[..., Any]) -> Callable[..., Any]:
    return _measured(
        create, "policy_document", MANAGED, f"Cannot exceed quota for PolicySize: {MANAGED}"
    )


def _trust(change: Callable[..., Any], parameter: str) -> Callable[..., Any]:
    return _measured(change, parameter, TRUST, f"Cannot exceed quota for ACLSizePerRole: {TRUST}")


def _measured(
    change: Callable[..., Any], parameter: str, limit: int, refusal: str
) -> Callable[..., Any]:
    """A method of moto's that refuses a policy, in a parameter of it, that is larger than that."""
    signature = inspect.signature(change)

    @functools.wraps(change)
    def guarded(*args: Any, **given: Any) -> Any:
        if size(signature.bind(*args, **given).arguments[parameter]) > limit:
            raise LimitExceededException(refusal)
        return change(*args, **given)

    return guarded
