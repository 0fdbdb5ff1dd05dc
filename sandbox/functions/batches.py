"""Batches of SQS messages, as Lambda delivers them to functions, and the functions' answers.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import EventSourceMapping
from moto.sqs.models import Message

from sandbox.functions import trace_headers
from sandbox.functions.payloads import SYNC_BYTES
from sandbox.functions.runtime_api import InvokeResult

logger = logging.getLogger("sandbox")


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that one invocation gets.

    event: JSON.
    """

    messages: Sequence[Message]
    event: str


def of(mapping: EventSourceMapping, messages: Sequence[Message]) -> Iterator[Batch]:
    """Messages that were received together, in batches that are no larger than a payload may be.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    batch: list[Message] = []
    records: list[str] = []
    for message in messages:
        record = json.dumps(_record(mapping, message))
        if batch and len(_event([*records, record])) > SYNC_BYTES:
            yield Batch(batch, _event(records))
            batch, records = [], []
        batch.append(message)
        records.append(record)
    if batch:
        yield Batch(batch, _event(records))


def failed(mapping: EventSourceMapping, batch: Batch, result: InvokeResult) -> set[str]:
    """IDs of the messages that stay in the queue.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html says which answers
    mean that all of a batch succeeded, and which that all of it failed.
    """
    everything = {message.id for message in batch.messages}
    if result.error is not None:
        return everything
    if "ReportBatchItemFailures" not in (mapping.function_response_types or []):
        return set()
    try:
        answer = json.loads(result.payload or b"null")
        failures = (answer or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, KeyError, TypeError):
        logger.warning("the batch response of %s is not valid", mapping.function_arn)
        return everything
    return named if named <= everything else everything


def _event(records: Sequence[str]) -> str:
    return f'{{"Records": [{", ".join(records)}]}}'


def _record(mapping: EventSourceMapping, message: Message) -> dict[str, Any]:
    """A message as functions get it (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html)."""
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        "SequenceNumber": message.sequence_number,
        "MessageGroupId": message.group_id,
        "MessageDeduplicationId": message.deduplication_id,
        trace_headers.ATTRIBUTE: trace_headers.header_of(message),
    }
    record = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "messageAttributes": {
            name: _message_attribute(value) for name, value in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.event_source_arn,
        "awsRegion": mapping.region,
    }
    if message.message_attributes:
        record["md5OfMessageAttributes"] = message.attribute_md5
    return record


def _message_attribute(attribute: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": attribute["DataType"],
    }
    if "StringValue" in attribute:
        described["stringValue"] = attribute["StringValue"]
    if "BinaryValue" in attribute:
        value = attribute["BinaryValue"]
        described["binaryValue"] = (
            base64.b64encode(value).decode() if isinstance(value, bytes) else value
        )
    return described
