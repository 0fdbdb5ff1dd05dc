"""ServiceToken as a dynamic reference to the application's SSM parameter."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sandbox.deployment import STACK_NAME

from .support import Aws, created, deleted

Template = Callable[..., dict[str, Any]]

REFERENCE = "{{resolve:ssm:/instance-bundle/cfn-instance-bundle/ServiceToken}}"


def _referring(body: dict[str, Any]) -> dict[str, Any]:
    body["Resources"]["Bundle"]["Properties"]["ServiceToken"] = REFERENCE
    return body


def _importing(aws: Aws) -> list[str]:
    """The names of the stacks that import the application's ServiceToken."""
    pages = aws.clients.cloudformation.get_paginator("list_imports").paginate(
        ExportName="cfn-instance-bundle-ServiceToken"
    )
    try:
        return [name for page in pages for name in page["Imports"]]
    except ClientError as error:
        if "is not imported by any stack" not in str(error):
            raise
        return []


def test_a_stack_that_refers_to_the_parameter_is_created_updated_and_deleted(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(seconds="1")

    stack_id, first = created(
        aws, _referring(template(instance, "referred/one", OnDelete="Delete"))
    )
    assert aws.keys("referred/one")
    aws.update_stack(stack_id, _referring(template(instance, "referred/two", OnDelete="Delete")))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert aws.outputs(stack)["BundleId"] != first["BundleId"]
    assert aws.keys("referred/one") == []
    assert aws.keys("referred/two")
    assert stack["StackName"] not in _importing(aws)
    deleted(aws, stack_id)
    assert aws.keys("referred/") == []


def test_an_update_replaces_the_import_by_the_reference_and_keeps_the_bundle(
    aws: Aws, template: Template
) -> None:
    instance = aws.instance(seconds="1")
    stack_id, first = created(aws, template(instance, "freed/web"))
    name = aws.stack(stack_id)["StackName"]
    assert name in _importing(aws)

    aws.update_stack(stack_id, _referring(template(instance, "freed/web")))
    stack = aws.at_rest(stack_id)

    assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert aws.outputs(stack) == first
    assert len(aws.bundle_requests(instance)) == 1
    assert name not in _importing(aws)
    deleted(aws, stack_id)


def test_the_output_names_the_parameter(aws: Aws) -> None:
    outputs = aws.outputs(aws.stack(STACK_NAME))

    stored = aws.clients.client("ssm").get_parameter(Name=outputs["ServiceTokenParameter"])
    assert stored["Parameter"]["Value"] == outputs["ServiceToken"]
    assert f"{{{{resolve:ssm:{outputs['ServiceTokenParameter']}}}}}" == REFERENCE
