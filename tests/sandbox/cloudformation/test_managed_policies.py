"""Managed policies and roles of stacks, in updates."""

from __future__ import annotations

from typing import Any

from sandbox.cloudformation.managed_policies import VERSIONS
from tests.sandbox.cloudformation.parts import TRUST, document
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


def test_another_path_replaces_a_role(served: Served) -> None:
    def role(**properties: str) -> dict[str, Any]:
        own = {"AssumeRolePolicyDocument": TRUST, **properties}
        return {"Role": {"Type": "AWS::IAM::Role", "Properties": own}}

    def roles() -> dict[str, str]:
        found = served.clients.client("iam").list_roles()["Roles"]
        return {each["RoleName"]: each["Path"] for each in found}

    name = {"Name": {"Ref": "Role"}}
    stack = served.create(role(), **name)
    before = served.until(stack, "CREATE_COMPLETE")["Name"]
    assert roles() == {before: "/"}

    served.update(stack, role(Path="/own/"), **name)
    after = served.until(stack, "UPDATE_COMPLETE")["Name"]

    assert before != after
    assert roles() == {after: "/own/"}
    served.delete(stack)
