"""The function's own table and queue, in moto, made from the template's words."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.sqs.models import Message, SQSBackend
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import app, aws, last_resort
from instance_bundle.polling import messages
from instance_bundle.settings import settings
from instance_bundle.state import ledger as state_ledger
from instance_bundle.state.ledger import Ledger
from tests.fixtures import Clock, Context

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto, with the tables and the queue that the template describes."""
    with mock_aws():
        for name, logical_id in {"ledger": "LedgerTable", "requests": "RequestTable"}.items():
            table = _resource(logical_id)
            aws.dynamodb().create_table(
                TableName=name,
                **{
                    each: table[each]
                    for each in ("AttributeDefinitions", "KeySchema", "BillingMode")
                },
            )
        queue = aws.sqs().create_queue(QueueName="polls")
        monkeypatch.setenv("LEDGER_TABLE", "ledger")
        monkeypatch.setenv("REQUEST_TABLE", "requests")
        monkeypatch.setenv("POLL_QUEUE_URL", queue["QueueUrl"])
        _let_nothing_wait_for_messages(monkeypatch)
        _forget()
        yield
    _forget()


def _let_nothing_wait_for_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a receive take what is there at once, and a slow machine not close the window for it."""
    receive_message = SQSBackend.receive_message

    def receive(
        backend: SQSBackend, queue: str, count: int, _seconds: int, *others: Any, **named: Any
    ) -> list[Message]:
        return receive_message(backend, queue, count, 0, *others, **named)

    monkeypatch.setattr(SQSBackend, "receive_message", receive)
    monkeypatch.setattr(messages, "WINDOW", 20)


@pytest.fixture
def ledger(cloud: None, clock: Clock) -> Ledger:
    return Ledger("ledger", "requests", clock)


@cache
def _resource(logical_id: str) -> dict[str, Any]:
    """Properties of a resource of the template. Reading YAML takes longer than most tests."""
    properties: dict[str, Any] = yaml_parse(TEMPLATE.read_text())["Resources"][logical_id][
        "Properties"
    ]
    return properties


def _forget() -> None:
    # The clients stay: moto answers those that were made before it was on, too.
    for made_once in (settings, app.ledger, app.methods, app.lifecycle, last_resort.ledger):
        made_once.cache_clear()


@dataclass
class Answers:
    """A server that takes the place of CloudFormation's buckets.

    Attributes:
        url: a ResponseURL, with a signature that no log may show.
        bodies: the answers that arrived, parsed.
        headers: those of each answer.
        statuses: the statuses to answer with, one after the other; then 200.
        signals: what arrived at handles, parsed; each with the handle's name.
        signal_headers: those of each signal.
        signal_statuses: the same, for handles.
    """

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    signals: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    signal_headers: list[dict[str, str]] = field(default_factory=list)
    signal_statuses: list[int] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.url.split("/answer", 1)[0]

    def handle(self, name: str = "one") -> str:
        """The URL of a wait condition handle, with a signature that no log may show either."""
        return f"{self.origin}/handle/{name}?X-Amz-Signature=h4ndl3s0wn"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.partition("?")[0]
            is_signal = path.startswith("/handle/")
            statuses = taken.signal_statuses if is_signal else taken.statuses
            status = statuses.pop(0) if statuses else 200
            if is_signal:
                taken.signals.append((path.removeprefix("/handle/"), body))
                taken.signal_headers.append(dict(self.headers.items()))
            else:
                taken.bodies.append(body)
                taken.headers.append(dict(self.headers.items()))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    taken = Answers(f"http://127.0.0.1:{server.server_port}/answer?X-Amz-Signature=s3cr3t")
    monkeypatch.setenv("SANDBOX_RESPONSE_ORIGIN", taken.origin)
    # Events and polls are handed over by hand: no stack sends them, and no queue delays them.
    monkeypatch.setenv("VERIFY_REQUESTS", "false")
    monkeypatch.setattr(state_ledger, "EARLY", 86400)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()
