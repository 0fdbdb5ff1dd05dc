"""AWS::Serverless::Application: a nested stack of a template, or of a published application."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.serving import Served

CHILD = {
    "Parameters": {"Delay": {"Type": "Number"}},
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": {"Ref": "Delay"}}}
    },
    "Outputs": {"Url": {"Value": {"Ref": "Queue"}}},
}


def body(location: Any) -> str:
    application = {
        "Type": "AWS::Serverless::Application",
        "Properties": {"Location": location, "Parameters": {"Delay": "7"}},
    }
    return json.dumps(
        {
            "Transform": "AWS::Serverless-2016-10-31",
            "Resources": {"App": application},
            "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["App", "Outputs.Url"]}}},
        }
    )


def created(served: Served, location: Any) -> None:
    """Create a stack of it, and see that its queue is there."""
    cloudformation = served.clients.cloudformation
    stack_id = cloudformation.create_stack(
        StackName=f"apps-{uuid.uuid4().hex[:8]}",
        TemplateBody=body(location),
        Capabilities=["CAPABILITY_AUTO_EXPAND"],
    )["StackId"]
    url = served.until(stack_id, "CREATE_COMPLETE")["Url"]
    [nested] = cloudformation.describe_stack_resources(StackName=stack_id)["StackResources"]
    assert nested["ResourceType"] == "AWS::CloudFormation::Stack"
    assert served.stack(nested["PhysicalResourceId"])["ParentId"] == stack_id
    attributes = served.clients.client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["DelaySeconds"]
    )["Attributes"]
    assert attributes["DelaySeconds"] == "7"
    served.delete(stack_id)


def test_a_location_is_the_url_of_a_template(served: Served) -> None:
    s3, bucket = served.clients.client("s3"), f"templates-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="child.json", Body=json.dumps(CHILD))

    created(served, f"https://{bucket}.s3.amazonaws.com/child.json")


def test_a_location_is_a_published_application(served: Served) -> None:
    published = served.clients.client("serverlessrepo").create_application(
        Name=f"app-{uuid.uuid4().hex[:8]}",
        Author="me",
        Description="It is one.",
        TemplateBody=json.dumps(CHILD),
        SemanticVersion="1.2.0",
    )
    application_id = published["ApplicationId"]
    created(served, {"ApplicationId": application_id, "SemanticVersion": "1.2.0"})

    with pytest.raises(ClientError, match=r"failed with.*does not exist"):
        created(served, {"ApplicationId": application_id, "SemanticVersion": "9.9.9"})
