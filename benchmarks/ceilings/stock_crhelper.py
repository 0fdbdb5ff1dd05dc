"""A custom resource by crhelper as it is, its requests polled by a rule and a permission each."""

from __future__ import annotations

import io
import json
import logging
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from crhelper import CfnResource

from sandbox.clients import CREDENTIALS, REGION, Clients

Event = dict[str, Any]

_TARGET = "1"
"""The ID of the one target that crhelper gives a rule."""


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda passes to a function about its invocation."""

    function_name: str
    aws_request_id: str = "b1dd1e4a-4d0c-4f0c-8d0e-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
        return 30_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that could not be polled, and was answered FAILED.

    Attributes:
        under_way: requests that were being polled then.
        reason: the answer's.
    """

    under_way: int
    reason: str


class StockResource(CfnResource):
    """crhelper's resource, whose work never ends.

    Nothing of crhelper's is replaced but the sender, which keeps the answers: crhelper's speaks
    TLS, and the sandbox none. It runs in this process, with clients of its own of the sandbox.

    Args:
        endpoint: of the sandbox.
        function: the name of the function that it runs as.

    Attributes:
        function: the same.
        answers: the responses that were to be sent, oldest first.
    """

    def __init__(self, endpoint: str, function: str) -> None:
        variables = {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": endpoint, **CREDENTIALS}
        with patch.dict(os.environ, variables):
            super().__init__(log_level=logging.getLevelName(logging.root.level))
        self.answers: list[Event] = []
        self.function = function
        self.create(lambda _event, _context: "bun-0c1d2e3f4a5b6c7d8")
        self.poll_create(lambda _event, _context: None)

    def begin(self, event: Event) -> None:
        """Handle a Create: the work begins, and its polls are set up."""
        with _silent("crhelper"):
            self(event, Context(self.function))

    def begin_until_refused(self, event: Callable[[], Event], begun: int = 0) -> Refused:
        """Handle Creates until one is answered FAILED, where so many were begun before."""
        under_way = begun
        self.begin(event())
        while not self.answers:
            under_way += 1
            self.begin(event())
        return Refused(under_way, self.answers[-1]["Reason"])

    def _send(self, status: str | None = None, reason: str = "") -> None:
        # crhelper's types leave its private methods out.
        super()._send(status, reason, send_response=self._keep)  # type: ignore[misc]

    def _keep(self, _url: str, body: Event, _ssl_verify: object) -> None:
        self.answers.append(body)


@contextmanager
def deployed(clients: Clients, function: str) -> Iterator[StockResource]:
    """A resource whose function is in the sandbox, and has a policy there; the function and all
    rules go at the end."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "")
    role = clients.client("iam").create_role(
        RoleName=f"stock-{uuid.uuid4().hex}", AssumeRolePolicyDocument="{}"
    )
    clients.functions.create_function(
        FunctionName=function,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": package.getvalue()},
    )
    before = rules(clients)
    try:
        yield StockResource(clients.endpoint, function)
    finally:
        clients.functions.delete_function(FunctionName=function)
        remove(clients, rules(clients) - before)


def rules(clients: Clients) -> set[str]:
    """The names of the rules of the default bus."""
    names: set[str] = set()
    more: dict[str, str] = {}
    events = clients.client("events")
    while True:
        page = events.list_rules(**more)
        names |= {rule["Name"] for rule in page["Rules"]}
        if "NextToken" not in page:
            return names
        more = {"NextToken": page["NextToken"]}


def remove(clients: Clients, names: set[str]) -> None:
    """Remove crhelper's rules, and their targets."""
    events = clients.client("events")
    for name in names:
        events.remove_targets(Rule=name, Ids=[_TARGET])
        events.delete_rule(Name=name)


def policy(clients: Clients, function: str) -> Event:
    """A function's resource-based policy; empty where it has none."""
    try:
        read: Event = json.loads(clients.functions.get_policy(FunctionName=function)["Policy"])
    except clients.functions.exceptions.ResourceNotFoundException:
        return {}
    return read


def target_input(clients: Clients, rule: str) -> str:
    """The input of a rule's one target."""
    [target] = clients.client("events").list_targets_by_rule(Rule=rule)["Targets"]
    text: str = target["Input"]
    return text


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """It logs each failure with a traceback."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)
