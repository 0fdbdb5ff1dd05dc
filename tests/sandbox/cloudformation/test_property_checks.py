"""Types and properties that AWS's schemas refuse."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.support import Sandbox


def body(kind: str = "AWS::SQS::Queue", **properties: Any) -> str:
    return json.dumps({"Resources": {"Thing": {"Type": kind, "Properties": properties}}})


@pytest.mark.parametrize("kind", ["AWS::SQS::Cue", "AWS::Sqs::Queue", "My::Own::Thing"])
def test_a_type_that_is_unknown_refuses_the_request(sandbox: Sandbox, kind: str) -> None:
    words = re.escape(f"Template format error: Unrecognized resource types: [{kind}]")
    with pytest.raises(ClientError, match=words):
        sandbox.create(body(kind))
    with pytest.raises(ClientError, match=words):
        sandbox.client.validate_template(TemplateBody=body(kind))


RULE = {"EventPattern": {"source": ["x"]}}
FUNCTION = {"Role": "arn:aws:iam::123456789012:role/r", "Code": {"ZipFile": "pass"}}


@pytest.mark.parametrize(
    ("kind", "properties", "problem"),
    [
        (
            "AWS::SQS::Queue",
            {"DelayedSeconds": 1},
            "#: extraneous key [DelayedSeconds] is not permitted",
        ),
        (
            "AWS::SQS::Queue",
            {"Tags": [{"Key": "a", "Val": "b"}]},
            (
                "#/Tags/0: required key [Value] not found\n"
                "#/Tags/0: extraneous key [Val] is not permitted"
            ),
        ),
        (
            "AWS::Events::Rule",
            {**RULE, "Targets": [{"Id": "one"}]},
            "#/Targets/0: required key [Arn] not found",
        ),
        ("AWS::Lambda::Function", {"Code": FUNCTION["Code"]}, "#: required key [Role] not found"),
        (
            "AWS::Lambda::Function",
            {**FUNCTION, "Layers": "arn"},
            "#/Layers: expected type: JSONArray, found: String",
        ),
        (
            "AWS::SQS::Queue",
            {"DelaySeconds": "soon"},
            "#/DelaySeconds: expected type: Integer, found: String",
        ),
        (
            "AWS::SQS::Queue",
            {"FifoQueue": "perhaps"},
            "#/FifoQueue: expected type: Boolean, found: String",
        ),
        (
            "AWS::Glue::Database",
            {"CatalogId": "1", "DatabaseInputs": {}},
            (
                "#: required key [DatabaseInput] not found\n"
                "#: extraneous key [DatabaseInputs] is not permitted"
            ),
        ),
    ],
)
def test_a_property_that_the_schema_does_not_have_fails_the_resource(
    sandbox: Sandbox, kind: str, properties: dict[str, Any], problem: str
) -> None:
    sandbox.finish(body(kind, **properties), "ROLLBACK_COMPLETE")

    assert sandbox.reason("Thing", "CREATE_FAILED") == (
        f"Properties validation failed for resource Thing with message:\n{problem}"
    )


def test_values_are_cast(sandbox: Sandbox) -> None:
    properties = {"DelaySeconds": "5", "FifoQueue": "true", "QueueName": "q.fifo"}
    sandbox.finish(body(**properties), "CREATE_COMPLETE")


def test_an_update_fails_before_anything_is_done(sandbox: Sandbox) -> None:
    sandbox.finish(body(DelaySeconds=5), "CREATE_COMPLETE")
    sandbox.client.update_stack(StackName="shop", TemplateBody=body(DelaySeconds=[5]))
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")

    assert "found: JSONArray" in sandbox.reason("Thing", "UPDATE_FAILED")
