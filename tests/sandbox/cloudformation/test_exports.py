"""What CloudFormation refuses to export."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import Sandbox

RESOURCES = {"Queue": {"Type": "AWS::SQS::Queue"}}
PARAMETERS = {"Text": {"Type": "String", "Default": ""}}


def body(value: Any, name: Any = "shop-Out") -> str:
    out = {"Value": value, "Export": {"Name": name}}
    return json.dumps({"Parameters": PARAMETERS, "Resources": RESOURCES, "Outputs": {"Out": out}})


EMPTY = "Cannot export output Out. Exported values must not be empty or whitespace-only."


@pytest.mark.parametrize("value", ["", " \t\n", {"Ref": "Text"}])
def test_an_empty_value_can_not_be_exported(sandbox: Sandbox, value: Any) -> None:
    sandbox.finish(body(value), "ROLLBACK_COMPLETE")

    assert sandbox.reason("shop", "ROLLBACK_IN_PROGRESS").startswith(EMPTY)
    assert sandbox.statuses("Queue")[-1] == "DELETE_COMPLETE"
    assert sandbox.client.list_exports()["Exports"] == []


def test_an_update_to_an_empty_value_is_rolled_back(sandbox: Sandbox) -> None:
    sandbox.finish(body("full"), "CREATE_COMPLETE")

    sandbox.client.update_stack(StackName="shop", TemplateBody=body(""))

    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert sandbox.reason("shop", "UPDATE_ROLLBACK_IN_PROGRESS").startswith(EMPTY)
    assert sandbox.client.list_exports()["Exports"][0]["Value"] == "full"


def test_an_empty_output_that_is_not_exported_is_one(sandbox: Sandbox) -> None:
    out = {"Out": {"Value": ""}}

    sandbox.finish(json.dumps({"Resources": RESOURCES, "Outputs": out}), "CREATE_COMPLETE")

    assert sandbox.outputs() == {"Out": ""}


@pytest.mark.parametrize("name", ["", " ", "a.b", "a_b", {"Ref": "Text"}])
def test_an_exports_name_has_letters_digits_colons_and_hyphens(sandbox: Sandbox, name: Any) -> None:
    with pytest.raises(
        ClientError, match="The Name field of every Export member must be specified"
    ):
        sandbox.create(body("full", name))

    assert sandbox.client.list_stacks()["StackSummaries"] == []


@pytest.mark.parametrize(
    "name",
    [
        {"Ref": "Queue"},
        {"Fn::Sub": "a-${Queue.Arn}"},
        {"Fn::ImportValue": "other"},
        {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
    ],
)
def test_an_exports_name_depends_on_nothing_that_is_made(sandbox: Sandbox, name: Any) -> None:
    with pytest.raises(ClientError, match="The Name field of Export must not depend on any"):
        sandbox.create(body("full", name))


def test_an_exports_name_may_be_made_of_parameters(sandbox: Sandbox) -> None:
    sandbox.finish(body("full", {"Fn::Sub": "${AWS::StackName}:Out-1${Text}"}), "CREATE_COMPLETE")

    assert sandbox.client.list_exports()["Exports"][0]["Name"] == "shop:Out-1"
