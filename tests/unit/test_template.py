"""What the template promises, read from the template."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(type_: str) -> dict[str, Any]:
    return {
        name: resource.get("Properties", {})
        for name, resource in RESOURCES.items()
        if resource["Type"] == type_
    }


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for role in of_type("AWS::IAM::Role").values():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield statement["Sid"], statement


def test_no_statement_allows_more_actions_than_it_names() -> None:
    for sid, statement in statements():
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, sid


def test_a_resource_is_a_star_only_where_ec2_knows_no_other() -> None:
    assert [sid for sid, statement in statements() if statement["Resource"] == "*"] == ["Bundle"]


def test_the_queues_hide_a_message_six_times_as_long_as_the_functions_may_run() -> None:
    timeout = TEMPLATE["Globals"]["Function"]["Timeout"]

    for name, queue in of_type("AWS::SQS::Queue").items():
        assert queue["VisibilityTimeout"] == 6 * timeout, name
        assert queue["SqsManagedSseEnabled"] is True, name


def test_each_function_has_a_log_group_of_its_own_that_keeps_as_long_as_is_asked() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    used = [
        function["LoggingConfig"]["LogGroup"]["Ref"]
        for function in of_type("AWS::Serverless::Function").values()
    ]

    assert sorted(used) == sorted(groups)
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionInDays"}


def test_the_service_token_is_exported() -> None:
    export = TEMPLATE["Outputs"]["ServiceToken"]["Export"]

    assert export == {"Name": "cfn-instance-bundle-ServiceToken"}


def test_a_stack_that_is_deleted_keeps_the_ledger() -> None:
    assert RESOURCES["LedgerTable"]["DeletionPolicy"] == "Retain"
    assert RESOURCES["LedgerTable"]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["Name", "Description", "Author", "SemanticVersion"])
def test_the_application_says_what_it_is(name: str) -> None:
    assert TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"][name]


def test_the_reference_in_the_readme_is_that_of_the_schema() -> None:
    schema = json.loads((ROOT / "functions/instance_bundle/properties.schema.json").read_text())
    readme = (ROOT / "README.md").read_text()

    for path, definition in leaves(schema, ""):
        assert f"| `{path}` |" in readme, path
        assert definition["description"] in readme, path


def leaves(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        if "properties" in definition:
            yield from leaves(definition, here)
        else:
            yield here, definition
