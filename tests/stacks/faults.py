"""Faults of the sandbox, and what they leave in queues and ledger."""

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.exceptions import ClientError

from sandbox.deployment import STACK_NAME

from .support import Aws, json_of, wait_for

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


VISIBILITY = 33
"""Seconds after which a message comes back that no invocation has handled: longer than a process
holds a request, as in the template."""


def hurry(aws: Aws) -> None:
    """Have messages come back soon that no invocation has handled, and each poll have an invocation
    of its own. The function keeps its time, without which it makes no call."""
    set_visibility(aws, VISIBILITY)
    set_batch_size(aws, 1)


def set_visibility(aws: Aws, seconds: int) -> None:
    """After which a message comes back. Where it is shorter than the function's time, Lambda takes
    no change of the queue's mapping, and nothing that is killed becomes a dead letter."""
    for url in queue_urls(aws):
        aws.clients.client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)}
        )


def set_batch_size(aws: Aws, size: int) -> None:
    """How many polls share an invocation at most; few invocations are at work at once."""
    functions = aws.clients.functions
    [mapping] = [
        mapping
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]
        if "-PollQueue-" in mapping["EventSourceArn"]
    ]
    functions.update_event_source_mapping(
        UUID=mapping["UUID"], BatchSize=size, ScalingConfig={"MaximumConcurrency": 3}
    )


def queue_urls(aws: Aws) -> list[str]:
    """The queues of the polls, of events of EC2's and S3's, and of the dead letters."""
    sqs = aws.clients.client("sqs")
    urls: list[str] = sqs.list_queues(QueueNamePrefix=f"{STACK_NAME}-")["QueueUrls"]
    assert len(urls) == 3, urls
    return urls


def wait_for_empty_queues(aws: Aws) -> None:
    """Wait until no poll, no event and no dead letter is on its way or at work."""
    sqs = aws.clients.client("sqs")
    kinds = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "Delayed", "NotVisible")]

    def are_empty() -> bool | None:
        counts = [
            int(count)
            for url in queue_urls(aws)
            for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=kinds)[
                "Attributes"
            ].values()
        ]
        return None if any(counts) else True

    wait_for(are_empty, "the queues to be empty")


def set_fault(aws: Aws, call: str, fault: str, about: str, **more: float | str) -> str:
    """Set a fault, and return its ID."""
    body = json.dumps({"call": call, "fault": fault, "about": about, **more})
    answer = urllib3.request("POST", f"{aws.clients.endpoint}/sandbox/faults", body=body)
    assert answer.status == 201, answer.data
    fault_id: str = answer.json()["id"]
    return fault_id


def hits(aws: Aws) -> dict[str, list[str]]:
    """The names of the calls that each fault has struck, by the fault's ID."""
    faults = json_of(f"{aws.clients.endpoint}/sandbox/faults")
    return {fault["id"]: fault["hits"] for fault in faults}


def clear_faults(aws: Aws, *fault_ids: str) -> None:
    """Clear these faults, or all."""
    for path in [f"/{fault_id}" for fault_id in fault_ids] or [""]:
        url = f"{aws.clients.endpoint}/sandbox/faults{path}"
        assert urllib3.request("DELETE", url).status == 204


def ledger_table(dynamodb: "DynamoDBClient") -> str:
    """The name of the application's ledger."""
    return _table(dynamodb, "LedgerTable")


def ledger_items(aws: Aws) -> list[dict[str, Any]]:
    """What the ledger holds, in DynamoDB's own form."""
    return _items(aws, "LedgerTable")


def texts_of_requests(aws: Aws) -> list[dict[str, Any]]:
    """What the table of the requests' texts holds, in DynamoDB's own form."""
    return _items(aws, "RequestTable")


def _table(dynamodb: "DynamoDBClient", logical_id: str) -> str:
    names = dynamodb.list_tables()["TableNames"]
    [table] = [name for name in names if name.startswith(f"{STACK_NAME}-{logical_id}-")]
    return table


def _items(aws: Aws, logical_id: str) -> list[dict[str, Any]]:
    dynamodb = aws.clients.client("dynamodb")
    table = _table(dynamodb, logical_id)
    items: list[dict[str, Any]] = []
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        items += page["Items"]
    return items


def forget_images(aws: Aws) -> None:
    """Take away the images and snapshots that carry tags, which are those that were made, and all
    tags: the sandbox reads these for each image that it filters by one."""
    ec2 = aws.clients.ec2
    for image in ec2.describe_images(Owners=["self"])["Images"]:
        if image.get("Tags"):
            ec2.deregister_image(ImageId=image["ImageId"])
    for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        if snapshot.get("Tags"):
            wait_for(partial(_delete, aws, snapshot["SnapshotId"]), "a snapshot to be unused")
    tags = ec2.describe_tags()["Tags"]
    if tags:
        ids = {tag["ResourceId"] for tag in tags}
        keys = {tag["Key"] for tag in tags}
        ec2.delete_tags(Resources=sorted(ids), Tags=[{"Key": key} for key in sorted(keys)])


def _delete(aws: Aws, snapshot_id: str) -> bool | None:
    """Delete a snapshot; None while it is in use, as it is after its image is deregistered."""
    try:
        aws.clients.ec2.delete_snapshot(SnapshotId=snapshot_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidSnapshot.InUse":
            raise
        return None
    return True


def forget_ledger(aws: Aws) -> None:
    """Empty the ledger: the sandbox reads all of it in each query, and many stacks slow it down."""
    dynamodb = aws.clients.client("dynamodb")
    table = ledger_table(dynamodb)
    for item in ledger_items(aws):
        key = {name: item[name] for name in ("resource", "item")}
        dynamodb.delete_item(TableName=table, Key=key)
