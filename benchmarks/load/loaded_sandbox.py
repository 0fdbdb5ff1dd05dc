"""A sandbox under load: a process of its own, and what it has on record."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.deployment import STACK_NAME
from sandbox.instances import run_like

_PATIENCE = 180.0
"""Seconds to wait for what has to come soon."""

_COUNTS = ("", "Delayed", "NotVisible")


@dataclass(frozen=True, slots=True)
class LoadSandbox:
    """`python -m sandbox serve`, running.

    Attributes:
        process: the sandbox's own; the functions' are its children.
        ready: what the sandbox says of itself, such as `endpoint` and `bucket`.
        clients: of the sandbox.
    """

    process: psutil.Process
    ready: dict[str, str]
    clients: Clients

    def functions(self) -> list[psutil.Process]:
        """The functions' processes."""
        return self.process.children(recursive=True)

    def instances(self, count: int, seconds: int) -> list[str]:
        """The IDs of new instances whose bundle tasks take so many seconds."""
        like = self.ready["instance_id"]
        return run_like(self.clients.ec2, like, {"seconds": str(seconds)}, count)

    def bound_polls(self, concurrency: int) -> None:
        """Have at most so many batches of polls at work at once."""
        functions = self.clients.functions
        [polls] = [
            mapping
            for mapping in functions.list_event_source_mappings()["EventSourceMappings"]
            if "-PollQueue-" in mapping["EventSourceArn"]
        ]
        functions.update_event_source_mapping(
            UUID=polls["UUID"], ScalingConfig={"MaximumConcurrency": concurrency}
        )

    def keys(self) -> frozenset[str]:
        """The keys of all objects in the bucket for bundles."""
        pages = self.clients.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.ready["bucket"]
        )
        return frozenset(item["Key"] for page in pages for item in page.get("Contents", []))

    def record(self, name: str) -> list[dict[str, Any]]:
        """What the sandbox has on record under `/sandbox/<name>`."""
        answer = urllib3.request("GET", f"{self.clients.endpoint}/sandbox/{name}")
        if answer.status != 200:
            raise RuntimeError(f"/sandbox/{name} answers {answer.status}")
        records: list[dict[str, Any]] = answer.json()
        return records

    def timed_out(self) -> int:
        """How many invocations were killed at their timeout."""
        pages = (
            self.clients.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=self.ready["log_group"], filterPattern='"Task timed out"')
        )
        return sum(len(page["events"]) for page in pages)

    def left_in_queues(self) -> int:
        """The messages that are left, visible or not, once they stay or there is none."""
        sqs = self.clients.client("sqs")
        urls = sqs.list_queues(QueueNamePrefix=f"{STACK_NAME}-")["QueueUrls"]
        names = [f"ApproximateNumberOfMessages{kind}" for kind in _COUNTS]

        def left() -> int:
            return sum(
                int(count)
                for url in urls
                for count in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)[
                    "Attributes"
                ].values()
            )

        _wait(lambda: left() == 0)
        return left()


@contextmanager
def running() -> Iterator[LoadSandbox]:
    """A sandbox with the application deployed, which ends with the context.

    Raises:
        RuntimeError: it does not start, or does not end well; its own words are in it.
    """
    with tempfile.TemporaryDirectory() as directory:
        ready, log = Path(directory) / "ready.json", Path(directory) / "sandbox.log"
        with log.open("w") as output:
            process = subprocess.Popen(  # noqa: S603  the command is the project's own
                [
                    *(sys.executable, "-m", "sandbox", "serve"),
                    *("--port", "0", "--ready-file", str(ready)),
                ],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            if not _wait(lambda: ready.exists() or process.poll() is not None) or process.poll():
                raise RuntimeError(f"The sandbox did not start:\n{log.read_text()}")
            ready_file = json.loads(ready.read_text())
            yield LoadSandbox(
                psutil.Process(process.pid), ready_file, Clients(ready_file["endpoint"])
            )
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=_PATIENCE)
        if status != 0:
            raise RuntimeError(f"The sandbox ended with {status}:\n{log.read_text()}")


def _wait(holds: Callable[[], bool]) -> bool:
    """Whether the condition became true in time."""
    end = time.monotonic() + _PATIENCE
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.2)
    return found
