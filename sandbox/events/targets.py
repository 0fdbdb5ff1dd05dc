"""Delivery to one target of a rule: a queue or a function, by the target's own policy.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.utils import get_backend
from moto.kms.models import kms_backends
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Queue, sqs_backends

from sandbox.upstream.policies import Context, Request, admits

SERVICE = "events.amazonaws.com"

_KEY_OF_AWS = "alias/aws/sqs"
_CONTEXT: Context = {
    "aws:PrincipalIsAWSService": "true",
    "aws:PrincipalServiceName": SERVICE,
    "aws:SecureTransport": "true",
}
"""Of every call of EventBridge's."""


class NotDelivered(Exception):
    """A target did not get an event, and will not.

    Attributes:
        code: one of those of dead letters
            (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


def send_to_queue(
    arn: str,
    text: str,
    rule_arn: str,
    *,
    group_id: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Put a message into a queue whose policy lets the rule do so.

    Args:
        attributes: the message's, all of them strings.

    Raises:
        NotDelivered: the queue is missing, or does not take it.
    """
    *_, region, account, name = arn.split(":")
    queue: Queue | None = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise NotDelivered("NO_RESOURCE", "The specified queue does not exist.")
    _require(queue.policy or "{}", "sqs:SendMessage", arn, _of_rule(rule_arn))
    _require_key(queue)
    try:
        sqs_backends[account][region].send_message(
            name,
            text,
            message_attributes={
                attribute: {"DataType": "String", "StringValue": value}
                for attribute, value in (attributes or {}).items()
            },
            group_id=group_id,
        )
    except SQSException as refusal:
        raise NotDelivered("ERROR_FROM_TARGET", str(refusal.message)) from None


def invoke(arn: str, text: str, rule_arn: str) -> None:
    """Invoke a function asynchronously, whose policy lets the rule do so.

    Args:
        arn: of the function, a version or an alias.

    Raises:
        NotDelivered: the function is missing, or must not be invoked.
    """
    _, _, _, region, account, *_ = arn.split(":")
    functions = get_backend(account, region)
    try:
        function = functions.get_function(arn)
        owner = functions.get_function(":".join(arn.split(":")[:7]))
    except LambdaClientError as missing:
        raise NotDelivered("NO_RESOURCE", str(missing.message)) from None
    policy = json.dumps({"Statement": owner.policy.statements})
    _require(policy, "lambda:InvokeFunction", arn, _of_rule(rule_arn))
    try:
        function.invoke(text, {"X-Amz-Invocation-Type": "Event"}, {})
    except LambdaClientError as refusal:
        raise NotDelivered("ERROR_FROM_TARGET", str(refusal.message)) from None


def _require_key(queue: Queue) -> None:
    """A queue that a key of KMS encrypts needs the key's policy to name EventBridge, which that of
    AWS's own key does not
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html).

    A condition on the rule never holds there: for topics AWS says so
    (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html), for queues nothing.
    """
    key_id: str | None = vars(queue).get("kms_master_key_id")
    if not key_id:
        return
    if key_id.endswith(_KEY_OF_AWS):
        raise NotDelivered("NO_PERMISSIONS", f"The policy of {_KEY_OF_AWS} does not allow it.")
    keys = kms_backends[queue.account_id][queue.region]
    key = keys.keys.get(keys.any_id_to_key_id(key_id))
    if key is None:
        raise NotDelivered("NO_RESOURCE", f"The key {key_id} does not exist.")
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        _require(str(key.policy), action, key.arn, _CONTEXT)


def _require(policy: str, action: str, resource: str, context: Context) -> None:
    try:
        allowed = admits(policy, SERVICE, Request(action, resource, context))
    except ValueError as unknown:
        raise NotDelivered("NO_PERMISSIONS", str(unknown)) from None
    if not allowed:
        raise NotDelivered(
            "NO_PERMISSIONS", f"{SERVICE} is not authorized to perform: {action} on {resource}"
        )


def _of_rule(rule_arn: str) -> Context:
    """aws:SourceAccount was seen to be missing
    (https://github.com/awsdocs/aws-cloudformation-user-guide/pull/481)."""
    return {**_CONTEXT, "aws:SourceArn": rule_arn}
