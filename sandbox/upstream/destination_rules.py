"""What Lambda checks of the destinations of asynchronous invocations before it takes them.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html says which action
the execution role needs for each kind of destination.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import (
    InvalidParameterValueException,
    LambdaClientError,
    UnknownFunctionException,
)
from moto.awslambda.models import LambdaBackend
from moto.awslambda.utils import get_backend
from moto.sqs.models import sqs_backends

from sandbox.upstream import request_models
from sandbox.upstream.permissions import Permissions

_ACTIONS = {
    "events": "PutEvents",
    "lambda": "InvokeFunction",
    "s3": "PutObject",
    "sns": "Publish",
    "sqs": "SendMessage",
}
"""What the role of the function needs, by the service of the destination."""


@contextmanager
def enforced(permissions: Permissions) -> Iterator[None]:
    """Have moto refuse event invoke configs that Lambda refuses, of all accounts and regions."""
    guarded = _guarded(LambdaBackend.put_function_event_invoke_config, permissions)
    with patch.object(LambdaBackend, "put_function_event_invoke_config", guarded):
        yield


def _guarded(
    put: Callable[..., dict[str, Any]], permissions: Permissions
) -> Callable[..., dict[str, Any]]:
    @functools.wraps(put)
    def guarded(
        backend: LambdaBackend, function_name: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        problem = request_models.problem("lambda", "PutFunctionEventInvokeConfig", config)
        if problem:
            raise LambdaClientError("ValidationException", problem)
        role = backend.get_function(function_name).role
        for destination in _destinations(config):
            _check(permissions, role, destination)
        return put(backend, function_name, config)

    return guarded


def _destinations(config: Mapping[str, Any]) -> list[str]:
    configured = config.get("DestinationConfig") or {}
    kinds = (configured.get(kind) or {} for kind in ("OnSuccess", "OnFailure"))
    return [kind["Destination"] for kind in kinds if kind.get("Destination")]


def _check(permissions: Permissions, role: str, destination: str) -> None:
    """Raises InvalidParameterValueException
    (its words: https://github.com/hashicorp/terraform-provider-aws/pull/12171)."""
    service = destination.split(":")[2] if destination.count(":") >= 5 else ""
    action = _ACTIONS.get(service)
    if action is None or not _exists(service, destination):
        raise InvalidParameterValueException(f"The destination ARN {destination} is invalid.")
    resource = f"{destination}/*" if service == "s3" else destination
    if not permissions.allows(role, f"{service}:{action}", resource):
        raise InvalidParameterValueException(
            f"The function's execution role does not have permissions to call {action} on "
            f"{destination}"
        )


def _exists(service: str, arn: str) -> bool:
    """Whether a destination is there; of topics, buses and buckets it is assumed."""
    region, account, name = arn.split(":", 5)[3:]
    if service == "sqs":
        return name in sqs_backends[account][region].queues
    if service == "lambda":
        try:
            get_backend(account, region).get_function(arn)
        except UnknownFunctionException:
            return False
    return True
