"""How large policies may be, over IAM's API and in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.parts import TRUST, Part, document, policy, role
from tests.sandbox.cloudformation.serving import Served

LIMITS = {"role": 10_240, "group": 5_120, "user": 2_048}


def of_size(size: int, name: str = "s3") -> Part:
    """A policy with so many characters that count."""
    empty = document(f"{name}:")
    short = len(json.dumps(empty, separators=(",", ":")))
    return document(f"{name}:" + "x" * (size - short))


def refused(words: str) -> Any:
    return pytest.raises(ClientError, match=rf"\(LimitExceeded\).*: {words}$")


@pytest.mark.parametrize("kind", LIMITS)
def test_inline_policies_together_have_a_size(served: Served, kind: str) -> None:
    iam, name, limit = served.clients.client("iam"), f"{kind}-of-sizes", LIMITS[kind]
    trust = {"AssumeRolePolicyDocument": json.dumps(TRUST)} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**{f"{kind.title()}Name": name}, **trust)

    def put(policy_name: str, size: int, indent: int | None = None) -> None:
        getattr(iam, f"put_{kind}_policy")(
            **{f"{kind.title()}Name": name},
            PolicyName=policy_name,
            PolicyDocument=json.dumps(of_size(size), indent=indent),
        )

    put("one", limit - 1_000, indent=4)
    put("two", 1_000)
    with refused(f"Maximum policy size of {limit} bytes exceeded for {kind} {name}"):
        put("three", 200)
    put("one", limit - 1_300)
    put("three", 200)


def test_a_managed_policy_has_a_size(served: Served) -> None:
    iam = served.clients.client("iam")
    arn = iam.create_policy(PolicyName="large", PolicyDocument=json.dumps(of_size(6_144)))
    words = "Cannot exceed quota for PolicySize: 6144"

    with refused(words):
        iam.create_policy(PolicyName="larger", PolicyDocument=json.dumps(of_size(6_145)))
    with refused(words):
        iam.create_policy_version(
            PolicyArn=arn["Policy"]["Arn"], PolicyDocument=json.dumps(of_size(6_145))
        )


def test_a_trust_policy_has_a_size(served: Served) -> None:
    iam = served.clients.client("iam")
    many = {**TRUST, "Statement": TRUST["Statement"] * 30}  # type: ignore[operator]
    words = "Cannot exceed quota for ACLSizePerRole: 2048"

    with refused(words):
        iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=json.dumps(many))
    iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=json.dumps(TRUST))
    with refused(words):
        iam.update_assume_role_policy(RoleName="trusting", PolicyDocument=json.dumps(many))


def test_policies_of_all_resources_that_add_to_a_role_count_together(served: Served) -> None:
    stack = served.create(
        {
            "Role": role(of_size(6_000), RoleName="of-many"),
            "First": policy(of_size(4_000), "Role", PolicyName="first"),
            "Last": policy(of_size(300), "Role", PolicyName="last", DependsOn="First"),
        }
    )

    served.until(stack, "ROLLBACK_COMPLETE")
    refusal = served.until_resource(stack, "Last", "CREATE_FAILED")
    assert "Maximum policy size of 10240 bytes exceeded for role of-many" in refusal
    assert "LimitExceeded" in refusal


def test_a_role_whose_own_policies_are_too_large_is_not_made(served: Served) -> None:
    resources = {"Role": role(of_size(6_000), of_size(6_000), RoleName="too-large")}

    stack = served.create(resources)

    served.until(stack, "ROLLBACK_COMPLETE")
    refusal = served.until_resource(stack, "Role", "CREATE_FAILED")
    assert "Maximum policy size of 10240 bytes exceeded for role too-large" in refusal
    names = [each["RoleName"] for each in served.clients.client("iam").list_roles()["Roles"]]
    assert "too-large" not in names
