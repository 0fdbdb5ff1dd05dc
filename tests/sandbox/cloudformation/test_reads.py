"""What functions read of stacks: out of date, and throttled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.cloudformation.reads import by_function
from sandbox.server import Server
from tests.sandbox.cloudformation.parts import document
from tests.sandbox.cloudformation.phases import Phases, template
from tests.sandbox.cloudformation.support import REGION, Sandbox, zipped
from tests.sandbox.functions.conftest import wait_for

BUNDLE = template(Bundle="one")


def later(sandbox: Sandbox, seconds: float) -> None:
    """Let time pass; all of it, where the clock was stopped."""
    sandbox.clock.ahead += seconds


@pytest.fixture
def stopped(phases: Phases) -> Phases:
    """Time passes where the test says so."""
    phases.sandbox.clock.stopped = 1_800_000_000.0
    return phases


def error_of(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call()
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_function_sees_a_new_stack_only_after_a_while(stopped: Phases) -> None:
    client = stopped.sandbox.client
    stack_id = stopped.create(BUNDLE)
    stopped.request("Create")
    calls: list[Callable[[], Any]] = [
        lambda: client.describe_stacks(StackName=stack_id),
        lambda: client.describe_stacks(StackName="shop"),
        lambda: client.describe_stack_events(StackName=stack_id),
        lambda: client.describe_stack_resource(StackName=stack_id, LogicalResourceId="Bundle"),
    ]
    for call in calls:
        assert call()  # others see it

    later(stopped.sandbox, 2.9)
    with by_function():
        for call in calls:
            code, message = error_of(call)
            assert (code, "does not exist" in message) == ("ValidationError", True)
        assert client.list_stacks()["StackSummaries"] == []

    later(stopped.sandbox, 1)
    with by_function():
        for call in calls:
            assert call()


def test_a_function_sees_a_new_stack_of_a_change_set_in_review_for_a_while(
    stopped: Phases,
) -> None:
    client = stopped.sandbox.client
    stack_id = client.create_change_set(
        StackName="shop", ChangeSetName="one", ChangeSetType="CREATE", TemplateBody=BUNDLE
    )["StackId"]
    later(stopped.sandbox, 10)
    client.execute_change_set(StackName="shop", ChangeSetName="one")
    stopped.request("Create")
    assert stopped.seen(stack_id) == ("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", None)

    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "REVIEW_IN_PROGRESS"
        assert error_of(
            lambda: client.describe_stack_resource(StackName=stack_id, LogicalResourceId="Bundle")
        ) == ("ValidationError", f"Resource Bundle does not exist for stack {stack_id}")
    later(stopped.sandbox, 3)
    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"


def test_a_function_sees_the_update_for_a_while_where_its_rollback_has_begun(
    stopped: Phases,
) -> None:
    stack_id = stopped.created(template(Bundle="one", Sibling="one"), Bundle="bun-1", Sibling="s")
    stopped.update(template(Bundle="two", Sibling="two"))
    sibling = stopped.request("Update", "Sibling")
    stopped.answer(stopped.request("Update"), "bun-2")
    stopped.until_resource("UPDATE_COMPLETE")
    later(stopped.sandbox, 10)
    stopped.fail(sibling)
    back = stopped.request("Update", nth=2)

    assert back["ResourceProperties"]["Name"] == "one"
    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "UPDATE_IN_PROGRESS"
        assert stopped.operations()[0] == "UPDATE_STACK"
    later(stopped.sandbox, 3)
    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS"
        assert stopped.operations()[0] == "ROLLBACK"


def test_a_function_sees_what_was(stopped: Phases) -> None:
    stack_id = stopped.created(BUNDLE, Bundle="bun-1")
    later(stopped.sandbox, 10)
    stopped.update(template(Bundle="two"))
    stopped.answer(stopped.request("Update"), "bun-2")
    stopped.request("Delete")
    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "CREATE_COMPLETE"
        assert stopped.operations() == ["CREATE_STACK"]
        assert stopped.last_event(stack_id) == ("CREATE_COMPLETE", "bun-1")

    later(stopped.sandbox, 2)
    with by_function():
        [listed] = stopped.sandbox.client.list_stack_resources(StackName="shop")[
            "StackResourceSummaries"
        ]
        assert (listed["ResourceStatus"], listed["PhysicalResourceId"]) == (
            "CREATE_COMPLETE",
            "bun-1",
        )

    later(stopped.sandbox, 1)
    with by_function():
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == (
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        )
        assert stopped.operations() == ["UPDATE_STACK", "CREATE_STACK"]
        assert stopped.last_event(stack_id) == ("DELETE_IN_PROGRESS", "bun-1")


def test_a_function_finds_a_deleted_stack_by_its_name_for_a_while(stopped: Phases) -> None:
    stack_id = stopped.created(BUNDLE, Bundle="bun-1")
    later(stopped.sandbox, 10)
    stopped.sandbox.client.delete_stack(StackName="shop")
    stopped.answer(stopped.request("Delete"))
    stopped.sandbox.until("DELETE_COMPLETE", stack_id)
    with by_function():
        assert stopped.sandbox.stack()["StackStatus"] == "CREATE_COMPLETE"

    later(stopped.sandbox, 3)
    with by_function():
        assert error_of(stopped.sandbox.stack)[0] == "ValidationError"
        assert stopped.sandbox.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"


def test_functions_read_five_times_a_second_together(stopped: Phases) -> None:
    once = Config(retries={"total_max_attempts": 1})
    client = boto3.client("cloudformation", region_name=REGION, config=once)
    stack_id = stopped.created(BUNDLE, Bundle="bun-1")
    later(stopped.sandbox, 10)
    calls: list[Callable[[], Any]] = [
        lambda: client.describe_stacks(StackName=stack_id),
        lambda: client.describe_stack_events(StackName=stack_id),
        lambda: client.describe_stack_resource(StackName=stack_id, LogicalResourceId="Bundle"),
        lambda: client.describe_stack_resources(StackName=stack_id),
        lambda: client.list_stack_resources(StackName=stack_id),
    ]
    with by_function():
        for call in calls:
            call()
        refusals = [error_of(call) for call in calls]
        assert refusals == [("Throttling", "Rate exceeded")] * 5
        later(stopped.sandbox, 0.9)
        assert error_of(calls[0])[0] == "Throttling"
        later(stopped.sandbox, 0.1)
        calls[0]()
    for call in calls:
        call()  # others are not throttled


READER = """
import os
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def read(stack_id):
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"],
        f"Action=DescribeStacks&Version=2010-05-15&StackName={stack_id}".encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE"
            "/20260101/us-east-1/cloudformation/aws4_request, SignedHeaders=host, Signature=0",
        },
    )
    try:
        with urllib.request.urlopen(request) as response:
            return [response.status, ""]
    except urllib.error.HTTPError as refusal:
        return [refusal.code, re.search("<Code>(.*)</Code>", refusal.read().decode())[1]]


def handler(event, context):
    with ThreadPoolExecutor(10) as threads:
        return list(threads.map(read, [event["stack"]] * event["reads"]))
"""


def test_the_server_knows_which_reads_are_functions() -> None:
    with Server(describe_delay=3600) as server:
        clients = Clients(server.endpoint)
        iam, functions = clients.client("iam"), clients.functions
        role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        iam.put_role_policy(
            RoleName="reader",
            PolicyName="reads",
            PolicyDocument=json.dumps(document("cloudformation:DescribeStacks")),
        )
        functions.create_function(
            FunctionName="reader",
            Runtime="python3.13",
            Handler="app.handler",
            Role=role,
            Code={"ZipFile": zipped(READER)},
            Timeout=60,
        )
        handle = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
        stack_id = clients.cloudformation.create_stack(
            StackName="shop", TemplateBody=json.dumps({"Resources": handle})
        )["StackId"]
        assert clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"]

        def read(reads: int) -> set[tuple[int, str]]:
            payload = json.dumps({"stack": stack_id, "reads": reads}).encode()
            answer = functions.invoke(FunctionName="reader", Payload=payload)
            return {tuple(each) for each in json.loads(answer["Payload"].read())}

        wait_for(lambda: (403, "AccessDenied") not in read(1))
        found = read(50)
    assert found == {(400, "ValidationError"), (400, "Throttling")}
