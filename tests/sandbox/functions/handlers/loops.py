"""Handlers that go on in a loop, by the SDK that the variable SDK has the directory of."""

import os
import sys
from functools import cache
from typing import Any

sys.path.append(os.environ["SDK"])

import app  # type: ignore[import-not-found]  # it is next to this file in the package
import boto3
from botocore import handlers


@cache
def client(service: str) -> Any:
    """Made once, and only where it is needed: that takes as long as many calls."""
    return boto3.client(service)  # type: ignore[call-overload]  # any service


@cache
def unlinked() -> Any:
    """Of SQS, without botocore's header of the chain."""
    sqs = boto3.client("sqs")
    sqs.meta.events.unregister("before-call", handlers.add_recursion_detection_header)
    return sqs


def send_on(event: Any, context: Any) -> None:
    """Send each message to the queue NEXT."""
    app.record(event, context)
    for message in event["Records"]:
        client("sqs").send_message(QueueUrl=os.environ["NEXT"], MessageBody=message["body"])


def send_on_in_batch(event: Any, context: Any) -> None:
    """Send the messages to the queue NEXT, in one call."""
    app.record(event, context)
    entries: list[Any] = [
        {"Id": each["messageId"], "MessageBody": each["body"]} for each in event["Records"]
    ]
    client("sqs").send_message_batch(QueueUrl=os.environ["NEXT"], Entries=entries)


def send_on_unlinked(event: Any, context: Any) -> None:
    """Send each message to the queue NEXT, without botocore's header of the chain."""
    app.record(event, context)
    for message in event["Records"]:
        unlinked().send_message(QueueUrl=os.environ["NEXT"], MessageBody=message["body"])


def invoke_itself(event: Any, context: Any) -> None:
    app.record(event, context)
    client("lambda").invoke(
        FunctionName=context.function_name, InvocationType="Event", Payload=b'"once more"'
    )
