"""Who has the credentials of AssumeRole does what the role may do, and no more."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import REGION
from tests.sandbox.authorization.conftest import Account, code
from tests.sandbox.cloudformation.parts import TRUST, document


def assumed(account: Account, name: str, *actions: str, path: str = "/") -> boto3.Session:
    """A session of a new role that may do this."""
    iam = account.owner.client("iam")
    arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))[
        "Role"
    ]["Arn"]
    iam.put_role_policy(
        RoleName=name, PolicyName="one", PolicyDocument=json.dumps(document(*actions))
    )
    credentials = account.owner.client("sts").assume_role(RoleArn=arn, RoleSessionName="kim")[
        "Credentials"
    ]
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=REGION,
    )


def client(account: Account, session: boto3.Session, service: Any) -> Any:
    once = Config(retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=account.owner.endpoint, config=once)


def test_a_session_may_do_what_its_role_may(account: Account) -> None:
    session = assumed(account, "operators", "sqs:CreateQueue", path="/people/")
    client(account, session, "sqs").create_queue(QueueName="polls")

    with pytest.raises(ClientError) as refused:
        client(account, session, "dynamodb").scan(TableName="ledger")

    assert code(refused.value) == (400, "AccessDeniedException")
    assert refused.value.response["Error"]["Message"].startswith(
        "User: arn:aws:sts::123456789012:assumed-role/operators/kim is not authorized to perform: "
        "dynamodb:Scan on resource: arn:aws:dynamodb:us-east-1:123456789012:table/ledger because no"
    )


def test_everybody_may_ask_who_they_are(account: Account) -> None:
    session = assumed(account, "operators", "sqs:CreateQueue")

    identity = client(account, session, "sts").get_caller_identity()

    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/operators/kim"


def test_a_policy_of_a_table_knows_a_role_by_its_path(account: Account) -> None:
    """aws:PrincipalArn is the role's ARN, and not that of the session."""
    dynamodb = account.owner.client("dynamodb")
    table = dynamodb.create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    own = "arn:aws:iam::123456789012:role/people/operators/*"
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:Scan",
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": [own]}},
    }
    dynamodb.put_resource_policy(
        ResourceArn=table, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    )

    def scan(session: boto3.Session) -> None:
        client(account, session, "dynamodb").scan(TableName="ledger")

    scan(assumed(account, "operators", "dynamodb:*", path="/people/operators/"))
    with pytest.raises(ClientError) as refused:
        scan(assumed(account, "administrators", "*", path="/people/"))
    assert refused.value.response["Error"]["Message"].endswith(
        "with an explicit deny in a resource-based policy"
    )
