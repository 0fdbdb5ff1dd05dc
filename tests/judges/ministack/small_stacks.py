"""Stacks of the custom resource in `small.py`, and what CloudFormation asked it."""

import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.clients import Clients
from tests.stacks.support import wait_for

_CODE = Path(__file__).with_name("small.py")
_TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
_NEEDED = {
    "Effect": "Allow",
    "Action": ["s3:PutObject", "cloudformation:Describe*"],
    "Resource": "*",
}


@dataclass(frozen=True)
class SmallStack:
    """A stack."""

    aws: Clients
    stack_id: str

    def update(self, resources: Mapping[str, Any]) -> None:
        """Have its resources be others."""
        self.aws.cloudformation.update_stack(
            StackName=self.stack_id, TemplateBody=json.dumps({"Resources": resources})
        )

    def delete(self) -> None:
        """Have it deleted."""
        self.aws.cloudformation.delete_stack(StackName=self.stack_id)

    def at_rest(self) -> str:
        """Its status, once no operation on it is in progress."""

        def status() -> str | None:
            [stack] = self.aws.cloudformation.describe_stacks(StackName=self.stack_id)["Stacks"]
            found: str = stack["StackStatus"]
            return None if found.endswith("_IN_PROGRESS") else found

        return wait_for(status, f"{self.stack_id} to come to rest")


class SmallResource:
    """The custom resource, with a function of its own.

    Args:
        aws: clients of the emulator.
        name: what the function's name begins with.
        statements: of the policy of its role, in addition.
    """

    def __init__(self, aws: Clients, name: str, *statements: Mapping[str, Any]) -> None:
        self.aws = aws
        self.name = f"{name}-{uuid.uuid4().hex[:8]}"
        iam = aws.client("iam")
        self.role: str = iam.create_role(
            RoleName=self.name, AssumeRolePolicyDocument=document(_TRUST)
        )["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=self.name, PolicyName="own", PolicyDocument=document(_NEEDED, *statements)
        )
        aws.s3.create_bucket(Bucket=self.name)
        self._token = aws.functions.create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Role=self.role,
            Handler="index.handler",
            Timeout=30,
            Code={"ZipFile": _zip()},
        )["FunctionArn"]

    def declared(self, **properties: Any) -> dict[str, Any]:
        """The resource in a template, with these properties."""
        return {
            "Small": {
                "Type": "Custom::Small",
                "Properties": {"ServiceToken": self._token, **properties},
            }
        }

    def stack(self, resources: Mapping[str, Any]) -> SmallStack:
        """A new stack of these resources."""
        stack_id = self.aws.cloudformation.create_stack(
            StackName=f"{self.name}-{uuid.uuid4().hex[:4]}",
            TemplateBody=json.dumps({"Resources": resources}),
        )["StackId"]
        return SmallStack(self.aws, stack_id)

    def requests(self) -> list[str]:
        """The requests so far: the kind of each, and the physical ID if it had one."""
        return [said["request"] for said in self._said()]

    def creates(self, physical_id: str) -> int:
        """How often it was invoked for a Create with this Id in its properties."""
        said = [(each["request"], each["id"]) for each in self._said()]
        return said.count(("Create", physical_id))

    def states(self, request: str) -> list[dict[str, str]]:
        """What CloudFormation said in requests of this kind and physical ID."""
        return [said for said in self._said() if said["request"] == request]

    def _said(self) -> list[dict[str, str]]:
        listed = self.aws.s3.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [
            json.load(self.aws.s3.get_object(Bucket=self.name, Key=item["Key"])["Body"])
            for item in sorted(listed, key=lambda item: int(item["Key"]))
        ]


def document(*statements: Mapping[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", _CODE.read_text())
    return packed.getvalue()
