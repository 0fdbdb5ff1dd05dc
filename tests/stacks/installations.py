"""The application as the sandbox has it, installed once more, or updated."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.deployment import STACK_NAME, upload

from .support import Aws

CAPABILITIES: Any = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def deployed(aws: Aws) -> dict[str, Any]:
    """The template that the application was deployed from, its code in S3."""
    body: Any = aws.clients.cloudformation.get_template(
        StackName=STACK_NAME, TemplateStage="Original"
    )["TemplateBody"]
    template: dict[str, Any] = json.loads(body if isinstance(body, str) else json.dumps(body))
    return template


def install(aws: Aws, stack_name: str, parameters: Mapping[str, str]) -> str:
    """Install the application as another stack; the stack's ID."""
    return aws.clients.cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=upload(aws.clients, deployed(aws)),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
        Capabilities=CAPABILITIES,
    )["StackId"]


def update(aws: Aws, template: Mapping[str, Any]) -> None:
    """Update the application to another template, and wait until that is done."""
    _update(aws, {}, TemplateURL=upload(aws.clients, template))


def change(aws: Aws, installation: str = STACK_NAME, **parameters: str) -> None:
    """Change parameters of an installation, and wait until that is done.

    Args:
        installation: its stack's name or ID.
    """
    _update(aws, parameters, installation, UsePreviousTemplate=True)


def _update(
    aws: Aws, changed: Mapping[str, str], installation: str = STACK_NAME, **template: Any
) -> None:
    stacks = aws.clients.cloudformation
    [stack] = stacks.describe_stacks(StackName=installation)["Stacks"]
    names = [parameter["ParameterKey"] for parameter in stack["Parameters"]]
    stacks.update_stack(
        StackName=installation,
        Parameters=[
            {"ParameterKey": name, "ParameterValue": changed[name]}
            if name in changed
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in names
        ],
        Capabilities=CAPABILITIES,
        **template,
    )
    status = aws.at_rest(installation)["StackStatus"]
    assert status == "UPDATE_COMPLETE", aws.events(installation)


def resources(aws: Aws, stack: str = STACK_NAME) -> dict[str, str]:
    """The physical IDs of an installation's resources, by their logical IDs."""
    pages = aws.clients.cloudformation.get_paginator("list_stack_resources").paginate(
        StackName=stack
    )
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }
