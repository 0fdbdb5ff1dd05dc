"""Arbitrary events to the whole function: no crash, and on bad input no call but to the ledger."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import app, aws
from instance_bundle import settings as settings_module
from instance_bundle.errors import InvalidEvent
from instance_bundle.request.event import Request
from instance_bundle.request.properties import problems
from instance_bundle.responses import response
from sandbox.artifact import REPOSITORY
from tests.fixtures import Context

from .test_parsing import EVENTS, JSON, NEARLY_VALID, TEXT, valid

CONTEXT = Context()
QUICK = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Called(Exception):
    """An AWS call was made."""


@pytest.fixture(autouse=True)
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The answers that were sent; an AWS call is an error."""
    sent: list[bytes] = []

    def call(*_: object) -> None:
        raise Called

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    monkeypatch.setattr(response, "deliver", lambda url, text, origin: sent.append(text))
    for name in ("LEDGER_TABLE", "REQUEST_TABLE", "POLL_QUEUE_URL"):
        monkeypatch.setenv(name, f"no-{name}")
    caches = (settings_module.settings, app.ledger, app.methods, app.lifecycle)
    for made_once in caches:
        made_once.cache_clear()
    yield sent
    for made_once in caches:
        made_once.cache_clear()


MAKE_API_CALL = BaseClient._make_api_call  # type: ignore[attr-defined]


@pytest.fixture
def ledger(answered: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The ledger's table; a call to another service is an error."""

    def call(client: BaseClient, name: str, parameters: Any) -> Any:
        if client.meta.service_model.service_name != "dynamodb":
            raise Called
        return MAKE_API_CALL(client, name, parameters)

    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    tables = {"no-LEDGER_TABLE": "LedgerTable", "no-REQUEST_TABLE": "RequestTable"}
    with mock_aws():
        monkeypatch.setattr(BaseClient, "_make_api_call", call)
        for name, logical_id in tables.items():
            table = template["Resources"][logical_id]["Properties"]
            aws.dynamodb().create_table(
                TableName=name,
                **{
                    each: table[each]
                    for each in ("AttributeDefinitions", "KeySchema", "BillingMode")
                },
            )
        yield


@QUICK
@given(EVENTS)
def test_an_event_that_is_no_request_is_refused_with_no_call_and_no_answer(
    answered: list[bytes], event: Any
) -> None:
    try:
        Request.parse(event)
    except InvalidEvent:
        answered.clear()
        if not (isinstance(event, dict) and "Records" in event):
            assert app.handler(event, CONTEXT) is None
            assert answered == []


@pytest.mark.usefixtures("ledger")
@QUICK
@given(
    st.sampled_from(["Create", "Update"]),
    JSON | NEARLY_VALID,
    JSON | NEARLY_VALID | valid(),
    st.just("arn:aws:cloudformation:us-east-1:123456789012:stack/web/1") | TEXT.filter(bool),
    TEXT.filter(bool),
)
def test_properties_that_are_wrong_are_answered_with_no_call_but_to_the_ledger(
    answered: list[bytes], kind: str, properties: Any, old: Any, stack_id: str, physical_id: str
) -> None:
    event = {
        "RequestType": kind,
        "ResponseURL": "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/answer",
        "StackId": stack_id,
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "PhysicalResourceId": physical_id,
        "ResourceProperties": properties,
        **({"OldResourceProperties": old} if kind == "Update" else {}),
    }
    try:
        Request.parse(event)
    except InvalidEvent:
        return
    if problems(properties):
        answered.clear()
        app.handler(event, CONTEXT)
        [text] = answered
        assert len(text) <= response.LIMIT
        assert b'"FAILED"' in text


@QUICK
@given(
    st.sampled_from(["Create", "Update"]),
    valid(),
    JSON | NEARLY_VALID | valid(),
)
def test_properties_that_are_valid_are_taken_to_the_ledger_unanswered(
    answered: list[bytes], kind: str, properties: Any, old: Any
) -> None:
    event = {
        "RequestType": kind,
        "ResponseURL": "https://cloudformation-waitcondition-us-east-1.s3.amazonaws.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/1",
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "PhysicalResourceId": "bun-1",
        "ResourceProperties": properties,
        **({"OldResourceProperties": old} if kind == "Update" else {}),
    }
    answered.clear()

    with pytest.raises(Called):
        app.handler(event, CONTEXT)

    assert answered == []
