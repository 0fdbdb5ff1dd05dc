"""Recursive loop detection: which functions may go on in a loop, and what stops the others.

moto has neither the setting nor its API.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionRecursionConfig.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch
from urllib.parse import unquote

from moto.awslambda import urls
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.responses import LambdaResponse

from sandbox.functions import metrics
from sandbox.functions.lineage import LIMIT, Lineage

ALLOW, TERMINATE = "Allow", "Terminate"

_PATH = r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)/recursion-config/?$"

Answer = tuple[int, dict[str, str], str]


class RecursiveInvocationException(LambdaClientError):
    """The function was invoked too often in one chain of requests, and is not invoked again."""

    code = 400

    def __init__(self) -> None:
        super().__init__(
            "RecursiveInvocationException",
            "Lambda has detected your function being invoked in a recursive loop with other AWS "
            "resources and stopped your function's invocation.",
        )


def enter(function: LambdaFunction, chain: Lineage) -> Lineage:
    """The chain of requests with one more invocation of the function.

    Raises RecursiveInvocationException, and counts it, if the function was invoked as often as it
    may be and does not allow loops.
    """
    if chain.invocations(function) >= LIMIT and setting(function) == TERMINATE:
        metrics.count(function, "RecursiveInvocationsDropped")
        raise RecursiveInvocationException
    return chain.through(function)


def setting(function: LambdaFunction) -> str:
    """A function's RecursiveLoop."""
    return str(vars(function).get("recursive_loop", TERMINATE))


def put_setting(function: LambdaFunction, value: str) -> None:
    """Give a function its RecursiveLoop; AWS's ValidationException where the value is none."""
    if value not in (ALLOW, TERMINATE):
        raise LambdaClientError(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at 'recursiveLoop' failed to satisfy "
            f"constraint: Member must satisfy enum value set: [{ALLOW}, {TERMINATE}]",
        )
    vars(function)["recursive_loop"] = value


@contextmanager
def served() -> Iterator[None]:
    """Have moto's Lambda answer PutFunctionRecursionConfig and GetFunctionRecursionConfig."""
    with ExitStack() as patches:
        patches.enter_context(patch.dict(urls.url_paths, {_PATH: LambdaResponse.dispatch}))
        for action in (put_function_recursion_config, get_function_recursion_config):
            patches.enter_context(
                patch.object(LambdaResponse, action.__name__, action, create=True)
            )
        yield


def put_function_recursion_config(response: LambdaResponse) -> Answer:
    """Serve PutFunctionRecursionConfig."""
    function = _function(response)
    put_setting(function, json.loads(response.body)["RecursiveLoop"])
    return get_function_recursion_config(response)


def get_function_recursion_config(response: LambdaResponse) -> Answer:
    """Serve GetFunctionRecursionConfig."""
    return 200, {}, json.dumps({"RecursiveLoop": setting(_function(response))})


def _function(response: LambdaResponse) -> LambdaFunction:
    name = unquote(response.path.rstrip("/").split("/")[-2])
    return response.backend.get_function(name)
