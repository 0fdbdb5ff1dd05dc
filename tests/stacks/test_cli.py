"""`instance-bundle`, as an operator types it, about stacks in the sandbox."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.artifact import REPOSITORY

from .support import Aws, created, deleted, wait_for

Run = Callable[..., Any]
Template = Callable[..., dict[str, Any]]


@pytest.fixture
def run(aws: Aws) -> Run:
    """Runs a command against the sandbox; its JSON."""

    def run_command(*arguments: str) -> Any:
        command = [sys.executable, "-P", "-m", "cli", *arguments]
        options = ["--output", "json", "--endpoint-url", aws.ready["endpoint"]]
        path = os.pathsep.join((str(REPOSITORY / "functions"), str(REPOSITORY)))
        done = subprocess.run(
            [*command, *options],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run_command


def test_an_operator_sees_what_is_in_flight_and_what_was_made(
    aws: Aws, template: Template, run: Run
) -> None:
    instance = aws.instance(seconds="3600")
    running = aws.create_stack(template(instance, "operator/one"))
    made, _ = created(aws, template(aws.instance(seconds="1"), "operator/two"))

    def in_flight() -> dict[str, Any] | None:
        shown = run("status")["requests"]
        return next((r for r in shown if r["stackId"] == running and r["taskId"]), None)

    shown = wait_for(in_flight, "the task")
    [task] = aws.tasks(instance)
    assert (shown["taskId"], shown["requestType"]) == (task["BundleId"], "Create")
    assert shown["since"] <= shown["nextPollAt"] < shown["givesUpAt"]

    def custody(stack: str) -> list[tuple[str, str | None]]:
        return [(each["custody"], each["s3Uri"]) for each in run("owned", stack)["bundles"]]

    uri = f"s3://{aws.ready['bucket']}/operator/two"
    assert custody(made) == [("managed", uri)]
    deleted(aws, made)
    assert custody(made) == [("kept", uri), ("deleted", None)]

    aws.cancel(task["BundleId"])
    assert aws.at_rest(running)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert not [r for r in run("status")["requests"] if r["stackId"] == running]
