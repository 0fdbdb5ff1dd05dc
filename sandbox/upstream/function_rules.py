"""What Lambda checks of a function's configuration, and moto does not.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction

from sandbox.upstream import request_models

ENVIRONMENT_BYTES = 4_096
"""Of all variables of a function, names and values, as JSON."""
FUNCTION_NAME = 64
"""Characters of a name that is no ARN
(https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html)."""
CONCURRENCY = 1_000
"""Environments of an account in a Region at once; fewer in new accounts, more on request."""
UNRESERVED = 100
"""How many of them cannot be reserved."""

_RESERVED_VARIABLES = {
    *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV"),
    *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE"),
    *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API"),
    *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}
_UNCONFIGURED = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided"
)


@contextmanager
def enforced() -> Iterator[None]:
    """Have moto refuse functions that Lambda refuses, of all accounts and regions."""
    with ExitStack() as patches:
        for owner, name, guard in (
            (LambdaBackend, "create_function", _guarded_creation),
            (LambdaFunction, "update_configuration", _guarded_update),
            (LambdaBackend, "put_function_concurrency", _guarded_reservation),
        ):
            patches.enter_context(patch.object(owner, name, guard(getattr(owner, name))))
        yield


def _guarded_creation(create: Callable[..., LambdaFunction]) -> Callable[..., LambdaFunction]:
    @functools.wraps(create)
    def guarded(backend: LambdaBackend, spec: dict[str, Any]) -> LambdaFunction:
        _check("CreateFunction", spec)
        _check_name(str(spec.get("FunctionName") or ""))
        if spec.get("ReservedConcurrentExecutions") is not None:
            _check_reservation(
                backend, spec["FunctionName"], int(spec["ReservedConcurrentExecutions"])
            )
        return create(backend, spec)

    return guarded


def _guarded_update(update: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @functools.wraps(update)
    def guarded(function: LambdaFunction, changes: dict[str, Any]) -> dict[str, Any]:
        _check("UpdateFunctionConfiguration", changes)
        return update(function, changes)

    return guarded


def _guarded_reservation(put: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(put)
    def guarded(backend: LambdaBackend, function_name: str, reserved: str) -> str:
        _check_reservation(backend, function_name, int(reserved))
        return put(backend, function_name, reserved)

    return guarded


def _check(operation: str, spec: Mapping[str, Any]) -> None:
    problem = request_models.problem("lambda", operation, spec)
    if problem:
        raise LambdaClientError("ValidationException", problem)
    variables = (spec.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(_RESERVED_VARIABLES & variables.keys())
    if reserved:
        raise InvalidParameterValueException(
            f"{_UNCONFIGURED} contains reserved keys that are currently not supported for "
            f"modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES:
        raise InvalidParameterValueException(
            f"{_UNCONFIGURED} exceeded the 4KB limit. String measured: {measured}"
        )


def _check_name(name: str) -> None:
    if not name.startswith("arn:") and len(name) > FUNCTION_NAME:
        raise LambdaClientError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {FUNCTION_NAME}",
        )
    if not re.fullmatch(r"[a-zA-Z0-9:_-]+", name):
        raise LambdaClientError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9-_]+",
        )


def _check_reservation(backend: LambdaBackend, function_name: str, wanted: int) -> None:
    others = [
        int(function.reserved_concurrency or 0)
        for function in backend.list_functions()
        if function_name not in (function.function_name, function.function_arn)
    ]
    if CONCURRENCY - sum(others) - wanted < UNRESERVED:
        raise InvalidParameterValueException(
            "Specified ReservedConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED}]."
        )
