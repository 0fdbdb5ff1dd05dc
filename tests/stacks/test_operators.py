"""The ledger is open to the functions and to the operators' role, and to nobody else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.artifact import REPOSITORY
from sandbox.clients import REGION

from .support import Aws, Observers, SandboxProcess, created, deleted, wait_for

Template = Callable[..., dict[str, Any]]
Credentials = Mapping[str, str]

OPERATORS = "arn:aws:iam::123456789012:role/people/operators"
KEY = "arn:aws:kms:us-east-1:123456789012:key/of-ledger-and-queues"
AN_ITEM = {"resource": {"S": "a"}, "item": {"S": "b"}}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, whose application has operators, and a key."""
    parameters = {"OperatorsRoleArn": OPERATORS, "KmsKeyArn": KEY}
    sandbox = SandboxProcess.start(tmp_path, parameters)
    yield Aws(sandbox.ready, Observers(sandbox.ready["endpoint"]))
    assert sandbox.end() == 0


def assumed(aws: Aws, path: str, name: str, policy: str) -> Credentials:
    """The credentials of a session of a new role that has this policy alone."""
    iam = aws.clients.client("iam")
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name,
        Path=path,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    found = aws.clients.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="kim")[
        "Credentials"
    ]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
        "AWS_DEFAULT_REGION": REGION,
    }


def run(aws: Aws, credentials: Credentials, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`instance-bundle`, as somebody with these credentials types it."""
    command = [sys.executable, "-P", "-m", "cli", *arguments]
    path = os.pathsep.join((str(REPOSITORY / "functions"), str(REPOSITORY)))
    return subprocess.run(
        [*command, "--output", "json", "--endpoint-url", aws.ready["endpoint"]],
        env=os.environ | {"PYTHONPATH": path, **credentials},
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(aws: Aws) -> dict[str, str]:
    return aws.outputs(aws.stack("cfn-instance-bundle"))


def test_operators_read_the_ledger_and_administrators_do_not(aws: Aws, template: Template) -> None:
    stack, made = created(aws, template(aws.instance(seconds="1"), "operator/one"))
    running = aws.create_stack(template(aws.instance(outcome="hang"), "operator/two"))
    operators = assumed(aws, "/people/", "operators", outputs(aws)["OperatorsPolicy"])
    administrators = assumed(
        aws, "/", "administrators", "arn:aws:iam::aws:policy/AdministratorAccess"
    )

    def in_flight() -> list[str] | None:
        done = run(aws, operators, "status")
        found = json.loads(done.stdout)["requests"] if done.returncode == 0 else []
        return [each["stackId"] for each in found] or None

    assert wait_for(in_flight, "the operators' policy to count") == [running]
    [owned] = json.loads(run(aws, operators, "owned", stack).stdout)["bundles"]
    assert owned["physicalId"] == made["BundleId"]
    assert owned["unreadable"] == []
    check_other_commands(aws, operators, stack, template)

    table = outputs(aws)["LedgerTable"]
    asked = as_(aws, administrators)
    wait_for(lambda: asked("describe_table", TableName=table) is None or None, "IAM")
    for call, parameters in (
        ("scan", {"TableName": table}),
        ("get_item", {"TableName": table, "Key": AN_ITEM}),
        (
            "restore_table_to_point_in_time",
            {"SourceTableName": table, "TargetTableName": "copy"},
        ),
    ):
        assert "with an explicit deny in a resource-based policy" in str(asked(call, **parameters))
    done = run(aws, administrators, "status")
    assert (done.returncode, done.stdout) == (3, "")
    assert "dynamodb:Scan: AccessDeniedException" in done.stderr

    refused = as_(aws, operators)("delete_item", TableName=table, Key=AN_ITEM)
    assert "because no identity-based policy allows the dynamodb:DeleteItem" in str(refused)
    check_release(aws, operators, stack, table)


def check_other_commands(aws: Aws, operators: Credentials, stack: str, template: Template) -> None:
    """Check that no call of the commands is refused, and nothing is left unknown."""
    aws.clients.cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName="next",
        TemplateBody=json.dumps(template(aws.instance(), "operator/next")),
    )
    bucket = aws.ready["bucket"]
    for arguments in (
        ("why", stack),
        ("plan", stack, "next"),
        ("orphans",),
        ("doctor", "--bucket", bucket),
    ):
        done = run(aws, operators, *arguments)
        assert done.stderr == ""
        shown = json.loads(done.stdout)
        if arguments[0] == "doctor":
            unknown = [each for each in shown["checks"] if each["verdict"] == "unknown"]
            assert unknown == []


def check_release(aws: Aws, operators: Credentials, stack: str, table: str) -> None:
    """Check that a claim is released by the policy that the docs name, which allows no more."""
    deleted(aws, stack)
    bucket = aws.ready["bucket"]
    for key in aws.keys("operator/one"):
        aws.clients.s3.delete_object(Bucket=bucket, Key=key)
    released = ("release", f"s3://{bucket}/operator/one", "--yes")
    assert "dynamodb:DeleteItem: AccessDeniedException" in run(aws, operators, *released).stderr
    page = (REPOSITORY / "docs" / "command.md").read_text()
    [condition] = re.findall(r"```json\n(.+LeadingKeys.+)\n```", page)
    arn = aws.clients.client("dynamodb").describe_table(TableName=table)["Table"]["TableArn"]
    allowed = {"Effect": "Allow", "Action": "dynamodb:DeleteItem", "Resource": arn}
    document = {
        "Version": "2012-10-17",
        "Statement": [allowed | {"Condition": json.loads(condition)}],
    }
    aws.clients.client("iam").put_role_policy(
        RoleName="operators", PolicyName="release", PolicyDocument=json.dumps(document)
    )
    wait_for(lambda: run(aws, operators, *released).returncode == 0 or None, "the claim's release")
    refused = as_(aws, operators)("delete_item", TableName=table, Key=AN_ITEM)
    assert "dynamodb:DeleteItem" in str(refused)


def as_(aws: Aws, credentials: Credentials) -> Callable[..., ClientError | None]:
    """Makes calls of DynamoDB with these credentials; the error of each."""
    client: Any = boto3.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=credentials["AWS_SESSION_TOKEN"],
        region_name=REGION,
    ).client("dynamodb", endpoint_url=aws.ready["endpoint"])

    def call(name: str, **parameters: Any) -> ClientError | None:
        try:
            getattr(client, name)(**parameters)
        except ClientError as error:
            return error
        return None

    return call
