"""Whom a custom resource's ServiceToken names: a function or a topic
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html)."""

from __future__ import annotations

import re

from moto.awslambda.utils import get_backend as get_lambda_backend
from moto.sns.models import sns_backends

_ARN = re.compile(
    r"arn:aws[\w-]*:(?P<service>lambda|sns):(?P<region>[a-z0-9-]+):(?P<account>\d{12}):"
    r"(?P<rest>.+)"
)
_NAMES = {"lambda": re.compile(r"function:[\w-]+(:[\w$-]+)?"), "sns": re.compile(r"[\w.-]{1,256}")}
_SUBJECT = "AWS CloudFormation custom resource request"


def is_valid(token: str) -> bool:
    """Whether it is the ARN of a function, or of a topic."""
    arn = _ARN.fullmatch(token)
    return bool(arn and _NAMES[arn["service"]].fullmatch(arn["rest"]))


def is_function(token: str) -> bool:
    """Whether it is the ARN of a function."""
    arn = _ARN.fullmatch(token)
    return bool(arn and arn["service"] == "lambda")


def send(token: str, request: str) -> None:
    """Invoke the function asynchronously, or publish to the topic. A backend may raise anything."""
    arn = _ARN.fullmatch(token)
    if arn is None:
        raise LookupError(f"no service token: {token}")
    if arn["service"] == "sns":
        sns_backends[arn["account"]][arn["region"]].publish(request, arn=token, subject=_SUBJECT)
        return
    backend = get_lambda_backend(arn["account"], arn["region"])
    backend.get_function(token)
    backend.invoke(token, None, request, {"X-Amz-Invocation-Type": "Event"}, {})
