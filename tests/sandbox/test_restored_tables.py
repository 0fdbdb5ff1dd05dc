"""Tables of DynamoDB's that are restored from a backup, or to a point in time."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.clients import Clients
from sandbox.server import Server

KEY = {"id": {"S": "a"}}


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with Server() as server:
        yield Clients(server.endpoint).client("dynamodb")


@pytest.mark.parametrize("of_a_backup", [True, False])
def test_a_restored_table_has_the_items_and_none_of_the_settings(
    dynamodb: Any, *, of_a_backup: bool
) -> None:
    dynamodb.create_table(
        TableName="before",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "team", "Value": "images"}],
    )
    ttl = {"AttributeName": "expires", "Enabled": True}
    dynamodb.update_time_to_live(TableName="before", TimeToLiveSpecification=ttl)
    dynamodb.update_continuous_backups(
        TableName="before", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.put_item(TableName="before", Item=KEY)

    restore = _from_a_backup if of_a_backup else _to_a_time
    arn = restore(dynamodb, lambda: dynamodb.delete_item(TableName="before", Key=KEY))

    assert dynamodb.get_item(TableName="restored", Key=KEY)["Item"] == KEY
    shown = dynamodb.describe_time_to_live(TableName="restored")["TimeToLiveDescription"]
    assert shown["TimeToLiveStatus"] == "DISABLED"
    backups = dynamodb.describe_continuous_backups(TableName="restored")
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "DISABLED"
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == []


def _from_a_backup(dynamodb: Any, change: Callable[[], object]) -> str:
    """The ARN of a table that is restored from a backup, which was made before a change."""
    made = dynamodb.create_backup(TableName="before", BackupName="backup")["BackupDetails"]
    change()
    restored = dynamodb.restore_table_from_backup(
        TargetTableName="restored", BackupArn=made["BackupArn"]
    )
    arn: str = restored["TableDescription"]["TableArn"]
    return arn


def _to_a_time(dynamodb: Any, change: Callable[[], object]) -> str:
    """The ARN of a table that is restored as it is now; moto has no earlier times."""
    restored = dynamodb.restore_table_to_point_in_time(
        SourceTableName="before", TargetTableName="restored", UseLatestRestorableTime=True
    )
    change()
    arn: str = restored["TableDescription"]["TableArn"]
    return arn
