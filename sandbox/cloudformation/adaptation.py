"""What moto's models of parameters, event buses, their rules, log groups, tables and managed
policies need as input, and leave out.

A name that the template doesn't give is generated once, and stays in updates.
"""

from __future__ import annotations

import copy
from typing import Any

from sandbox.cloudformation import managed_policies, tables
from sandbox.cloudformation.intrinsics import text

_BUS = "AWS::Events::EventBus"
_RULE = "AWS::Events::Rule"
_PARAMETER = "AWS::SSM::Parameter"
_LOG_GROUP = "AWS::Logs::LogGroup"
_ALARM = "AWS::CloudWatch::Alarm"


def keeps_name(resource_type: str) -> bool:
    """Whether an update needs the name that the resource has already: moto creates these resources
    again, under the given name."""
    return resource_type in (_BUS, _RULE, _PARAMETER, _ALARM)


def stays(resource_type: str, name: str, resource: Any) -> bool:
    """Whether an update leaves the resource as it is: a bus that is created again would lose its
    rules, and the model knows nothing of it except its name."""
    return resource_type == _BUS and name == resource.name


def updated(
    resource_type: str, resource: Any, before: dict[str, Any], properties: dict[str, Any]
) -> bool:
    """Update the resource in place where its model knows no update; whether that was done."""
    match resource_type:
        case "AWS::Logs::LogGroup":
            resource.set_retention_policy(properties.get("RetentionInDays"))
        case "AWS::DynamoDB::Table":
            tables.update(resource, before, properties)
        case "AWS::IAM::ManagedPolicy":
            managed_policies.update(resource, properties)
        case _:
            return False
    return True


def adapted(resource_type: str, properties: dict[str, Any], name: str) -> dict[str, Any]:
    """A copy of the properties as the type's model reads them; models change what they are given.

    moto's parameters have no name but the property's, and their tags are a list, as in SSM's API;
    CloudFormation's are an object.
    """
    properties = copy.deepcopy(properties)
    if resource_type == _PARAMETER:
        tags = properties.get("Tags", {})
        properties["Name"] = name
        properties["Tags"] = [{"Key": key, "Value": text(value)} for key, value in tags.items()]
    return properties


def attributes(resource_type: str, resource: Any) -> dict[str, str]:
    """What ``Fn::GetAtt`` gives in addition to what a resource's model knows, or instead of it.

    The ARN of a log group stands for its streams
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html).
    """
    if resource_type == _LOG_GROUP:
        return {"Arn": f"{resource.arn}:*"}
    if resource_type == _PARAMETER:
        return {"Type": resource.parameter_type, "Value": resource.value}
    return {}


def physical_id(resource_type: str, resource: Any) -> str | None:
    """What ``Ref`` gives of a resource; None where its model knows no more than others.

    A rule on a custom bus is named with the bus: ``bus|rule``, which was seen, and is not
    documented.
    """
    if resource_type == _BUS:
        return str(resource.name)
    if resource_type == _RULE:
        bus = resource.event_bus_name.rpartition("/")[2]
        return str(resource.name) if bus == "default" else f"{bus}|{resource.name}"
    found = getattr(resource, "physical_resource_id", None)
    return found if isinstance(found, str) else None
