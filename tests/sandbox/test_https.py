"""ResponseURLs over HTTPS, with an authority that functions trust."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served, handle
from tests.stacks.support import SandboxProcess

CLIENTS = {
    "http.client": """
        connection = http.client.HTTPSConnection(urlsplit(url).netloc)
        connection.request("PUT", path, body, {"content-type": ""})
        return connection.getresponse().status""",
    "urllib": """
        request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
        return urllib.request.urlopen(request).status""",
    "urllib3": """
        return urllib3.PoolManager().request("PUT", url, body=body).status""",
}
CODE = """
import http.client, json, urllib.request, urllib3
from urllib.parse import urlsplit

def handler(event, context):
    url = event["ResponseURL"]
    path = url.partition(urlsplit(url).netloc)[2]
    members = ("StackId", "RequestId", "LogicalResourceId")
    answer = {name: event[name] for name in members}
    data = {"Scheme": urlsplit(url).scheme}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "id", "Data": data}
    body = json.dumps(answer).encode()
    def put():PUT
    return put()
"""
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}
OUTPUTS: dict[str, Any] = {"Scheme": {"Fn::GetAtt": ["Resource", "Scheme"]}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(iam_delay=0, https_responses=True) as server:
        yield server


@pytest.fixture
def served(server: Server) -> Served:
    return Served(Clients(server.endpoint))


def resources(client: str) -> dict[str, Any]:
    """A custom resource that answers by a client of HTTP."""
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "Timeout": 60,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": CODE.replace("PUT", CLIENTS[client], 1)},
        },
    }
    resource = {
        "Type": "Custom::Resource",
        "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}},
    }
    return {"Role": ROLE, "Function": function, "Resource": resource}


@pytest.mark.parametrize("client", CLIENTS)
def test_functions_trust_the_certificate(served: Served, client: str) -> None:
    stack = served.create(resources(client), **OUTPUTS)

    assert served.until(stack, "CREATE_COMPLETE") == {"Scheme": "https"}
    served.delete(stack)


def test_the_url_of_a_wait_condition_handle_is_https_too(served: Served) -> None:
    stack = served.create({"Handle": handle()})

    assert served.physical_id(stack, "Handle").startswith("https://")


def test_who_does_not_trust_the_authority_is_not_answered(server: Server) -> None:
    with pytest.raises(urllib3.exceptions.MaxRetryError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib3.PoolManager(retries=0).request("GET", server.response_origin)


def test_the_certificate_is_for_the_address_and_by_the_authority(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.authorities))
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT

    answer = urllib3.PoolManager(ssl_context=context).request(
        "GET", f"{server.response_origin}/sandbox/responses"
    )

    assert answer.status == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Served, server: Server) -> None:
    where = urlsplit(server.response_origin)
    assert where.hostname is not None
    assert where.port is not None
    with socket.create_connection((where.hostname, where.port)):
        stack = served.create(resources("urllib3"), **OUTPUTS)
        assert served.until(stack, "CREATE_COMPLETE") == {"Scheme": "https"}


def test_the_authoritys_files_are_gone_with_the_server() -> None:
    with Server(https_responses=True) as server:
        bundle = server.authorities
        assert bundle is not None
        assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
        assert b"PRIVATE KEY" not in bundle.read_bytes()

    assert not Path(bundle).exists()


def test_without_it_response_urls_are_http() -> None:
    with Server(iam_delay=0) as server:
        served = Served(Clients(server.endpoint))
        stack = served.create({"Handle": handle()})

        assert served.physical_id(stack, "Handle").startswith(f"{server.endpoint}/")
        assert server.authorities is None


@pytest.mark.parametrize(
    ("options", "scheme"),
    [(["--empty"], "https"), (["--empty", "--no-https"], "http"), ([], "http")],
)
def test_serve_has_https_where_the_application_is_not_deployed(
    tmp_path: Path, options: list[str], scheme: str
) -> None:
    process = SandboxProcess.start(tmp_path, options=options)
    try:
        served = Served(Clients(process.ready["endpoint"]))
        stack = served.create({"Handle": handle()})

        assert urlsplit(served.physical_id(stack, "Handle")).scheme == scheme
    finally:
        assert process.end() == 0
