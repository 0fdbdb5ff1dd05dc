"""A custom resource that records each request in a bucket of its function's name, then answers it.

Of its properties, Id is its physical ID; Fails, Silent and Crashes each name a kind of request; to
Queue it sends a message, and into Table it puts an item. On a Delete it records what CloudFormation
says of the stack and of the resource.
"""

import json
import time
from typing import Any

import boto3
import urllib3
from botocore.exceptions import ClientError


def handler(event: dict[str, Any], context: Any) -> None:
    """Handle a request of CloudFormation's."""
    kind, asked = event["RequestType"], event["ResourceProperties"]
    said = {"request": f"{kind} {event.get('PhysicalResourceId', '')}".strip(), "id": asked["Id"]}
    said |= _lasting_states(event) if kind == "Delete" else {}
    boto3.client("s3").put_object(
        Bucket=context.function_name, Key=str(time.time_ns()), Body=json.dumps(said).encode()
    )
    if asked.get("Crashes") == kind:
        raise RuntimeError("as asked")
    if asked.get("Silent") != kind:
        _answer(event, "FAILED" if asked.get("Fails") == kind else _acts(kind, asked))


def _lasting_states(event: dict[str, Any]) -> dict[str, str]:
    """What CloudFormation says for 5 seconds: what it says first may be the state of before."""
    said, since = _states(event), time.monotonic()
    while time.monotonic() < since + 5:
        time.sleep(1)
        if (now := _states(event)) != said:
            said, since = now, time.monotonic()
    return said


def _states(event: dict[str, Any]) -> dict[str, str]:
    cloudformation, stack = boto3.client("cloudformation"), event["StackId"]
    described = cloudformation.describe_stack_resource(
        StackName=stack, LogicalResourceId=event["LogicalResourceId"]
    )
    return {
        "StackStatus": cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"],
        "ResourceStatus": described["StackResourceDetail"]["ResourceStatus"],
    }


def _acts(kind: str, asked: dict[str, str]) -> str:
    """SUCCESS, if a Create was allowed to do what its properties say."""
    if kind != "Create":
        return "SUCCESS"
    try:
        if queue := asked.get("Queue"):
            boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=asked["Id"])
        if table := asked.get("Table"):
            boto3.client("dynamodb").put_item(TableName=table, Item={"id": {"S": asked["Id"]}})
    except ClientError:
        return "FAILED"
    return "SUCCESS"


def _answer(event: dict[str, Any], status: str) -> None:
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")} | {
        "Status": status,
        "Reason": "as asked",
        "PhysicalResourceId": event.get("PhysicalResourceId")
        if event["RequestType"] == "Delete"
        else event["ResourceProperties"]["Id"],
    }
    urllib3.request("PUT", event["ResponseURL"], body=json.dumps(answer), headers={})
