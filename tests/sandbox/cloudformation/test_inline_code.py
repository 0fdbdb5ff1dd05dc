"""Functions whose code is in the template, and the module that they can answer by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.functions.conftest import package

ANSWER = """
import cfnresponse

def handler(event, context):
    data = {"Word": "WORD"}
    cfnresponse.send(event, context, cfnresponse.SUCCESS, data, "id", noEcho=False)
"""
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
    },
}
OUTPUTS: dict[str, Any] = {"Word": {"Fn::GetAtt": ["Resource", "Word"]}}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Server(iam_delay=0) as server:
        yield Served(Clients(server.endpoint))


def function(code: dict[str, str], handler: str = "index.handler") -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Handler": handler,
            "Runtime": "python3.13",
            "Timeout": 60,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": code,
        },
    }


def resources(word: str) -> dict[str, Any]:
    """A custom resource of a function that answers a word."""
    return {
        "Role": ROLE,
        "Function": function({"ZipFile": ANSWER.replace("WORD", word)}),
        "Resource": {
            "Type": "Custom::Resource",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "Word": word},
        },
    }


def test_code_in_a_template_is_the_module_index_and_has_cfnresponse(served: Served) -> None:
    stack = served.create(resources("one"), **OUTPUTS)

    assert served.until(stack, "CREATE_COMPLETE") == {"Word": "one"}
    served.update(stack, resources("two"), **OUTPUTS)
    assert served.until(stack, "UPDATE_COMPLETE") == {"Word": "two"}
    served.delete(stack)


def test_code_in_a_template_may_have_more_than_4096_characters(served: Served) -> None:
    made = resources("one")
    made["Function"]["Properties"]["Code"]["ZipFile"] += "# " + 5_000 * "x"

    stack = served.create(made, **OUTPUTS)

    assert served.until(stack, "CREATE_COMPLETE") == {"Word": "one"}


def test_code_from_a_bucket_has_no_cfnresponse(served: Served) -> None:
    served.clients.s3.create_bucket(Bucket="code-of-functions")
    served.clients.s3.put_object(Bucket="code-of-functions", Key="zip", Body=package())
    code = {"S3Bucket": "code-of-functions", "S3Key": "zip"}
    stack = served.create(
        {"Role": ROLE, "Function": function(code, "app.describe")}, Name={"Ref": "Function"}
    )
    name = served.until(stack, "CREATE_COMPLETE")["Name"]

    answer = served.clients.client("lambda").invoke(
        FunctionName=name, Payload=b'["cfnresponse", "urllib3"]'
    )

    assert b'"importable": ["urllib3"]' in answer["Payload"].read()
