"""Stacks in ministack that have a bundle."""

from typing import Any

from tests.stacks.support import MARK, Aws

VERIFYING = "verifying"
"""The installation with the template's defaults."""


def template(
    aws: Aws, instance: str, prefix: str, installation: str = VERIFYING, **properties: Any
) -> dict[str, Any]:
    """A template of one bundle, whose objects are deleted with it."""
    return {
        "Resources": {
            "Bundle": {
                "Type": "Custom::InstanceBundle",
                "Properties": {
                    "ServiceToken": {"Fn::ImportValue": f"{installation}-ServiceToken"},
                    "InstanceId": instance,
                    "Storage": {"S3": {"Bucket": aws.ready["bucket"], "Prefix": prefix}},
                    "OnDelete": "Delete",
                    **properties,
                },
            }
        },
        "Outputs": {
            "BundleId": {"Value": {"Ref": "Bundle"}},
            "ManifestLocation": {"Value": {"Fn::GetAtt": ["Bundle", "ManifestLocation"]}},
        },
    }


def stored(aws: Aws, instance: str, **properties: Any) -> dict[str, Any]:
    """A template of one stored image, which is marked as one of the instance."""
    mark = [{"Key": MARK, "Value": instance}]
    body = template(aws, instance, "", Method="StoreImage", Image={"Tags": mark}, **properties)
    del body["Resources"]["Bundle"]["Properties"]["Storage"]["S3"]["Prefix"]
    return body


def with_bad_sibling(body: dict[str, Any]) -> dict[str, Any]:
    """The template, with a resource that can't be created, after the bundle."""
    bad = {
        "Type": "AWS::SSM::Parameter",
        "DependsOn": "Bundle",
        "Properties": {"Type": "None", "Value": "x"},
    }
    return {**body, "Resources": {**body["Resources"], "Bad": bad}}


def with_condition(body: dict[str, Any]) -> dict[str, Any]:
    """The template, with a handle for the bundle, and a wait condition that it signals."""
    bundle = body["Resources"]["Bundle"]
    properties = bundle["Properties"] | {"CompletionHandle": {"Ref": "Handle"}}
    condition = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": "Bundle",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "300"},
    }
    return {
        "Resources": {
            "Bundle": bundle | {"Properties": properties},
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Condition": condition,
        },
        "Outputs": body["Outputs"] | {"Data": {"Value": {"Fn::GetAtt": ["Condition", "Data"]}}},
    }


def comes_to(aws: Aws, stack_id: str, status: str) -> dict[str, str]:
    """The outputs of a stack that comes to rest with this status."""
    stack = aws.at_rest(stack_id)
    assert stack["StackStatus"] == status, aws.events(stack_id)
    return aws.outputs(stack) if stack.get("Outputs") else {}


def reasons(aws: Aws, stack_id: str, status: str, logical_id: str = "Bundle") -> list[str]:
    """Why a resource came to this status, each time."""
    return [
        event["ResourceStatusReason"]
        for event in aws.events(stack_id)
        if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical_id, status)
    ]
