"""Topics that invoke functions.

"Amazon SNS invokes your function asynchronously with an event that contains a message and metadata"
(https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html), where the function's policy lets the
topic do so. moto runs the function before the call of Publish returns, with an event of examples.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.utils import get_backend
from moto.sns.models import Subscription

from sandbox.upstream.policies import Request, admits

_SERVICE = "sns.amazonaws.com"

log = logging.getLogger("sandbox")


@contextmanager
def invoking() -> Iterator[None]:
    """Have moto's topics invoke functions as SNS does."""
    publish = Subscription.publish

    def published(
        subscription: Subscription,
        message: str,
        message_id: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if subscription.protocol != "lambda":
            publish(subscription, message, message_id, subject, message_attributes, **more)
            return
        matcher = subscription._filter_policy_matcher
        if matcher is None or matcher.matches(message_attributes, message):
            if more.get("message_structure") == "json":
                message = subscription._parse_message_structure(message, "lambda")
            _invoke(
                subscription, _event(subscription, message, message_id, subject, message_attributes)
            )

    with patch.object(Subscription, "publish", published):
        yield


def _event(
    subscription: Subscription,
    message: str,
    message_id: str,
    subject: str | None,
    attributes: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """As functions get it, with a signature that nobody can check."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic_arn,
        "Subject": subject,
        "Message": message,
        "Timestamp": now,
        "SignatureVersion": "1",
        "Signature": "none",
        "SigningCertUrl": "https://sns.invalid/none.pem",
        "UnsubscribeUrl": f"https://sns.invalid/?SubscriptionArn={subscription.arn}",
        "MessageAttributes": {
            name: {"Type": each.get("type"), "Value": each.get("value")}
            for name, each in (attributes or {}).items()
        },
    }
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription.arn,
                "Sns": notification,
            }
        ]
    }


def _invoke(subscription: Subscription, event: Mapping[str, Any]) -> None:
    """Invoke the function; where that is not possible, or not allowed, the message is lost."""
    arn = subscription.endpoint
    _, _, _, region, account, *_ = arn.split(":")
    functions = get_backend(account, region)
    context = {"aws:SourceArn": subscription.topic_arn, "aws:PrincipalServiceName": _SERVICE}
    try:
        function = functions.get_function(arn)
        owner = functions.get_function(":".join(arn.split(":")[:7]))
        policy = json.dumps({"Statement": owner.policy.statements})
        if not admits(policy, _SERVICE, Request("lambda:InvokeFunction", arn, context)):
            log.warning("%s does not let %s invoke it", arn, subscription.topic_arn)
            return
        function.invoke(json.dumps(event), {"X-Amz-Invocation-Type": "Event"}, {})
    except (LambdaClientError, ValueError) as problem:
        log.warning("%s was not invoked by %s: %s", arn, subscription.topic_arn, problem)
