"""What wraps an event of CloudFormation's: a message of Amazon SNS, and records of Lambda."""

import json
from collections.abc import Mapping
from typing import Any

from instance_bundle.errors import InvalidEvent


def unwrapped(event: Any) -> Any:
    """The event that an invocation record, or an SNS message, is about; or else the event itself.

    Lambda makes a record of an asynchronous invocation that failed to the end, and one of that
    record's invocation (AWS Lambda Developer Guide, Capturing records of Lambda asynchronous
    invocations). Where a ServiceToken is an SNS topic, the request is the text of a message
    (CloudFormation User Guide, Amazon SNS-backed custom resources; AWS Lambda Developer Guide,
    Invoking Lambda functions with Amazon SNS notifications).

    Raises:
        InvalidEvent: it is an event of Amazon SNS's, but not of one message that holds an object.
    """
    while isinstance(event, Mapping) and "requestPayload" in event:
        event = event["requestPayload"]
    records = event.get("Records") if isinstance(event, Mapping) else None
    if isinstance(records, list) and any(map(_is_of_sns, records)):
        return _message(records)
    return event


def _is_of_sns(record: Any) -> bool:
    return isinstance(record, Mapping) and record.get("EventSource") == "aws:sns"


def _message(records: list[Any]) -> Mapping[str, Any]:
    # A notification holds one message (Amazon SNS FAQs, Reliability).
    if len(records) != 1:
        raise InvalidEvent(f"Records: an event of Amazon SNS has one, not {len(records)}")
    sns = records[0].get("Sns")
    text = sns.get("Message") if isinstance(sns, Mapping) else None
    if not isinstance(text, str):
        raise InvalidEvent("Records[0].Sns.Message: an event of Amazon SNS has this, a text")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, Mapping):
        raise InvalidEvent("Records[0].Sns.Message: is no JSON object")
    return content
