"""Log groups of stacks, in updates."""

from __future__ import annotations

from typing import Any

from tests.sandbox.cloudformation.serving import Served


def group(**properties: Any) -> dict[str, Any]:
    return {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}


def retention(served: Served, name: str) -> int | None:
    found = served.clients.client("logs").describe_log_groups(logGroupNamePrefix=name)
    [log_group] = found["logGroups"]
    days: int | None = log_group.get("retentionInDays")
    return days


def test_an_update_changes_the_retention_and_takes_it_away(served: Served) -> None:
    stack = served.create(group(RetentionInDays=30), Name={"Ref": "Group"})
    name = served.until(stack, "CREATE_COMPLETE")["Name"]
    assert retention(served, name) == 30

    served.update(stack, group(RetentionInDays=7), Name={"Ref": "Group"})
    assert served.until(stack, "UPDATE_COMPLETE") == {"Name": name}
    assert retention(served, name) == 7

    served.update(stack, group(), Name={"Ref": "Group"})
    served.until(stack, "UPDATE_COMPLETE")
    assert retention(served, name) is None
    served.delete(stack)


def test_its_arn_stands_for_its_streams(served: Served) -> None:
    stack = served.create(group(), Arn={"Fn::GetAtt": ["Group", "Arn"]}, Name={"Ref": "Group"})

    made = served.until(stack, "CREATE_COMPLETE")

    assert made["Arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{made['Name']}:*"
