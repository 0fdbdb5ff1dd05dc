"""Handlers that go on in a loop, by the SDK that the variable SDK has the directory of."""

import os
import sys
from typing import Any

sys.path.append(os.environ["SDK"])

import app  # type: ignore[import-not-found]  # it is beside this file in the package
import boto3
from botocore import handlers

SQS = boto3.client("sqs")
UNLINKED = boto3.client("sqs")
UNLINKED.meta.events.unregister("before-call", handlers.add_recursion_detection_header)
LAMBDA = boto3.client("lambda")


def send_on(event: Any, context: Any) -> None:
    """Send each message to the queue NEXT."""
    app.record(event, context)
    for message in event["Records"]:
        SQS.send_message(QueueUrl=os.environ["NEXT"], MessageBody=message["body"])


def send_on_in_batch(event: Any, context: Any) -> None:
    """Send the messages to the queue NEXT, in one call."""
    app.record(event, context)
    entries: list[Any] = [
        {"Id": each["messageId"], "MessageBody": each["body"]} for each in event["Records"]
    ]
    SQS.send_message_batch(QueueUrl=os.environ["NEXT"], Entries=entries)


def send_on_unlinked(event: Any, context: Any) -> None:
    """Send each message to the queue NEXT, without botocore's header of the chain."""
    app.record(event, context)
    for message in event["Records"]:
        UNLINKED.send_message(QueueUrl=os.environ["NEXT"], MessageBody=message["body"])


def invoke_itself(event: Any, context: Any) -> None:
    app.record(event, context)
    LAMBDA.invoke(
        FunctionName=context.function_name, InvocationType="Event", Payload=b'"once more"'
    )
