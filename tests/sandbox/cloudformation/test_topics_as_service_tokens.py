"""Custom resources whose ServiceToken is a topic."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.sandbox.cloudformation.parts import TRUST
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import zipped

CODE = """
import json
import urllib.request

def handler(event, context):
    [record] = event["Records"]
    notification = record["Sns"]
    request = json.loads(notification["Message"])
    answer = {name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer["Status"] = "SUCCESS"
    answer["PhysicalResourceId"] = "made-by-a-topic"
    answer["Data"] = {
        "Subject": notification["Subject"],
        "TopicArn": notification["TopicArn"],
        "Source": record["EventSource"],
        "RequestType": request["RequestType"],
    }
    body = json.dumps(answer).encode()
    put = urllib.request.Request(request["ResponseURL"], data=body, method="PUT")
    put.add_header("Content-Type", "")
    urllib.request.urlopen(put).close()
"""


@pytest.fixture(scope="module")
def topic(served: Served) -> str:
    """A topic that invokes a function, which answers requests."""
    clients, name = served.clients, f"provider-{uuid.uuid4().hex[:8]}"
    role = clients.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    functions, sns = clients.client("lambda"), clients.client("sns")
    function = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Timeout=20,
        Code={"ZipFile": zipped(CODE)},
    )["FunctionArn"]
    arn: str = sns.create_topic(Name=name)["TopicArn"]
    functions.add_permission(
        FunctionName=name,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=arn,
    )
    sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=function)
    return arn


def resource(token: str, **more: str) -> dict[str, Any]:
    return {"Type": "Custom::Thing", "Properties": {"ServiceToken": token, **more}}


def outputs() -> dict[str, Any]:
    names = ("Subject", "TopicArn", "Source", "RequestType")
    return {"Id": {"Ref": "Thing"}, **{name: {"Fn::GetAtt": ["Thing", name]} for name in names}}


def test_a_topic_gets_the_request_and_a_function_of_it_answers(served: Served, topic: str) -> None:
    stack_id = served.create({"Thing": resource(topic)}, **outputs())

    assert served.until(stack_id, "CREATE_COMPLETE") == {
        "Id": "made-by-a-topic",
        "Subject": "AWS CloudFormation custom resource request",
        "TopicArn": topic,
        "Source": "aws:sns",
        "RequestType": "Create",
    }
    served.update(stack_id, {"Thing": resource(topic, Name="new")}, **outputs())
    assert served.until(stack_id, "UPDATE_COMPLETE")["RequestType"] == "Update"
    served.delete(stack_id)


def test_a_topic_that_is_missing_fails_the_resource(served: Served) -> None:
    missing = "arn:aws:sns:us-east-1:123456789012:missing"
    stack_id = served.create({"Thing": resource(missing)})

    assert "not exist" in served.until_resource(stack_id, "Thing", "CREATE_FAILED")
