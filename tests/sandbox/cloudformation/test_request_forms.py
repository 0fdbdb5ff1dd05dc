"""The forms in which CloudFormation may send what a custom resource's function reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from sandbox.clients import Clients
from sandbox.cloudformation import api as cloudformation
from sandbox.cloudformation.presigned import SIGNATURE_VERSIONS
from sandbox.cloudformation.request_forms import TIMEOUT_PLACES, RequestForms
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served, body, condition, handle, put, signal
from tests.sandbox.cloudformation.support import ACCOUNT, REGION, Sandbox, success

MEMBERS = {
    2: {"AWSAccessKeyId", "Expires", "Signature"},
    4: {
        *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"),
        *("X-Amz-Signature", "X-Amz-SignedHeaders"),
    },
}
SERVICE_TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"

With = Callable[[RequestForms], Sandbox]


@pytest.fixture
def with_forms(sandbox: Sandbox) -> Iterator[With]:
    """The sandbox, with CloudFormation's requests in these forms."""
    installed: list[cloudformation.Stacks] = []

    def use(forms: RequestForms) -> Sandbox:
        stacks = cloudformation.install(lambda: "http://127.0.0.1:5000", sandbox.clock, forms=forms)
        installed.append(stacks)
        sandbox.stacks = stacks
        return sandbox

    yield use
    for stacks in installed:
        stacks.close()


def template(**properties: Any) -> str:
    resource = {
        "Type": "Custom::InstanceBundle",
        "Properties": {"ServiceToken": SERVICE_TOKEN, **properties},
    }
    return body({"Bundle": resource})


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


def altered(event: dict[str, Any], **changes: str) -> dict[str, Any]:
    """The event with other members in its ResponseURL's query."""
    url = urlsplit(event["ResponseURL"])
    query = urlencode({**query_of(event["ResponseURL"]), **changes})
    return {**event, "ResponseURL": url._replace(query=query).geturl()}


def waiting(sandbox: Sandbox) -> dict[str, Any]:
    """The event of a stack whose function does not answer."""
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(template())
    return sandbox.event("Create")


@pytest.mark.parametrize("version", SIGNATURE_VERSIONS)
def test_a_response_url_is_signed_with_either_version(with_forms: With, version: int) -> None:
    sandbox = with_forms(RequestForms(signature_version=version))
    event = waiting(sandbox)
    query = query_of(event["ResponseURL"])
    assert set(query) == MEMBERS[version]
    key = query["AWSAccessKeyId"] if version == 2 else query["X-Amz-Credential"]
    assert key.partition("/")[0] == "AKIAIOSFODNN7EXAMPLE"
    assert sandbox.put(event, json.dumps(success(event)).encode()) == 200
    sandbox.until("CREATE_COMPLETE")


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (2, {"Signature": "bm90IHNpZ25lZCBzbw=="}),
        (2, {"Expires": "9999999999"}),
        (2, {"AWSAccessKeyId": "AKIAI44QH8DHBEXAMPLE"}),
        (4, {"X-Amz-Signature": "0" * 64}),
        (4, {"X-Amz-Expires": "604800"}),
        (4, {"X-Amz-Date": "20380101T000000Z"}),
    ],
)
def test_a_changed_response_url_has_another_signature(
    with_forms: With, version: int, changes: dict[str, str]
) -> None:
    sandbox = with_forms(RequestForms(signature_version=version))
    event = waiting(sandbox)
    status, error = refused(sandbox, altered(event, **changes))
    assert status == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in error
    assert sandbox.put(event, json.dumps(success(event)).encode()) == 200
    sandbox.until("CREATE_COMPLETE")


@pytest.mark.parametrize("version", SIGNATURE_VERSIONS)
def test_an_expired_response_url_is_denied(with_forms: With, version: int) -> None:
    sandbox = with_forms(RequestForms(signature_version=version))
    event = waiting(sandbox)
    sandbox.clock.ahead += 7201
    status, error = refused(sandbox, event)
    assert status == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in error


def refused(sandbox: Sandbox, event: dict[str, Any]) -> tuple[int, str]:
    url = urlsplit(event["ResponseURL"])
    answer = json.dumps(success(event)).encode()
    return sandbox.stacks.custom_resources.receive(url.path, url.query, {}, answer)


@pytest.mark.parametrize("place", TIMEOUT_PLACES)
def test_a_service_timeout_is_sent_in_either_place(with_forms: With, place: str) -> None:
    sandbox = with_forms(RequestForms(service_timeout=place))
    sandbox.finish(template(ServiceTimeout=120, Name="one"), "CREATE_COMPLETE")
    sandbox.client.update_stack(
        StackName="shop", TemplateBody=template(ServiceTimeout=60, Name="two")
    )
    sandbox.until("UPDATE_COMPLETE")
    create, update = sandbox.event("Create"), sandbox.event("Update")
    own = {"ServiceToken": SERVICE_TOKEN, "Name": "one"}
    if place == "properties":
        assert "ServiceTimeout" not in create
        assert create["ResourceProperties"] == {**own, "ServiceTimeout": "120"}
        assert update["OldResourceProperties"] == {**own, "ServiceTimeout": "120"}
    else:
        assert (create["ServiceTimeout"], update["ServiceTimeout"]) == ("120", "60")
        assert create["ResourceProperties"] == own
        assert update["ResourceProperties"] == {**own, "Name": "two"}
        assert update["OldResourceProperties"] == own


@pytest.mark.parametrize("place", TIMEOUT_PLACES)
def test_a_service_timeout_counts_from_when_the_request_was_sent(
    with_forms: With, place: str
) -> None:
    sandbox = with_forms(RequestForms(service_timeout=place))
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(template(ServiceTimeout=120))
    sandbox.event("Create")
    sandbox.clock.ahead += 121
    sandbox.until("ROLLBACK_COMPLETE")


def test_a_whole_server_signs_with_version_2() -> None:
    forms = RequestForms(signature_version=2)
    with Server(forms=forms) as server:
        served = Served(Clients(server.endpoint))
        stack_id = served.create({"Handle": handle(), "Condition": condition()})
        url = served.physical_id(stack_id, "Handle")
        assert set(query_of(url)) == MEMBERS[2]
        forged = url.replace("Signature=", "Signature=x")
        assert put(forged, signal()).status == 403
        assert put(url, signal()).status == 200
        served.until(stack_id, "CREATE_COMPLETE")


def test_only_known_forms_are_taken() -> None:
    for wrong in ({"signature_version": 3}, {"service_timeout": "nowhere"}):
        with pytest.raises(ValueError, match="has to be one of"):
            replace(RequestForms(), **wrong)
