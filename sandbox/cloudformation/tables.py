"""What CloudFormation does with a table of DynamoDB's beyond what moto's model does.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.table import Table

from sandbox.cloudformation.intrinsics import text
from sandbox.upstream import table_keys


def complete(table: Table, properties: Mapping[str, Any]) -> None:
    """Give a table what moto's model leaves out."""
    backend = _backend(table)
    if "TimeToLiveSpecification" in properties:
        backend.update_time_to_live(table.name, properties["TimeToLiveSpecification"])
    if "PointInTimeRecoverySpecification" in properties:
        backend.update_continuous_backups(
            table.name, properties["PointInTimeRecoverySpecification"]
        )
    if "SSESpecification" in properties:
        _encrypt(table, properties["SSESpecification"])
    if "ResourcePolicy" in properties:
        document = json.dumps(properties["ResourcePolicy"]["PolicyDocument"])
        backend.put_resource_policy(table.table_arn, document, None)


def update(table: Table, before: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
    """Change a table in place.

    A policy that others have put stays where the template has none, and had none before
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-dynamodb-table-resourcepolicy.html).
    """
    complete(table, properties)
    if "ResourcePolicy" in before and "ResourcePolicy" not in properties:
        _backend(table).delete_resource_policy(table.table_arn, None)


def _encrypt(table: Table, specification: Mapping[str, Any]) -> None:
    # moto reads the API's `Enabled` where CloudFormation has `SSEEnabled`.
    enabled = text(specification["SSEEnabled"]) == "true"
    table_keys.encrypt(table, {**specification, "Enabled": enabled})


def _backend(table: Table) -> DynamoDBBackend:
    return dynamodb_backends[table.account_id][table.region_name]
