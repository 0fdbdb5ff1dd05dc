"""The application's stack in moto, its ledger as the function writes it, and the command."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from cli.main import instance_bundle
from instance_bundle.state import Ledger
from sandbox.artifact import REPOSITORY
from tests.fixtures import Clock

Run = Callable[..., Result]

_TEMPLATE = REPOSITORY / "template.yaml"
_KEPT = ("AttributeDefinitions", "KeySchema", "BillingMode")
"""The properties of the table that need no parameter."""


@pytest.fixture
def ledger(clock: Clock) -> Iterator[Ledger]:
    """The ledger of the application's stack, which has the name that it has by default."""
    table = yaml_parse(_TEMPLATE.read_text())["Resources"]["LedgerTable"]
    body = {
        "Resources": {
            "LedgerTable": {
                "Type": table["Type"],
                "Properties": {name: table["Properties"][name] for name in _KEPT},
            }
        },
        "Outputs": {"LedgerTable": {"Value": {"Ref": "LedgerTable"}}},
    }
    with mock_aws():
        stacks = boto3.client("cloudformation")
        stacks.create_stack(StackName="cfn-instance-bundle", TemplateBody=json.dumps(body))
        [found] = stacks.describe_stack_resources(StackName="cfn-instance-bundle")["StackResources"]
        texts = yaml_parse(_TEMPLATE.read_text())["Resources"]["RequestTable"]["Properties"]
        boto3.client("dynamodb").create_table(
            TableName="requests", **{name: texts[name] for name in _KEPT}
        )
        yield Ledger(found["PhysicalResourceId"], "requests", clock)


@pytest.fixture
def run(ledger: Ledger, clock: Clock) -> Run:
    """Runs a command, at the ledger's time, with what an operator has typed."""

    def run_command(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(
            instance_bundle, arguments, input=typed, obj=clock, prog_name="instance-bundle"
        )

    return run_command


@dataclass
class Wire:
    """What the command's clients sent and received.

    Attributes:
        calls: the names of the calls, with their parameters.
        answers: what was received, parsed.
    """

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def sent(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Remember a call."""
        self.calls.append((model.name, params))

    def received(self, parsed: dict[str, Any], **_: Any) -> None:
        """Remember an answer."""
        self.answers.append(parsed)


@pytest.fixture
def wire(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """What passes between the command and AWS."""
    seen = Wire()

    class Session(boto3.Session):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.events.register("provide-client-params.*.*", seen.sent)
            self.events.register("after-call.*.*", seen.received)

    monkeypatch.setattr(boto3, "Session", Session)
    return seen


def refuse(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, call: str = "dynamodb.Scan"
) -> None:
    """Have AWS refuse each call of a kind, as botocore reads it."""

    class Session(boto3.Session):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            refuse: Callable[..., Any] = answer
            self.events.register(f"before-call.{call}", refuse)

    class Response:
        status_code = 403

    def answer(**_: Any) -> tuple[Response, dict[str, Any]]:
        return Response(), {"Error": {"Code": code, "Message": message}}

    monkeypatch.setattr(boto3, "Session", Session)
