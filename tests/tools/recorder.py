"""The recorder as a command against a sandbox that is a process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sandbox.artifact import REPOSITORY
from sandbox.clients import CREDENTIALS, REGION, Clients
from tests.fixtures import PATIENCE
from tests.stacks.pages import block
from tests.stacks.support import wait_for
from tools.record.site import PREFIX, TAG

QUICK = ("--yes", "--pause", "0.3", "--patience", "120")
"""A sandbox is as fast as this."""

POLICY = REPOSITORY / "tools" / "record" / "policy.json"


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


def least(clients: Clients, denied: str = "") -> dict[str, str]:
    """The credentials of a role that has the policy that docs/recording.md names.

    Args:
        denied: an action that another policy denies.
    """
    name = f"least-{denied.replace(':', '-')}"
    iam = clients.client("iam")
    everybody = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(everybody))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="least", PolicyDocument=POLICY.read_text())
    if denied:
        deny = {"Effect": "Deny", "Action": denied, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        iam.put_role_policy(RoleName=name, PolicyName="denied", PolicyDocument=document)
    session = clients.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    given = {
        "AWS_ACCESS_KEY_ID": session["Credentials"]["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["Credentials"]["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["Credentials"]["SessionToken"],
    }
    wait_for(lambda: _counts(clients.endpoint, given), "the policy to count")
    return given


def _counts(endpoint: str, given: Mapping[str, str]) -> bool | None:
    """Whether a role's policy counts by now."""
    client = boto3.client(
        "cloudformation",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=given["AWS_SESSION_TOKEN"],
    )
    try:
        client.list_stacks()
    except ClientError:
        return None
    return True


def on_page(heading: str) -> list[str]:
    """The arguments of the command that docs/recording.md has below a heading."""
    [command] = block("docs/recording.md", heading).commands
    program, *arguments = command.split(" ")
    assert [program, *arguments[:2]] == [".venv/bin/python", "-m", "tools.record"]
    return arguments[2:]


def started(
    ready: Mapping[str, str], *arguments: str, by: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """`python -m tools.record`, begun, with other credentials if they are given."""
    return subprocess.Popen(
        [sys.executable, "-m", "tools.record", *arguments],
        cwd=REPOSITORY,
        env={**environment(ready), **(by or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], answer: str = "") -> tuple[int, str]:
    """The exit status and the output of the command; `answer` is typed into it."""
    printed, _ = process.communicate(answer, timeout=PATIENCE)
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
        (_instances(clients), ""),
        (clients.ec2.describe_images(Owners=["self"])["Images"], "Name"),
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


def _instances(clients: Clients) -> list[str]:
    """The instances that the recorder has made, and that are not terminated."""
    found = clients.ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": [TAG]}])
    return [
        f"{PREFIX}: {instance['InstanceId']}"
        for reservation in found["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] != "terminated"
    ]
