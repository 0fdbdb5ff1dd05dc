"""What docs/operating.md says about stacks that are stuck, typed in the sandbox."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from samtranslator.yaml_helper import yaml_parse

from sandbox.artifact import REPOSITORY

from .pages import Operator, blocks
from .support import Aws, Observers, SandboxProcess, created, signing_secret, wait_for

Template = Callable[..., dict[str, Any]]

PAGE = "docs/operating.md"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, whose application is changed."""
    sandbox = SandboxProcess.start(tmp_path)
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


@pytest.fixture
def operator(aws: Aws, tmp_path: Path) -> Operator:
    home = tmp_path / "operator"
    home.mkdir()
    return Operator(aws, PAGE, home)


def test_each_way_leads_out_of_each_state_of_failure(
    aws: Aws, template: Template, operator: Operator
) -> None:
    removable = partial(template, OnDelete="Delete")
    deleting, kept = (
        created(aws, removable(aws.instance(seconds="1"), f"runbook/{name}"))[0]
        for name in ("deleting", "kept")
    )
    rolling_back = aws.create_stack(
        held(removable(aws.instance(seconds="1"), "runbook/rolling-back"))
    )
    wait_for(lambda: is_held(aws, rolling_back), "the bundle before the failure")

    operator.run("set_parameter AllowObjectDeletion false")
    signal_failure(aws, rolling_back)
    for stack_id in (deleting, kept):
        aws.clients.cloudformation.delete_stack(StackName=stack_id)
    assert aws.at_rest(rolling_back)["StackStatus"] == "ROLLBACK_FAILED"
    assert aws.at_rest(deleting)["StackStatus"] == "DELETE_FAILED"
    assert aws.at_rest(kept)["StackStatus"] == "DELETE_FAILED"
    for stack_id in (rolling_back, deleting):
        shown = operator.type("Find the Reason", STACK=stack_id)
        assert "parameter AllowObjectDeletion is false" in shown
    assert "kept" in operator.type("Delete again", 1, STACK=kept)
    assert aws.keys("runbook/kept.manifest") != []

    operator.run("set_parameter AllowObjectDeletion true")
    for stack_id in (rolling_back, deleting):
        operator.type("Delete again", STACK=stack_id)
    assert [*aws.keys("runbook/deleting"), *aws.keys("runbook/rolling-back")] == []

    redeploys(aws, template, operator)
    rollbacks(aws, template, operator)

    operator.type("Read the logs")
    operator.type("Alarms")
    everything = {
        (heading, number)
        for heading, commands in blocks(PAGE).items()
        for number in range(len(commands))
    }
    before_all_others = {("Before you start", 0)}
    assert operator.typed | typed_by_test_alarms() | before_all_others == everything


def typed_by_test_alarms() -> set[tuple[str, int]]:
    """The entries of alarms, each with a block."""
    found = yaml_parse((REPOSITORY / "template.yaml").read_text())["Resources"].items()
    return {(name, 0) for name, each in found if each["Type"] == "AWS::CloudWatch::Alarm"}


def redeploys(aws: Aws, template: Template, operator: Operator) -> None:
    """A Create and an Update that fail are deployed again."""
    body = template("i-0123456789abcdef0", "runbook/deployed")
    stack_id = aws.create_stack(body)
    name = stack_id.split("/")[1]
    instance = aws.instance(seconds="1")
    body["Resources"]["Bundle"]["Properties"]["InstanceId"] = instance
    file = operator.directory / "web.yaml"
    file.write_text(json.dumps(body))
    operator.type("Wait for work")
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    operator.type("Deploy again", STACK=name)
    again = aws.stack(name)
    assert again["StackStatus"] == "CREATE_COMPLETE"

    body["Resources"]["Bundle"]["Properties"]["InstanceId"] = "i-0123456789abcdef0"
    aws.update_stack(again["StackId"], body)
    assert aws.at_rest(again["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    body["Resources"]["Bundle"]["Properties"] |= {"InstanceId": instance, "OnDelete": "Delete"}
    file.write_text(json.dumps(body))
    operator.type("Deploy again", 1, STACK=name)
    assert aws.stack(name)["StackStatus"] == "UPDATE_COMPLETE"


def rollbacks(aws: Aws, template: Template, operator: Operator) -> None:
    """A rollback that fails is continued, with and without the resource."""
    stacks = {}
    for name in ("continued", "skipped"):
        body = template(aws.instance(seconds="1"), f"runbook/{name}", OnDelete="Delete")
        stacks[name], _ = created(aws, body)
        body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Prefix"] += "/new"
        aws.update_stack(stacks[name], held(body))
    for stack_id in stacks.values():
        wait_for(partial(is_held, aws, stack_id), "the new bundle before the failure")
    crash(aws, "no_such_module")
    for stack_id in stacks.values():
        signal_failure(aws, stack_id)
    for stack_id in stacks.values():
        assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    operator.type("Continue the rollback", 1, STACK=stacks["skipped"])
    crash(aws, "app")
    operator.type("Continue the rollback", STACK=stacks["continued"])
    for stack_id in stacks.values():
        assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.keys("runbook/continued.manifest") != []
    assert aws.keys("runbook/continued/new") == []

    operator.run("set_parameter Paused true")
    operator.type("Set a parameter")
    [application] = aws.clients.cloudformation.describe_stacks(StackName="cfn-instance-bundle")[
        "Stacks"
    ]
    values = {each["ParameterKey"]: each["ParameterValue"] for each in application["Parameters"]}
    assert (values["Paused"], values["AllowObjectDeletion"]) == ("false", "true")


def held(body: dict[str, Any]) -> dict[str, Any]:
    """The template, which fails once its bundle is there and the handle is signalled."""
    resources = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Failing": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": "Bundle",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
        },
    }
    return {**body, "Resources": body["Resources"] | resources}


def is_held(aws: Aws, stack_id: str) -> bool | None:
    """Whether the bundle is there, and the stack waits for the signal."""
    moves = [(e["LogicalResourceId"], e["ResourceStatus"]) for e in aws.events(stack_id)]
    return ("Failing", "CREATE_IN_PROGRESS") in moves or None


def signal_failure(aws: Aws, stack_id: str) -> None:
    """Signal the handle that something has failed."""
    found = aws.clients.cloudformation.describe_stack_resource(
        StackName=stack_id, LogicalResourceId="Handle"
    )
    signal = {"Status": "FAILURE", "Reason": "a test", "UniqueId": "1", "Data": ""}
    sent = urllib3.request(
        "PUT",
        found["StackResourceDetail"]["PhysicalResourceId"],
        body=json.dumps(signal).encode(),
        headers={"Content-Type": ""},
    )
    assert sent.status == 200, sent.data


def crash(aws: Aws, module: str) -> None:
    """Have the function's handler be in this module."""
    aws.clients.functions.update_function_configuration(
        FunctionName=aws.ready["service_token"], Handler=f"instance_bundle.{module}.handler"
    )
