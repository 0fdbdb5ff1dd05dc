"""The calls of functions, as the server lists them."""

import json
import uuid
from pathlib import Path
from typing import Any

import urllib3

from tests.sandbox.faults.conftest import Function, Sandbox, deployed, once_allowed
from tests.sandbox.functions.conftest import wait_for


def calls_of(function: Function) -> dict[str, int]:
    """How often the function made each call."""
    return {
        entry["call"]: entry["count"]
        for entry in listed(function.sandbox)
        if entry["function"] == function.name
    }


def listed(sandbox: Sandbox) -> list[dict[str, Any]]:
    answer = urllib3.request("GET", f"{sandbox.endpoint}/sandbox/api-calls")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json()
    return found


def test_calls_are_counted_for_the_function_that_makes_them(
    function: Function, tmp_path: Path
) -> None:
    other = deployed(function.sandbox, "handle", tmp_path / "other.jsonl")
    function.sandbox.client("ec2").describe_vpcs()

    function.invoke("DescribeVpcs", "DescribeSubnets", "DescribeVpcs")
    other.invoke("DescribeVpcs")

    assert calls_of(function) == {"ec2:DescribeSubnets": 1, "ec2:DescribeVpcs": 2}
    assert calls_of(other) == {"ec2:DescribeVpcs": 1}
    names = [(entry["function"], entry["call"]) for entry in listed(function.sandbox)]
    assert names == sorted(names)


def test_a_call_that_a_fault_strikes_is_counted(function: Function) -> None:
    function.sandbox.set("ec2:DescribeVpcs", "deny")
    function.sandbox.set("ec2:DescribeSubnets", "kill")

    function.invoke("DescribeVpcs", "DescribeSubnets")

    made = calls_of(function)
    assert made["ec2:DescribeVpcs"] == made["ec2:DescribeSubnets"] == 1


def test_the_answer_of_a_custom_resource_is_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    function = deployed(sandbox, "put", tmp_path / "record.jsonl")
    resource = {"Type": "Custom::Thing", "Properties": {"ServiceToken": function.arn}}
    cloudformation = sandbox.client("cloudformation")
    stack = f"stack-{uuid.uuid4().hex}"
    cloudformation.create_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": {"Custom": resource}})
    )

    wait_for(lambda: calls_of(function).get("response:Put"))


def test_what_lambda_calls_by_a_functions_role_to_log_is_counted(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    function = deployed(sandbox, "handle", tmp_path / "missing" / "record.jsonl")

    function.invoke()
    function.invoke()

    # Lines arrive on their own, after the invocation has ended.
    wait_for(lambda: calls_of(function).get("logs:PutLogEvents", 0) >= 2)
    made = calls_of(function)
    del made["logs:PutLogEvents"]
    assert made == {"logs:CreateLogGroup": 1, "logs:CreateLogStream": 1}


def test_what_lambda_calls_by_a_functions_role_to_poll_is_counted(function: Function) -> None:
    sqs = function.sandbox.client("sqs")
    url = sqs.create_queue(QueueName=uuid.uuid4().hex, Attributes={"VisibilityTimeout": "30"})[
        "QueueUrl"
    ]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    functions = function.sandbox.client("lambda")
    once_allowed(
        lambda: functions.create_event_source_mapping(
            FunctionName=function.name, EventSourceArn=attributes["Attributes"]["QueueArn"]
        )
    )

    wait_for(lambda: "sqs:ReceiveMessage" in calls_of(function))
    assert set(calls_of(function)) == {"sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
    for body in ("one", "two"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    wait_for(lambda: calls_of(function).get("sqs:DeleteMessage") == 2)
