"""Builds the application, uploads it, and deploys it into the sandbox from `template.yaml`."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from samtranslator.yaml_helper import yaml_parse

from sandbox import artifact
from sandbox.clients import REGION, Clients

STACK_NAME = "cfn-instance-bundle"

PARAMETERS: Mapping[str, str] = {
    "UploadSecretArns": f"arn:aws:secretsmanager:{REGION}:{DEFAULT_ACCOUNT_ID}:secret:*",
}
"""The sandbox's default parameters: here the functions may use every secret of the account."""

_TEMPLATE = artifact.REPOSITORY / "template.yaml"


def deploy(clients: Clients, parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploy the application as `sam deploy` does, and wait until that is complete.

    Args:
        parameters: the template's parameters; they override those of PARAMETERS.

    Returns:
        The stack's outputs, the ServiceToken among them.

    Raises:
        botocore.exceptions.ClientError: a parameter is not one, or not allowed.
        botocore.exceptions.WaiterError: the stack was not created; its events say why.
    """
    clients.cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateURL=upload(clients, _packaged(clients)),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in {**PARAMETERS, **parameters}.items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    clients.cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK_NAME,
        WaiterConfig={"Delay": 0.1, "MaxAttempts": 600},  # type: ignore[typeddict-item]
    )
    [stack] = clients.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def template() -> dict[str, Any]:
    """The application's template, before the transform."""
    read: dict[str, Any] = yaml_parse(_TEMPLATE.read_text())
    return read


def upload(clients: Clients, template: Mapping[str, Any]) -> str:
    """Upload a template to S3, as `sam deploy` does; its URL.

    In a request a template has 51,200 bytes at most (AWS CloudFormation User Guide, Understand
    CloudFormation quotas).
    """
    bucket, key = _bucket(clients), f"{STACK_NAME}.template"
    clients.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(template).encode())
    return f"https://{bucket}.s3.{REGION}.amazonaws.com/{key}"


def _packaged(clients: Clients) -> dict[str, Any]:
    """The template with its CodeUri in S3."""
    bucket, key = _bucket(clients), f"{STACK_NAME}.zip"
    clients.s3.put_object(Bucket=bucket, Key=key, Body=artifact.build())
    packaged = template()
    packaged["Globals"]["Function"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    return packaged


def _bucket(clients: Clients) -> str:
    """A new bucket of this deployment."""
    bucket = f"sandbox-artifacts-{uuid.uuid4().hex[:12]}"
    clients.s3.create_bucket(Bucket=bucket)
    return bucket
