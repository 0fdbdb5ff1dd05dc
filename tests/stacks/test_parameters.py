"""Parameters: those that the application is deployed with, and what an update of some changes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import deployment
from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.server import Server

from .conftest import CHANGED
from .support import Aws, Observers, wait_for

TEMPLATE: dict[str, Any] = {
    "Parameters": {"Word": {"Type": "String"}, "Other": {"Type": "String", "Default": "other"}},
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {
                    "ZipFile": "import os\n\ndef handler(event, context):\n"
                    "    return [os.environ['WORD'], os.environ['OTHER']]\n"
                },
                "Environment": {"Variables": {"WORD": {"Ref": "Word"}, "OTHER": {"Ref": "Other"}}},
            },
        },
    },
    "Outputs": {"Function": {"Value": {"Ref": "Function"}}},
}


@pytest.fixture
def clients() -> Iterator[Clients]:
    with Server() as server:
        yield Observers(server.endpoint)


def test_an_update_of_a_parameter_reaches_the_next_invocation(clients: Clients) -> None:
    clients.cloudformation.create_stack(
        StackName="words",
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": "Word", "ParameterValue": "first"}],
        Capabilities=["CAPABILITY_IAM"],
    )
    function = _outputs_at(clients, "words", "CREATE_COMPLETE")["Function"]
    assert _answer(clients, function) == ["first", "other"]

    clients.cloudformation.update_stack(
        StackName="words",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "Word", "UsePreviousValue": True},
            {"ParameterKey": "Other", "ParameterValue": "another"},
        ],
        Capabilities=["CAPABILITY_IAM"],
    )

    assert _outputs_at(clients, "words", "UPDATE_COMPLETE")["Function"] == function
    assert _answer(clients, function) == ["first", "another"]


def test_the_application_gets_the_sandboxs_parameters_and_those_that_are_given(
    alone: Aws,
) -> None:
    clients = alone.clients
    [stack] = clients.cloudformation.describe_stacks(StackName=deployment.STACK_NAME)["Stacks"]
    variables = _variables(clients)

    parameters = {
        parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]
    }
    assert parameters | CHANGED == parameters
    assert (
        parameters["UploadSecretArns"] == "arn:aws:secretsmanager:us-east-1:123456789012:secret:*"
    )
    assert {function: each["EVENT_BUS"] for function, each in variables.items()} == {
        "InstanceBundleFunction": CHANGED["EventBusName"],
        "LastResortFunction": CHANGED["EventBusName"],
    }
    assert {each["VERIFY_REQUESTS"] for each in variables.values()} == {"true"}
    assert variables["InstanceBundleFunction"]["ALLOW_OBJECT_DELETION"] == "false"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("EventBusName", "two words"), ("EventBusName", "x" * 257)),
        *(("AllowImages", "no"), ("VerifyRequests", "no")),
    ],
)
def test_a_parameter_of_the_application_is_checked_before_anything_is_made(
    clients: Clients, name: str, value: str
) -> None:
    with pytest.raises(clients.cloudformation.exceptions.ClientError, match=name):
        deployment.deploy(clients, {name: value})

    assert clients.cloudformation.list_stacks()["StackSummaries"] == []


@pytest.mark.parametrize("buckets", [",", " ", ",,", "a,,b", "one, two", ",".join(["b"] * 51)])
def test_names_of_buckets_that_would_allow_other_buckets_are_refused_at_deployment(
    clients: Clients, buckets: str
) -> None:
    """In CloudFormation's words, and the template's: what a list of names has to be."""
    refused = "'AllowedBuckets' failed to satisfy constraint: must be 50 bucket names at most"
    with pytest.raises(clients.cloudformation.exceptions.ClientError, match=refused):
        deployment.deploy(clients, {"AllowedBuckets": buckets})

    assert clients.cloudformation.list_stacks()["StackSummaries"] == []


@pytest.mark.parametrize("argument", ["LogRetentionInDays", "=7"])
def test_a_parameter_needs_a_name_and_a_value(argument: str) -> None:
    command = [sys.executable, "-m", "sandbox", "serve", "--parameter", argument]
    refused = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert f"{argument!r} is not KEY=VALUE" in refused.stderr


def _variables(clients: Clients) -> dict[str, dict[str, str]]:
    """The environment variables of the application's functions, by their logical IDs."""
    resources = clients.cloudformation.describe_stack_resources(StackName=deployment.STACK_NAME)
    return {
        resource["LogicalResourceId"]: clients.functions.get_function_configuration(
            FunctionName=resource["PhysicalResourceId"]
        )["Environment"]["Variables"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def _outputs_at(clients: Clients, name: str, status: str) -> dict[str, str]:
    """The stack's outputs, once it is at the status."""

    def outputs() -> dict[str, str] | None:
        [stack] = clients.cloudformation.describe_stacks(StackName=name)["Stacks"]
        if stack["StackStatus"] != status:
            return None
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    return wait_for(outputs, f"{name} to be {status}")


def _answer(clients: Clients, function: str) -> Any:
    return json.load(clients.functions.invoke(FunctionName=function)["Payload"])
