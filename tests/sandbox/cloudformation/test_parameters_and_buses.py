"""Stacks of parameters that hold images, of event buses and of their rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.serving import body
from tests.sandbox.cloudformation.support import Sandbox

IMAGE = "ami-0123456789abcdef0"
PARAMETER: dict[str, Any] = {
    "Type": "AWS::SSM::Parameter",
    "Properties": {"Type": "String", "DataType": "aws:ec2:image", "Value": IMAGE},
}
OF_PARAMETER = {
    "Name": {"Ref": "Parameter"},
    "Type": {"Fn::GetAtt": ["Parameter", "Type"]},
    "Value": {"Fn::GetAtt": ["Parameter", "Value"]},
}


def parameter(**properties: Any) -> dict[str, Any]:
    return {"Parameter": {**PARAMETER, "Properties": {**PARAMETER["Properties"], **properties}}}


def bus_and_rule(**rule: Any) -> dict[str, Any]:
    return {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "images"}},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "EventPattern": {"source": ["bundles"]},
                "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
                **rule,
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue"},
    }


def test_a_parameter_of_an_image_is_made_with_its_name_tags_and_attributes(
    sandbox: Sandbox,
) -> None:
    resources = parameter(Name="/images/web", Tags={"team": "web", "count": 2})
    sandbox.finish(body(resources, **OF_PARAMETER), "CREATE_COMPLETE")

    assert sandbox.outputs() == {"Name": "/images/web", "Type": "String", "Value": IMAGE}
    ssm = sandbox.aws("ssm")
    stored = ssm.get_parameter(Name="/images/web")["Parameter"]
    assert (stored["Value"], stored["DataType"]) == (IMAGE, "aws:ec2:image")
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/images/web")
    assert tags["TagList"] == [{"Key": "team", "Value": "web"}, {"Key": "count", "Value": "2"}]


def test_a_parameter_without_a_name_gets_one_and_keeps_it(sandbox: Sandbox) -> None:
    sandbox.finish(body(parameter(), **OF_PARAMETER), "CREATE_COMPLETE")
    name = sandbox.outputs()["Name"]
    assert name.startswith("shop-Parameter-")

    template = body(parameter(Value="ami-0fedcba9876543210"), **OF_PARAMETER)
    sandbox.client.update_stack(StackName="shop", TemplateBody=template)
    sandbox.until("UPDATE_COMPLETE")

    assert sandbox.outputs()["Name"] == name
    stored = sandbox.aws("ssm").get_parameter(Name=name)["Parameter"]
    assert stored["Value"] == "ami-0fedcba9876543210"
    sandbox.delete()
    assert sandbox.aws("ssm").describe_parameters()["Parameters"] == []


def test_a_template_reads_an_image_from_a_stored_parameter(sandbox: Sandbox) -> None:
    ssm = sandbox.aws("ssm")
    ssm.put_parameter(Name="/web", Type="String", DataType="aws:ec2:image", Value=IMAGE)
    kind = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    template = json.loads(body({"Queue": {"Type": "AWS::SQS::Queue"}}, Image={"Ref": "Image"}))
    template["Parameters"] = {"Image": {"Type": kind, "Default": "/web"}}

    sandbox.finish(json.dumps(template), "CREATE_COMPLETE")

    assert sandbox.outputs() == {"Image": IMAGE}
    template["Parameters"]["Image"]["Default"] = "/none"
    with pytest.raises(ClientError, match="Unable to fetch parameters"):
        sandbox.create(json.dumps(template), "other")


def test_a_rule_on_a_bus_of_a_stack_sends_events_to_its_target(sandbox: Sandbox) -> None:
    outputs = {
        "Bus": {"Ref": "Bus"},
        "Rule": {"Ref": "Rule"},
        "Arn": {"Fn::GetAtt": ["Bus", "Arn"]},
        "Queue": {"Ref": "Queue"},
    }
    sandbox.finish(body(bus_and_rule(), **outputs), "CREATE_COMPLETE")

    given = sandbox.outputs()
    assert given["Bus"] == "images"
    assert given["Rule"].startswith("images|shop-Rule-")
    assert given["Arn"].endswith(":event-bus/images")
    entry = {"EventBusName": "images", "Source": "bundles", "DetailType": "done", "Detail": "{}"}
    sandbox.aws("events").put_events(Entries=[entry])
    [message] = sandbox.aws("sqs").receive_message(QueueUrl=given["Queue"])["Messages"]
    assert json.loads(message["Body"])["detail-type"] == "done"


def test_a_rule_on_the_default_bus_is_named_without_it(sandbox: Sandbox) -> None:
    rule = bus_and_rule(EventBusName="default", Name="done")
    sandbox.finish(body(rule, Rule={"Ref": "Rule"}), "CREATE_COMPLETE")

    assert sandbox.outputs() == {"Rule": "done"}


def test_an_update_leaves_names_and_the_rules_of_a_bus_alone(sandbox: Sandbox) -> None:
    outputs = {"Rule": {"Ref": "Rule"}}
    sandbox.finish(body(bus_and_rule(), **outputs), "CREATE_COMPLETE")
    before = sandbox.outputs()

    resources = bus_and_rule(State="DISABLED")
    resources["Bus"]["Properties"]["Description"] = "of images"
    sandbox.client.update_stack(StackName="shop", TemplateBody=body(resources, **outputs))
    sandbox.until("UPDATE_COMPLETE")
    resources["Bus"]["Properties"]["Description"] = "of all images"
    sandbox.client.update_stack(StackName="shop", TemplateBody=body(resources, **outputs))
    sandbox.until("UPDATE_COMPLETE")

    assert sandbox.outputs() == before
    [rule] = sandbox.aws("events").list_rules(EventBusName="images")["Rules"]
    assert rule["State"] == "DISABLED"
    sandbox.delete()
    buses = sandbox.aws("events").list_event_buses()["EventBuses"]
    assert [bus["Name"] for bus in buses] == ["default"]
