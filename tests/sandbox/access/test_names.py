"""The sandbox answers to its own names only, and no page of another origin."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from sandbox.clients import Clients
from sandbox.server import Server

CREATE_QUEUE = "/?Action=CreateQueue&QueueName=made-by-a-page&Version=2012-11-05"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def ask(
    server: Server, headers: Mapping[str, str], method: str = "GET", path: str = "/"
) -> tuple[int, Mapping[str, str], str]:
    """Status, headers and body of the answer to a request with these headers, Host among them."""
    place = urlsplit(server.endpoint)
    assert place.hostname is not None
    with closing(http.client.HTTPConnection(place.hostname, place.port)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()


def port_of(server: Server) -> int:
    port = urlsplit(server.endpoint).port
    assert port is not None
    return port


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "bundles.localhost", "host.docker.internal"],
)
def test_its_own_names_are_answered(server: Server, name: str) -> None:
    status, _, _ = ask(server, {"Host": f"{name}:{port_of(server)}"}, path="/sandbox/responses")

    assert status == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "attacker.example",
        "127.0.0.1.attacker.example",
        "localhost.attacker.example",
        "attacker.example@127.0.0.1.attacker.example",
        "192.0.2.1",
        "s3.amazonaws.com",
        "[::1",
    ],
)
@pytest.mark.parametrize("path", ["/", "/sandbox/messages", "/moto-api/data.json"])
def test_other_names_are_refused(server: Server, name: str, path: str) -> None:
    host = f"{name}:{port_of(server)}" if name else ""

    status, _, body = ask(server, {"Host": host}, path=path)

    assert (status, "has no name" in body) == (403, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_origin_can_do_nothing(
    server: Server, headers: Mapping[str, str], method: str
) -> None:
    status, received, _ = ask(server, headers, method, CREATE_QUEUE)

    assert status == 403
    assert not [name for name in received if name.lower().startswith("access-control-")]
    assert "QueueUrls" not in Clients(server.endpoint).client("sqs").list_queues()


def test_a_page_of_its_own_is_answered_without_cors(server: Server) -> None:
    status, received, _ = ask(server, {"Origin": server.endpoint})

    assert status == 200
    assert not [name for name in received if name.lower().startswith("access-control-")]


def test_a_preflight_is_refused(server: Server) -> None:
    status, received, _ = ask(server, {"Origin": server.endpoint}, "OPTIONS")

    assert status == 403
    assert not [name for name in received if name.lower().startswith("access-control-")]
