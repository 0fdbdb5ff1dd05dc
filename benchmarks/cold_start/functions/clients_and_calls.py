"""A function that makes boto3 clients and the calls that ours makes, and ignores the answers.

The variable CLIENTS names the clients, as for `only_clients`; CALLS names the calls, such as
`dynamodb:PutItem`. What they are called with does not matter, since the answers are recorded ones.
"""

import os
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from benchmarks.cold_start.functions import only_clients

_KEY = {"resource": {"S": "stack|Bundle"}, "item": {"S": "request|1"}}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "put_item": {"TableName": "ledger", "Item": _KEY},
    "update_item": {"TableName": "ledger", "Key": _KEY},
    "query": {"TableName": "ledger", "KeyConditionExpression": "#resource = :resource"},
    "send_message": {"QueueUrl": "polls", "MessageBody": "poll"},
    "send_message_batch": {
        "QueueUrl": "polls",
        "Entries": [{"Id": f"{number}", "MessageBody": "poll"} for number in range(10)],
    },
    "receive_message": {"QueueUrl": "polls"},
    "describe_instances": {"InstanceIds": ["i-1234567890abcdef0"]},
    "describe_bundle_tasks": {"Filters": [{"Name": "bundle-id", "Values": ["bun-1"]}]},
    "bundle_instance": {"InstanceId": "i-1234567890abcdef0", "Storage": {"S3": {"Bucket": "b"}}},
}


def handler(event: object, context: object) -> None:
    """Make the clients, then the calls."""
    only_clients.handler(event, context)
    for call in os.environ["CALLS"].split():
        service, _, operation = call.partition(":")
        client: Any = only_clients.clients[service]
        if service == "s3":
            _read(client, operation)
            continue
        name = xform_name(operation)
        getattr(client, name)(**_PARAMETERS[name])


def _read(client: Any, request: str) -> None:
    """HeadBucket and ListObjectsV2 of `HEAD:/bucket` and `GET:/bucket`, HeadObject of
    `HEAD:/bucket/key`: what is not there is answered so."""
    method, _, path = request.partition(":")
    bucket, _, key = path.strip("/").partition("/")
    try:
        if key:
            client.head_object(Bucket=bucket, Key=key)
        elif method == "GET":
            client.list_objects_v2(Bucket=bucket)
        else:
            client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
