"""What reads an installation, and what polls by rules, asks IAM: each call for its own resource."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.authorization.conftest import NAME, Account

UUID = "5a4db0f0-0000-4000-8000-000000000000"
HERE = "us-east-1:123456789012"
FUNCTION = f"arn:aws:lambda:{HERE}:function:shop"
ROLE = f"arn:aws:iam::123456789012:role/{NAME}-role"

READS: list[tuple[str, str, dict[str, Any], str, str]] = [
    *(
        ("lambda", call, {"FunctionName": "shop"}, f"lambda:{action}", FUNCTION)
        for call, action in (
            ("get_function_concurrency", "GetFunctionConcurrency"),
            ("get_function_configuration", "GetFunctionConfiguration"),
            ("get_function_event_invoke_config", "GetFunctionEventInvokeConfig"),
            ("get_function_recursion_config", "GetFunctionRecursionConfig"),
        )
    ),
    (
        *(
            "lambda",
            "get_event_source_mapping",
            {"UUID": UUID},
            "lambda:GetEventSourceMapping",
        ),
        f"arn:aws:lambda:{HERE}:event-source-mapping:{UUID}",
    ),
    ("lambda", "list_event_source_mappings", {}, "lambda:ListEventSourceMappings", "*"),
    (
        *("cloudformation", "list_stack_resources", {"StackName": "shop"}),
        *("cloudformation:ListStackResources", f"arn:aws:cloudformation:{HERE}:stack/shop/*"),
    ),
    (
        *("events", "describe_rule", {"Name": "shop"}, "events:DescribeRule"),
        f"arn:aws:events:{HERE}:rule/shop",
    ),
    (
        *("events", "list_targets_by_rule", {"Rule": "shop"}, "events:ListTargetsByRule"),
        f"arn:aws:events:{HERE}:rule/shop",
    ),
    ("iam", "get_role", {"RoleName": f"{NAME}-role"}, "iam:GetRole", ROLE),
    (
        *("iam", "simulate_principal_policy"),
        {"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject"]},
        *("iam:SimulatePrincipalPolicy", ROLE),
    ),
    (
        *(
            "kms",
            "describe_key",
            {"KeyId": UUID},
            "kms:DescribeKey",
        ),
        f"arn:aws:kms:{HERE}:key/{UUID}",
    ),
    ("cloudwatch", "describe_alarms", {}, "cloudwatch:DescribeAlarms", "*"),
    (
        *("s3", "get_bucket_notification_configuration", {"Bucket": "shop"}),
        *("s3:GetBucketNotification", "arn:aws:s3:::shop"),
    ),
    (
        *("s3", "get_bucket_ownership_controls", {"Bucket": "shop"}),
        *("s3:GetBucketOwnershipControls", "arn:aws:s3:::shop"),
    ),
]


WRITES: list[tuple[str, str, dict[str, Any], str, str]] = [
    *(
        ("events", call, parameters, f"events:{action}", f"arn:aws:events:{HERE}:rule/shop")
        for call, parameters, action in (
            ("put_rule", {"Name": "shop", "ScheduleExpression": "rate(1 minute)"}, "PutRule"),
            (
                "put_targets",
                {"Rule": "shop", "Targets": [{"Id": "1", "Arn": FUNCTION}]},
                "PutTargets",
            ),
            ("remove_targets", {"Rule": "shop", "Ids": ["1"]}, "RemoveTargets"),
            ("delete_rule", {"Name": "shop"}, "DeleteRule"),
        )
    ),
    (
        *("lambda", "add_permission"),
        {
            "FunctionName": "shop",
            "StatementId": "rule",
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
        },
        *("lambda:AddPermission", FUNCTION),
    ),
    (
        *("lambda", "remove_permission", {"FunctionName": "shop", "StatementId": "rule"}),
        *("lambda:RemovePermission", FUNCTION),
    ),
]


@pytest.mark.parametrize(("service", "call", "parameters", "action", "resource"), [*READS, *WRITES])
def test_a_call_is_allowed_by_its_action_on_its_resource(
    account: Account,
    service: str,
    call: str,
    parameters: dict[str, Any],
    action: str,
    resource: str,
) -> None:
    """A call is denied without the action on the resource, and not with it."""

    def is_denied() -> bool:
        try:
            getattr(account.client(service), call)(**parameters)
        except ClientError as error:
            return error.response["Error"]["Code"].startswith("AccessDenied")
        return False

    account.owner.s3.create_bucket(Bucket="shop")
    assert is_denied()
    if resource != "*":
        account.allow(action, resource=f"{resource}-other")
        assert is_denied()
    account.allow(action, resource=resource)
    assert not is_denied()
