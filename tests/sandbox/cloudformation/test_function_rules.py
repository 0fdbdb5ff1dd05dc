"""What Lambda checks of a function's configuration, over its API and in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.parts import TRUST, function, role
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import zipped


@pytest.fixture(scope="module")
def functions(served: Served) -> Any:
    """A client of Lambda, where there is the role `worker`."""
    served.clients.client("iam").create_role(
        RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    return served.clients.functions


def create(functions: Any, name: str, **settings: Any) -> None:
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role="arn:aws:iam::123456789012:role/worker",
        Code={"ZipFile": zipped()},
        **settings,
    )


def refused(code: str, words: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\).*: {words}")


def variables(size: int) -> dict[str, Any]:
    """An environment that is measured as so many bytes."""
    return {"Variables": {"NAME": "x" * (size - len('{"NAME":""}'))}}


UNCONFIGURED = (
    "Lambda was unable to configure your environment variables because the environment variables "
    "you have provided "
)


def test_the_variables_of_a_function_have_a_size_together(functions: Any) -> None:
    create(functions, "sized", Environment=variables(4_096))

    with refused("InvalidParameterValueException", f"{UNCONFIGURED}exceeded the 4KB limit."):
        create(functions, "oversized", Environment=variables(4_097))
    with refused("InvalidParameterValueException", f"{UNCONFIGURED}exceeded the 4KB limit."):
        functions.update_function_configuration(FunctionName="sized", Environment=variables(4_097))


def test_lambdas_own_variables_are_reserved(functions: Any) -> None:
    with refused(
        "InvalidParameterValueException",
        f"{UNCONFIGURED}contains reserved keys .* in this request: AWS_REGION, _HANDLER",
    ):
        create(functions, "own", Environment={"Variables": {"_HANDLER": "a", "AWS_REGION": "b"}})


@pytest.mark.parametrize("name", ["x" * 65, "a.b", "two words"])
def test_a_functions_name_is_checked(functions: Any, name: str) -> None:
    with refused(
        "ValidationException", f"1 validation error detected: Value '{name}' at 'function"
    ):
        create(functions, name)


def test_a_name_at_the_limit_is_taken(functions: Any) -> None:
    create(functions, "x" * 64)


@pytest.mark.parametrize(
    "settings", [{"MemorySize": 100_000}, {"Timeout": 100_000}, {"Description": "d" * 257}]
)
def test_a_functions_values_are_checked(functions: Any, settings: dict[str, Any]) -> None:
    with refused("ValidationException", "1 validation error detected"):
        create(functions, "values", **settings)


def test_a_hundred_environments_can_not_be_reserved(functions: Any) -> None:
    create(functions, "reserving")
    create(functions, "reserving-too")
    functions.put_function_concurrency(FunctionName="reserving", ReservedConcurrentExecutions=899)
    words = "Specified ReservedConcurrentExecutions for function decreases account's"

    with refused("InvalidParameterValueException", words):
        functions.put_function_concurrency(
            FunctionName="reserving-too", ReservedConcurrentExecutions=2
        )
    functions.put_function_concurrency(FunctionName="reserving-too", ReservedConcurrentExecutions=1)
    functions.put_function_concurrency(FunctionName="reserving", ReservedConcurrentExecutions=0)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Environment": variables(4_097)}, "exceeded the 4KB limit"),
        ({"FunctionName": "x" * 65}, "Member must have length less than or equal to 64"),
        ({"ReservedConcurrentExecutions": 901}, "below its minimum value of [100]"),
    ],
)
def test_a_stack_with_a_function_that_is_refused_is_rolled_back(
    served: Served, properties: dict[str, Any], words: str
) -> None:
    stack = served.create({"Role": role(), "Function": function(**properties)})

    served.until(stack, "ROLLBACK_COMPLETE")
    assert words in served.until_resource(stack, "Function", "CREATE_FAILED")
