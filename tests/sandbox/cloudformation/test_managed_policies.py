"""Managed policies of stacks, in updates."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.managed_policies import VERSIONS
from tests.sandbox.cloudformation.parts import document
from tests.sandbox.cloudformation.serving import Served


def policy(action: str) -> dict[str, Any]:
    return {
        "Policy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": document(action)},
        }
    }


def test_an_update_makes_a_new_default_version_however_many_there_are(served: Served) -> None:
    iam, arn = served.clients.client("iam"), {"Arn": {"Ref": "Policy"}}
    stack = served.create(policy("sqs:Action0"), **arn)
    made = served.until(stack, "CREATE_COMPLETE")["Arn"]

    for number in range(1, VERSIONS + 2):
        served.update(stack, policy(f"sqs:Action{number}"), **arn)
        assert served.until(stack, "UPDATE_COMPLETE")["Arn"] == made
        version = iam.get_policy(PolicyArn=made)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=made, VersionId=version)["PolicyVersion"]
        assert found["Document"] == document(f"sqs:Action{number}")

    assert len(iam.list_policy_versions(PolicyArn=made)["Versions"]) == VERSIONS
    served.delete(stack)
