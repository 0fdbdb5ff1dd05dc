"""The recorder as a command against a sandbox that is a process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, REGION, Clients
from tools.record.site import PREFIX

QUICK = ("--yes", "--pause", "0.3", "--patience", "120")
"""A sandbox is as fast as this."""


def environment(ready: Mapping[str, str]) -> dict[str, str]:
    """The variables by which AWS's clients find the sandbox, and nothing of AWS's else."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    return {
        **own,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": ready["endpoint"],
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONPATH": str(REPOSITORY),
    }


def started(ready: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """`python -m tools.record`, begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "tools.record", *arguments],
        cwd=REPOSITORY,
        env=environment(ready),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def typed(ready: Mapping[str, str], *arguments: str, answer: str = "") -> tuple[int, str]:
    """The exit status and the output of the command; `answer` is typed into it."""
    process = started(ready, *arguments)
    printed, _ = process.communicate(answer, timeout=300)
    return process.returncode, printed


def left(clients: Clients) -> list[str]:
    """What there is that a run of the recorder has made, by name."""
    stacks = clients.cloudformation.get_paginator("list_stacks").paginate()
    named: list[tuple[Any, str]] = [
        (clients.functions.list_functions()["Functions"], "FunctionName"),
        (clients.s3.list_buckets()["Buckets"], "Name"),
        (clients.client("logs").describe_log_groups()["logGroups"], "logGroupName"),
        (clients.client("iam").list_roles()["Roles"], "RoleName"),
        (clients.client("dynamodb").list_tables()["TableNames"], ""),
        (clients.client("sqs").list_queues().get("QueueUrls", []), ""),
    ]
    return [
        *(
            stack["StackName"]
            for page in stacks
            for stack in page["StackSummaries"]
            if stack["StackName"].startswith(PREFIX) and stack["StackStatus"] != "DELETE_COMPLETE"
        ),
        *(
            text
            for things, name in named
            for text in (thing[name] if name else thing for thing in things)
            if PREFIX in text
        ),
    ]
