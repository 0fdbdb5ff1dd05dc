"""What Lambda checks of an event source mapping of a queue before it takes it.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import EventSourceMapping, LambdaBackend, LambdaFunction
from moto.sqs.models import sqs_backends

from sandbox.upstream import request_models
from sandbox.upstream.permissions import Permissions

_NEEDED = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")

_WITHOUT_WINDOW = 10
"""The largest batch that needs no batching window."""


@contextmanager
def enforced(permissions: Permissions) -> Iterator[None]:
    """Have moto refuse mappings that Lambda refuses, of all accounts and regions."""
    create = LambdaBackend.create_event_source_mapping
    update = LambdaBackend.update_event_source_mapping
    with ExitStack() as patches:
        for name, guarded in (
            ("create_event_source_mapping", _guarded_creation(create, permissions)),
            ("update_event_source_mapping", _guarded_update(update, permissions)),
        ):
            patches.enter_context(patch.object(LambdaBackend, name, guarded))
        yield


def _guarded_creation(
    create: Callable[..., EventSourceMapping], permissions: Permissions
) -> Callable[..., EventSourceMapping]:
    @functools.wraps(create)
    def guarded(backend: LambdaBackend, spec: dict[str, Any]) -> EventSourceMapping:
        _check_values("CreateEventSourceMapping", spec)
        _check(backend, permissions, spec)
        return create(backend, spec)

    return guarded


def _guarded_update(
    update: Callable[..., EventSourceMapping | None], permissions: Permissions
) -> Callable[..., EventSourceMapping | None]:
    @functools.wraps(update)
    def guarded(
        backend: LambdaBackend, uuid: str, spec: dict[str, Any]
    ) -> EventSourceMapping | None:
        mapping = backend.get_event_source_mapping(uuid)
        if mapping is not None:
            _check_values("UpdateEventSourceMapping", spec)
            kept = {
                "FunctionName": mapping.function_arn,
                "EventSourceArn": mapping.event_source_arn,
                "BatchSize": mapping.batch_size,
                "MaximumBatchingWindowInSeconds": mapping.max_batch_window,
            }
            _check(backend, permissions, {**kept, **spec})
        return update(backend, uuid, spec)

    return guarded


def _check_values(operation: str, spec: Mapping[str, Any]) -> None:
    problem = request_models.problem("lambda", operation, spec)
    if problem:
        raise LambdaClientError("ValidationException", problem)


def _check(backend: LambdaBackend, permissions: Permissions, spec: Mapping[str, Any]) -> None:
    """Raises InvalidParameterValueException. moto itself reports what is missing."""
    source = str(spec.get("EventSourceArn") or "")
    if source.split(":")[2:3] != ["sqs"] or not spec.get("FunctionName"):
        return
    _check_window(spec)
    function = backend.get_function(spec["FunctionName"])
    _check_role(permissions, function, source)
    _check_timeout(function, source)


def _check_window(spec: Mapping[str, Any]) -> None:
    size = int(spec.get("BatchSize") or _WITHOUT_WINDOW)
    if size > _WITHOUT_WINDOW and not int(spec.get("MaximumBatchingWindowInSeconds") or 0):
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            f"greater than {_WITHOUT_WINDOW}"
        )


def _check_role(permissions: Permissions, function: LambdaFunction, queue_arn: str) -> None:
    for action in _NEEDED:
        if not permissions.allows(function.role, f"sqs:{action}", queue_arn):
            raise InvalidParameterValueException(
                f"The function execution role does not have permissions to call {action} on SQS"
            )


def _check_timeout(function: LambdaFunction, queue_arn: str) -> None:
    region, account, name = queue_arn.split(":")[3:6]
    queue: Any = sqs_backends[account][region].queues.get(name)
    if queue is not None and int(queue.visibility_timeout) < int(function.timeout):
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "
            f"Function timeout: {function.timeout} seconds"
        )
