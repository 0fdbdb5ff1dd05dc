"""Functions of custom resources that use packages by others, in a sandbox with HTTPS for their
answers and with schedules that run."""

from __future__ import annotations

import importlib.metadata
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.artifact import REPOSITORY
from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served

MINUTE = 2.0
"""Seconds that a minute of EventBridge's takes here: more than a poll."""

THING = """
import os

import boto3

s3 = boto3.client("s3")


def name_of(event):
    return event["ResourceProperties"]["Name"]


def is_secret(event):
    return event["ResourceProperties"].get("IsSecret") == "true"


def put(event):
    text = event["ResourceProperties"]["Text"]
    if text == "refused":
        raise ValueError("This text is refused")
    s3.put_object(Bucket=os.environ["BUCKET"], Key=name_of(event), Body=text.encode())
    return {"Shout": text.upper(), "Length": str(len(text))}


def remove(event):
    s3.delete_object(Bucket=os.environ["BUCKET"], Key=event["PhysicalResourceId"])


def is_ready(event):
    key = "polled-" + event["RequestId"]
    found = s3.list_objects_v2(Bucket=os.environ["BUCKET"], Prefix=key)["KeyCount"]
    s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=b"")
    return found > 0
"""
"""What the resources are: objects in a bucket. With polling, one is ready at the second poll."""


def version(package: str) -> str:
    """Of an installed package by others."""
    [found] = importlib.metadata.distributions(name=package, path=[str(_site())])
    return found.version


@dataclass(frozen=True)
class Provider:
    """A function that serves custom resources, deployed by a stack.

    Attributes:
        service_token: its ARN.
        bucket: where its resources are.
        polls: whether it finishes in polls.
    """

    served: Served
    service_token: str
    bucket: str
    polls: bool

    def resource(self, **properties: str) -> dict[str, Any]:
        """A custom resource of it."""
        return {
            "Type": "Custom::Thing",
            "Properties": {"ServiceToken": self.service_token, **properties},
        }

    def contents(self, name: str) -> str | None:
        """What an object holds; None if there is none."""
        s3 = self.served.clients.s3
        try:
            return s3.get_object(Bucket=self.bucket, Key=name)["Body"].read().decode()
        except s3.exceptions.NoSuchKey:
            return None

    def left_behind(self) -> list[str]:
        """The rules and the permissions that are there for polls."""
        rules = self.served.clients.client("events").list_rules()["Rules"]
        functions = self.served.clients.client("lambda")
        name = self.service_token.rpartition(":")[2]
        try:
            policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
        except functions.exceptions.ResourceNotFoundException:
            policy = {"Statement": []}
        return [each["Name"] for each in rules] + [each["Sid"] for each in policy["Statement"]]


@contextmanager
def sandbox() -> Iterator[Served]:
    """An empty sandbox, with answers over HTTPS as on AWS, and fast schedules."""
    with Server(schedule_minute=MINUTE, https_responses=True) as server:
        yield Served(Clients(server.endpoint))


def deploy(served: Served, handler: str, packages: Sequence[str], *, polls: bool) -> Provider:
    """A function of THING, a handler and packages, which are taken as they are installed."""
    bucket = _bucket(served)
    key = f"{uuid.uuid4().hex}.zip"
    package = _zip({"index.py": f"{THING}\n{handler}".encode(), **_files(packages)})
    served.clients.s3.put_object(Bucket=bucket, Key=key, Body=package)
    return _deployed(served, {"S3Bucket": bucket, "S3Key": key}, polls=polls)


def deploy_inline(served: Served, handler: str) -> Provider:
    """A function whose code is in the template."""
    return _deployed(served, {"ZipFile": f"{THING}\n{handler}"}, polls=False)


def _deployed(served: Served, code: Mapping[str, str], *, polls: bool) -> Provider:
    bucket = _bucket(served)
    stack_id = served.create(
        {"Role": _role(bucket), "Function": _function(code, bucket)},
        Arn={"Fn::GetAtt": ["Function", "Arn"]},
    )
    return Provider(served, served.until(stack_id, "CREATE_COMPLETE")["Arn"], bucket, polls)


def _function(code: Mapping[str, str], bucket: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "Timeout": 60,
            "MemorySize": 256,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": dict(code),
            "Environment": {"Variables": {"BUCKET": bucket}},
        },
    }


def _role(bucket: str) -> dict[str, Any]:
    allowed = {
        f"arn:aws:s3:::{bucket}": ["s3:ListBucket"],
        f"arn:aws:s3:::{bucket}/*": ["s3:PutObject", "s3:DeleteObject"],
        "arn:aws:events:*:*:rule/*": [
            *("events:PutRule", "events:DeleteRule"),
            *("events:PutTargets", "events:RemoveTargets"),
        ],
        "arn:aws:lambda:*:*:function:*": [
            *("lambda:AddPermission", "lambda:RemovePermission", "lambda:InvokeFunction"),
        ],
        "arn:aws:logs:*:*:*": [
            *("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
        ],
    }
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": resource}
        for resource, actions in allowed.items()
    ]
    document = {"Version": "2012-10-17", "Statement": statements}
    trusted = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trusted]},
            "Policies": [{"PolicyName": "things", "PolicyDocument": document}],
        },
    }


def _bucket(served: Served) -> str:
    bucket = f"judges-{uuid.uuid4().hex[:12]}"
    served.clients.s3.create_bucket(Bucket=bucket)
    return bucket


def _files(packages: Sequence[str]) -> dict[str, bytes]:
    """The files of packages, and the metadata of their versions, by their paths."""
    files = {}
    for package in packages:
        [found] = importlib.metadata.distributions(name=package, path=[str(_site())])
        for path in found.files or ():
            file = Path(str(found.locate_file(path)))
            if ".." not in path.parts and path.suffix != ".pyc" and file.is_file():
                files[str(path)] = file.read_bytes()
    return files


def _site() -> Path:
    [directory] = (REPOSITORY / ".venv-judges" / "lib").glob("python3*/site-packages")
    return directory


def _zip(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()
