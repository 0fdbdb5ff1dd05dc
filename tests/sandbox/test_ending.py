"""The sandbox ends soon, however much it is doing."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.functions.conftest import wait_for
from tests.stacks.support import json_of
from tools.memory import PROVIDER

SOON = 5.0
"""Seconds."""

STACKS = 30
FUNCTIONS = 3

_HOLDS = """\
import time

def handler(event, context):
    time.sleep(600)
"""


def template(function: int) -> dict[str, Any]:
    """A stack that waits for a function that holds."""
    token = {"Fn::ImportValue": f"function-{function}"}
    return {
        "Resources": {"Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": token}}}
    }


def provider(function: int) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(PROVIDER))
    made["Resources"]["Fn"]["Properties"] |= {"Code": {"ZipFile": _HOLDS}, "Timeout": 900}
    made["Outputs"]["Arn"]["Export"] = {"Name": f"function-{function}"}
    return made


def test_it_ends_within_five_seconds_while_functions_and_stacks_run() -> None:
    with Server() as server:
        clients = Clients(server.endpoint)
        for number in range(FUNCTIONS):
            create(clients, f"provider-{number}", provider(number))
        for number in range(FUNCTIONS):
            wait_for(partial(is_complete, clients, f"provider-{number}"))
        for number in range(STACKS):
            create(clients, f"stack-{number}", template(number % FUNCTIONS))
        wait_for(lambda: sum(each["count"] for each in invoked(server.endpoint)) == STACKS)
        began = time.monotonic()
    assert time.monotonic() - began < SOON


def create(clients: Clients, name: str, body: dict[str, Any]) -> None:
    clients.cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps(body), Capabilities=["CAPABILITY_IAM"]
    )


def is_complete(clients: Clients, name: str) -> bool:
    [stack] = clients.cloudformation.describe_stacks(StackName=name)["Stacks"]
    return stack["StackStatus"] == "CREATE_COMPLETE"


def invoked(endpoint: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json_of(f"{endpoint}/sandbox/invocations")
    return found
