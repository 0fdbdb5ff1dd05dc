"""Who gives a stack a service role must be allowed to pass it; the role invokes functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.sandbox.authorization.conftest import Account, code
from tests.sandbox.authorization.test_sessions import assumed, client
from tests.sandbox.cloudformation.parts import TRUST, document

TEMPLATE = json.dumps(
    {"Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}
)
STACKS = "arn:aws:cloudformation:us-east-1:123456789012:stack/images-*/*"
OF_STACKS = "arn:aws:iam::123456789012:role/image-stacks"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:any"
PASSED = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}


@pytest.mark.parametrize("call", ["create_stack", "create_change_set"])
def test_a_role_is_passed_only_by_who_may_pass_it(account: Account, call: str) -> None:
    author = assumed(account, "author", "cloudformation:*")
    given: dict[str, Any] = {"StackName": "images-web", "TemplateBody": TEMPLATE}
    given |= {"ChangeSetName": "one", "ChangeSetType": "CREATE"} if "change" in call else {}
    create = getattr(client(account, author, "cloudformation"), call)

    with pytest.raises(ClientError) as refused:
        create(**given, RoleARN=OF_STACKS)

    assert code(refused.value) == (403, "AccessDenied")
    assert f"perform: iam:PassRole on resource: {OF_STACKS} because" in str(refused.value)
    create(**given)


def test_a_role_is_passed_to_cloudformation_alone(account: Account) -> None:
    author = assumed(account, "author", "cloudformation:CreateStack")
    elsewhere = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    cloudformation = client(account, author, "cloudformation")

    def pass_when(condition: dict[str, Any]) -> None:
        account.owner.client("iam").put_role_policy(
            RoleName="author",
            PolicyName="pass",
            PolicyDocument=json.dumps(
                document("iam:PassRole", resource=OF_STACKS, Condition=condition)
            ),
        )

    pass_when(elsewhere)
    with pytest.raises(ClientError, match="iam:PassRole"):
        cloudformation.create_stack(
            StackName="images-web", TemplateBody=TEMPLATE, RoleARN=OF_STACKS
        )
    pass_when(PASSED)
    cloudformation.create_stack(StackName="images-web", TemplateBody=TEMPLATE, RoleARN=OF_STACKS)


def test_a_policy_of_some_stacks_is_of_no_others(account: Account) -> None:
    author = assumed(account, "author", "sts:GetCallerIdentity")
    account.owner.client("iam").put_role_policy(
        RoleName="author",
        PolicyName="stacks",
        PolicyDocument=json.dumps(document("cloudformation:*", resource=STACKS)),
    )
    cloudformation = client(account, author, "cloudformation")

    cloudformation.create_stack(StackName="images-web", TemplateBody=TEMPLATE)
    with pytest.raises(ClientError) as refused:
        cloudformation.create_stack(StackName="web", TemplateBody=TEMPLATE)

    assert code(refused.value) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("lambda:InvokeFunction", "Function not found"),
        (
            "lambda:GetFunction",
            "image-stacks/AWSCloudFormation is not authorized to perform: lambda",
        ),
    ],
)
def test_a_function_is_invoked_by_the_role_of_the_stack(
    account: Account, action: str, reason: str
) -> None:
    iam, cloudformation = account.owner.client("iam"), account.owner.cloudformation
    iam.create_role(RoleName="image-stacks", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(
        RoleName="image-stacks", PolicyName="one", PolicyDocument=json.dumps(document(action))
    )
    made = {"Type": "Custom::Thing", "Properties": {"ServiceToken": FUNCTION}}

    cloudformation.create_stack(
        StackName="one",
        TemplateBody=json.dumps({"Resources": {"Made": made}}),
        RoleARN=OF_STACKS,
        OnFailure="DO_NOTHING",
    )

    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="one", WaiterConfig={"Delay": 1}
        )
    [found] = cloudformation.describe_stack_resources(StackName="one")["StackResources"]
    assert reason in found["ResourceStatusReason"]
