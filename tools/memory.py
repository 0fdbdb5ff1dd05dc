"""Measures the sandbox's memory over many stacks: `python -m tools.memory`.

Each stack has one custom resource, whose function is in a stack of its own, and is created and
deleted. The resident memory of the sandbox's process is shown before the first, and then after each
hundred.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from sandbox.clients import Clients

STACKS, STEP = 2000, 100
_PAUSE = 0.05
_MB = 1_000_000

_CODE = """\
import json, urllib.request
def handler(event, context):
    names = ("StackId", "RequestId", "LogicalResourceId")
    answer = {name: event[name] for name in names}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "thing", "Data": {"Word": "x"}}
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, method="PUT")
    request.add_header("Content-Type", "")
    urllib.request.urlopen(request).close()
"""

PROVIDER = {
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            },
        },
        "Fn": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"ZipFile": _CODE},
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Runtime": "python3.13",
                "Timeout": 60,
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Fn", "Arn"]}}},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.memory", description=__doc__)
    parser.add_argument("--stacks", type=int, default=STACKS)
    parser.add_argument("--step", type=int, default=STEP)
    options = parser.parse_args(arguments)
    sys.stdout.write(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.platform()}\n"
    )
    for count, size in measured(options.stacks, options.step):
        sys.stdout.write(f"{count:6} stacks  {size / _MB:7.1f} MB\n")
        sys.stdout.flush()
    return 0


def measured(stacks: int, step: int) -> Iterator[tuple[int, int]]:
    """How many stacks came and went, and the bytes of resident memory then, for each step.

    Args:
        stacks: of all.
        step: between two measurements.
    """
    with _sandbox() as (process, clients), ThreadPoolExecutor(4) as threads:
        _finish(clients, _create(clients, "provider", PROVIDER), "CREATE_COMPLETE")
        [provider] = clients.cloudformation.describe_stacks(StackName="provider")["Stacks"]
        properties = {"ServiceToken": provider["Outputs"][0]["OutputValue"]}
        template = {"Resources": {"Thing": {"Type": "Custom::Thing", "Properties": properties}}}
        _come_and_go(clients, "first", template)
        yield 0, process.memory_info().rss
        for done in range(step, stacks + 1, step):
            names = [f"stack-{number}" for number in range(done - step, done)]
            list(threads.map(lambda name: _come_and_go(clients, name, template), names))
            yield done, process.memory_info().rss


@contextmanager
def _sandbox() -> Iterator[tuple[psutil.Process, Clients]]:
    with tempfile.TemporaryDirectory() as directory:
        ready = Path(directory) / "ready.json"
        command = [sys.executable, "-m", "sandbox", "serve", "--empty", "--port", "0"]
        process = subprocess.Popen(  # noqa: S603  our own
            [*command, "--ready-file", str(ready)], stdout=subprocess.DEVNULL
        )
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError("the sandbox has not started")
                time.sleep(_PAUSE)
            endpoint = json.loads(ready.read_text())["endpoint"]
            yield psutil.Process(process.pid), Clients(endpoint)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _come_and_go(clients: Clients, name: str, template: dict[str, Any]) -> None:
    stack_id = _create(clients, name, template)
    _finish(clients, stack_id, "CREATE_COMPLETE")
    clients.cloudformation.delete_stack(StackName=stack_id)
    _finish(clients, stack_id, "DELETE_COMPLETE")


def _create(clients: Clients, name: str, template: dict[str, Any]) -> str:
    created = clients.cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    return created["StackId"]


def _finish(clients: Clients, stack_id: str, status: str) -> None:
    while True:
        [stack] = clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        if stack["StackStatus"] == status:
            return
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            raise RuntimeError(f"{stack_id} is {stack['StackStatus']}")
        time.sleep(_PAUSE)


if __name__ == "__main__":
    sys.exit(main())
