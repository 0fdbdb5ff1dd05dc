"""SimulatePrincipalPolicy, on moto's IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.upstream import permissions, simulation
from tests.sandbox.cloudformation.parts import TRUST, document

POLLS = "arn:aws:sqs:us-east-1:123456789012:polls"
EVENTS = "arn:aws:sqs:us-east-1:123456789012:events"


@pytest.fixture
def iam() -> Iterator[Any]:
    """IAM with the role `worker`, whose policies count at once."""
    with mock_aws(), permissions.installed(delay=0) as judge, simulation.served(judge):
        client = boto3.client("iam")
        client.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield client


def put(iam: Any, written: dict[str, Any]) -> None:
    iam.put_role_policy(
        RoleName="worker",
        PolicyName=written["Statement"][0]["Effect"],
        PolicyDocument=json.dumps(written),
    )


def simulated(iam: Any, *actions: str, **more: Any) -> list[dict[str, Any]]:
    role = iam.get_role(RoleName="worker")["Role"]["Arn"]
    results: list[dict[str, Any]] = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=list(actions), **more
    )["EvaluationResults"]
    return results


def test_each_action_has_one_result_with_the_most_restrictive_decision(iam: Any) -> None:
    put(iam, document("sqs:SendMessage", "sqs:ReceiveMessage", resource=POLLS))
    put(iam, document("sqs:ReceiveMessage", resource=EVENTS, Effect="Deny"))

    sending, receiving = simulated(
        iam, "sqs:SendMessage", "sqs:ReceiveMessage", ResourceArns=[POLLS, EVENTS]
    )

    assert (sending["EvalActionName"], sending["EvalDecision"]) == (
        "sqs:SendMessage",
        "implicitDeny",
    )
    assert receiving["EvalDecision"] == "explicitDeny"
    assert {
        each["EvalResourceName"]: each["EvalResourceDecision"]
        for each in receiving["ResourceSpecificResults"]
    } == {POLLS: "allowed", EVENTS: "explicitDeny"}


def test_without_resources_an_action_is_simulated_on_all(iam: Any) -> None:
    put(iam, document("sqs:SendMessage"))
    assert [each["EvalDecision"] for each in simulated(iam, "sqs:SendMessage")] == ["allowed"]

    put(iam, document("sqs:SendMessage", resource=POLLS))
    assert [each["EvalDecision"] for each in simulated(iam, "sqs:SendMessage")] == ["implicitDeny"]


def test_a_condition_is_met_by_context_entries_alone(iam: Any) -> None:
    condition = {"StringEquals": {"ec2:Region": "us-east-1"}}
    put(iam, document("ec2:BundleInstance", Condition=condition))
    entry = {
        "ContextKeyName": "ec2:Region",
        "ContextKeyValues": ["us-east-1"],
        "ContextKeyType": "string",
    }

    [without] = simulated(iam, "ec2:BundleInstance")
    [with_it] = simulated(iam, "ec2:BundleInstance", ContextEntries=[entry])

    assert (without["EvalDecision"], with_it["EvalDecision"]) == ("implicitDeny", "allowed")


def test_the_permissions_boundary_is_a_part_of_the_simulation(iam: Any) -> None:
    put(iam, document("sqs:SendMessage", "sqs:ReceiveMessage"))
    boundary = iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("sqs:SendMessage"))
    )["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=boundary)

    sending, receiving = simulated(iam, "sqs:SendMessage", "sqs:ReceiveMessage")

    assert sending["EvalDecision"] == "allowed"
    assert sending["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert receiving["EvalDecision"] == "implicitDeny"
    assert receiving["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_a_role_that_is_missing_is_refused(iam: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["sqs:SendMessage"]
        )
