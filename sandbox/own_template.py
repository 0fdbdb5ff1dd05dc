"""A template of the user's own, packaged and deployed into the sandbox.

AWS CLI packages it, so that local code, layers, nested stacks and whatever else a template refers
to become objects in S3 as they do for AWS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from sandbox.clients import CREDENTIALS, REGION, Clients

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

BUCKET = "sandbox-packages"
"""Where the code of a packaged template is, and the template itself."""

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

_AWS = Path(sys.executable).with_name("aws")
_PAUSE = 0.2
"""Seconds between two reads of the stack."""


class NotDeployed(Exception):
    """Why a template was not deployed, for a person to read."""


def deploy(
    clients: Clients, template: Path, stack_name: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Package a template, and deploy it as a new stack; its outputs.

    Args:
        clients: of the sandbox.
        template: a file. What it refers to is looked up from its directory.
        stack_name: the stack's name.
        parameters: the template's.

    Raises:
        NotDeployed: it could not be packaged, CloudFormation refused it, or the stack failed.
    """
    clients.s3.create_bucket(Bucket=BUCKET)
    key = f"{stack_name}.template"
    clients.s3.put_object(Bucket=BUCKET, Key=key, Body=_packaged(clients.endpoint, template))
    try:
        stack_id = clients.cloudformation.create_stack(
            StackName=stack_name,
            TemplateURL=f"https://{BUCKET}.s3.{REGION}.amazonaws.com/{key}",
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
            Capabilities=list(CAPABILITIES),  # type: ignore[arg-type]
        )["StackId"]
    except ClientError as refused:
        raise NotDeployed(f"{template} is refused. {refused}") from refused
    stack = _at_rest(clients, stack_id)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        events = clients.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        lines = [_line(event) for event in reversed(events)]
        raise NotDeployed(
            "\n".join([f"Stack {stack_name} of {template} is {stack['StackStatus']}:", *lines])
        )
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def _packaged(endpoint: str, template: Path) -> bytes:
    """The template with what it refers to in S3."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with tempfile.TemporaryDirectory() as directory:
        packaged = Path(directory) / "packaged.yaml"
        done = subprocess.run(  # noqa: S603  our own AWS CLI
            [
                *(str(_AWS), "--region", REGION, "cloudformation"),
                *("package", "--template-file", str(template)),
                *("--s3-bucket", BUCKET, "--output-template-file", str(packaged)),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotDeployed(f"{template} can't be packaged. {done.stderr.strip()}")
        return packaged.read_bytes()


def _at_rest(clients: Clients, stack_id: str) -> StackTypeDef:
    while True:
        [stack] = clients.cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(_PAUSE)


def _line(event: StackEventTypeDef) -> str:
    columns = (
        f"{event['Timestamp']:%H:%M:%S}",
        f"{event.get('ResourceStatus', ''):<18}",
        event.get("LogicalResourceId", ""),
        event.get("ResourceType", ""),
        event.get("ResourceStatusReason", ""),
    )
    return "  " + "  ".join(columns).rstrip()
