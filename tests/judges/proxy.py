"""microburst, a proxy by others that injects faults, as a process between functions and sandbox."""

import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from sandbox.artifact import REPOSITORY
from sandbox.server import HOST
from tests.fixtures import PATIENCE
from tests.stacks.support import json_of, wait_for

PROGRAM = REPOSITORY / ".venv-judges" / "bin" / "microburst"

_FIRED = 2000
"""Events of its log that it keeps."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy. endpoint: its URL, for AWS's clients."""

    endpoint: str

    def add(self, rules: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add rules after those that are there, and return their IDs."""
        answer = urllib3.request("PATCH", self._control("rules"), json=list(rules))
        assert answer.status == 200, answer.data
        return [rule["id"] for rule in answer.json()]

    def fired(self) -> list[dict[str, Any]]:
        """Each time that a rule took effect, oldest first."""
        events: list[dict[str, Any]] = json_of(f"{self._control('fired')}?limit={_FIRED}")
        assert len(events) < _FIRED
        return events

    def seen(self) -> Mapping[str, int]:
        """How many requests it has received, by service."""
        stats = json_of(self._control("stats"))
        return {each["service"]: each["requests"] for each in stats["by_service"]}

    def _control(self, name: str) -> str:
        return f"{self.endpoint}/_microburst/{name}"


@contextmanager
def running(upstream: str, directory: Path) -> Iterator[Proxy]:
    """The proxy in front of an endpoint, without rules, until the context ends."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    proxy = Proxy(f"http://{HOST}:{port}")
    log = directory / "microburst.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [PROGRAM, "--upstream", upstream, "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def is_ready() -> bool | None:
        assert process.poll() is None, log.read_text()
        try:
            health = urllib3.request("GET", proxy._control("health"), retries=False)
        except urllib3.exceptions.HTTPError:
            return None
        return True if health.status == 200 else None

    try:
        wait_for(is_ready, f"the proxy; see {log}")
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
