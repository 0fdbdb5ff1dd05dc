"""Tables of stacks: their policies and keys, in updates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.serving import Served

NAME = {"Name": {"Ref": "Table"}, "Arn": {"Fn::GetAtt": ["Table", "Arn"]}}


def table(**properties: Any) -> dict[str, Any]:
    key = {"AttributeName": "id", "KeyType": "HASH"}
    return {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [key],
                **properties,
            },
        }
    }


def policy(action: str) -> dict[str, Any]:
    deny = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"}
    return {"PolicyDocument": {"Version": "2012-10-17", "Statement": [deny]}}


def policy_of(served: Served, arn: str) -> Any:
    found = served.clients.client("dynamodb").get_resource_policy(ResourceArn=arn)
    return {"PolicyDocument": json.loads(found["Policy"])}


def test_a_table_has_the_policy_of_its_template(served: Served) -> None:
    stack = served.create(table(ResourcePolicy=policy("dynamodb:Scan")), **NAME)
    arn = served.until(stack, "CREATE_COMPLETE")["Arn"]
    assert policy_of(served, arn) == policy("dynamodb:Scan")

    served.update(stack, table(ResourcePolicy=policy("dynamodb:Query")), **NAME)
    assert served.until(stack, "UPDATE_COMPLETE")["Arn"] == arn
    assert policy_of(served, arn) == policy("dynamodb:Query")

    served.update(stack, table(), **NAME)
    served.until(stack, "UPDATE_COMPLETE")
    with pytest.raises(ClientError, match="PolicyNotFoundException"):
        policy_of(served, arn)
    served.delete(stack)


def test_a_policy_of_others_stays_where_the_template_has_none(served: Served) -> None:
    stack = served.create(table(), **NAME)
    arn = served.until(stack, "CREATE_COMPLETE")["Arn"]
    served.clients.client("dynamodb").put_resource_policy(
        ResourceArn=arn, Policy=json.dumps(policy("dynamodb:Scan")["PolicyDocument"])
    )

    recovery = {"PointInTimeRecoveryEnabled": True}
    served.update(stack, table(PointInTimeRecoverySpecification=recovery), **NAME)

    served.until(stack, "UPDATE_COMPLETE")
    assert policy_of(served, arn) == policy("dynamodb:Scan")
    served.delete(stack)


def encryption(served: Served, name: str) -> dict[str, Any]:
    found = served.clients.client("dynamodb").describe_table(TableName=name)
    described: dict[str, Any] = found["Table"]["SSEDescription"]
    return described


def encrypted(**key: str) -> dict[str, Any]:
    return table(SSESpecification={"SSEEnabled": True, "SSEType": "KMS", **key})


def test_a_change_of_the_key_is_under_way_when_the_update_is_complete(served: Served) -> None:
    stack = served.create(encrypted(), **NAME)
    name = served.until(stack, "CREATE_COMPLETE")["Name"]
    awss_own = encryption(served, name)
    assert awss_own["Status"] == "ENABLED"

    served.update(stack, encrypted(KMSMasterKeyId="arn:aws:kms:us-east-1:1:key/one"), **NAME)
    served.until(stack, "UPDATE_COMPLETE")

    assert encryption(served, name) == {
        **awss_own,
        "Status": "UPDATING",
        "KMSMasterKeyArn": "arn:aws:kms:us-east-1:1:key/one",
    }
    served.delete(stack)


def test_update_table_changes_the_key(served: Served) -> None:
    stack = served.create(encrypted(), **NAME)
    name = served.until(stack, "CREATE_COMPLETE")["Name"]
    key = "arn:aws:kms:us-east-1:1:key/one"

    updated = served.clients.client("dynamodb").update_table(
        TableName=name,
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )

    changed = {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}
    assert updated["TableDescription"]["SSEDescription"] == changed
    assert encryption(served, name) == changed
    served.delete(stack)
