"""Policies count a while after they are made, and what needs them has to say so."""

from __future__ import annotations

import pytest

from tests.sandbox.cloudformation.parts import (
    POLLING,
    Part,
    document,
    function,
    invoke_config,
    mapping,
    policy,
    queue,
    role,
)
from tests.sandbox.cloudformation.serving import Served

QUEUE_ARN = {"Fn::GetAtt": ["Queue", "Arn"]}

SEPARATE = {"Role": role(), "Function": function(), "Queue": queue()}

NEEDY: dict[str, tuple[Part, Part]] = {
    "mapping": (mapping(), document(*POLLING, resource=QUEUE_ARN)),
    "destination": (invoke_config(QUEUE_ARN), document("sqs:SendMessage", resource=QUEUE_ARN)),
}
"""What Lambda checks the role for, and the policy that it needs."""


@pytest.mark.parametrize("kind", NEEDY)
def test_a_policy_that_nothing_depends_on_comes_too_late(served: Served, kind: str) -> None:
    needy, needed = NEEDY[kind]

    stack = served.create({"Policy": policy(needed, "Role"), **SEPARATE, "Needy": needy})

    served.until(stack, "ROLLBACK_COMPLETE")
    refused = served.until_resource(stack, "Needy", "CREATE_FAILED")
    assert "does not have permissions to call" in refused
    assert served.statuses(stack, "Policy") == []


@pytest.mark.parametrize("kind", NEEDY)
def test_a_policy_that_is_depended_on_counts(served: Served, kind: str) -> None:
    needy, needed = NEEDY[kind]

    stack = served.create(
        {"Policy": policy(needed, "Role"), **SEPARATE, "Needy": {**needy, "DependsOn": "Policy"}}
    )

    served.until(stack, "CREATE_COMPLETE")


@pytest.mark.parametrize("kind", NEEDY)
def test_an_inline_policy_counts_for_what_needs_the_role(served: Served, kind: str) -> None:
    needy, needed = NEEDY[kind]

    stack = served.create({**SEPARATE, "Role": role(needed), "Needy": needy})

    served.until(stack, "CREATE_COMPLETE")


def test_an_inline_policy_that_changes_counts_for_what_needs_the_role(served: Served) -> None:
    stack = served.create(SEPARATE)
    served.until(stack, "CREATE_COMPLETE")
    needy, needed = NEEDY["destination"]

    served.update(stack, {**SEPARATE, "Role": role(needed), "Needy": needy})

    served.until(stack, "UPDATE_COMPLETE")


def test_a_managed_policy_of_awss_counts_for_what_needs_the_role(served: Served) -> None:
    awss_own = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"

    stack = served.create(
        {**SEPARATE, "Role": role(ManagedPolicyArns=[awss_own]), "Needy": mapping()}
    )

    served.until(stack, "CREATE_COMPLETE")
