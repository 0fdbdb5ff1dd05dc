"""The application in the sandbox: built, uploaded, and deployed from `template.yaml`."""

import json
import uuid
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from sandbox import artifact
from sandbox.clients import Clients

STACK_NAME = "cfn-instance-bundle"

_TEMPLATE = artifact.REPOSITORY / "template.yaml"


def deploy(clients: Clients) -> dict[str, str]:
    """Deploy the application as `sam deploy` does, and wait until it is there.

    Returns:
        The stack's outputs, the ServiceToken among them.

    Raises:
        botocore.exceptions.WaiterError: the stack was not created; its events tell why.
    """
    template = _packaged(clients)
    clients.cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    clients.cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    [stack] = clients.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _packaged(clients: Clients) -> dict[str, Any]:
    """The template with its CodeUri in S3."""
    bucket = f"sandbox-artifacts-{uuid.uuid4().hex[:12]}"
    key = f"{STACK_NAME}.zip"
    clients.s3.create_bucket(Bucket=bucket)
    clients.s3.put_object(Bucket=bucket, Key=key, Body=artifact.build())
    template: dict[str, Any] = yaml_parse(_TEMPLATE.read_text())
    template["Globals"]["Function"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    return template
