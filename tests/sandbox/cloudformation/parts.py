"""Parts of templates with a function, its role, and a queue that it polls."""

from __future__ import annotations

from typing import Any

Part = dict[str, Any]

POLLING = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def document(*actions: str, resource: Any = "*", **more: Any) -> Part:
    """A policy that allows these actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def role(*documents: Part, **more: Any) -> Part:
    """A role with these inline policies."""
    policies = [
        {"PolicyName": f"inline-{number}", "PolicyDocument": written}
        for number, written in enumerate(documents)
    ]
    properties = {"AssumeRolePolicyDocument": TRUST, "Policies": policies, **more}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def policy(written: Part, *roles: str, **more: Any) -> Part:
    """A policy of its own, of roles."""
    properties = {
        "PolicyName": more.pop("PolicyName", "separate"),
        "PolicyDocument": written,
        "Roles": [{"Ref": name} for name in roles],
    }
    return {"Type": "AWS::IAM::Policy", "Properties": properties, **more}


def function(role: str = "Role", **more: Any) -> Part:
    """A function, by default with a timeout of 3 s."""
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": [role, "Arn"]},
        "Code": {"ZipFile": "handler = print"},
        **more,
    }
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def queue(**properties: Any) -> Part:
    """A queue, by default with a visibility timeout of 30 s."""
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def mapping(**more: Any) -> Part:
    """`Function` polls `Queue`."""
    depends_on = more.pop("DependsOn", [])
    properties = {
        "FunctionName": {"Ref": "Function"},
        "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
        **more,
    }
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": depends_on,
        "Properties": properties,
    }


def invoke_config(destination: Any, **more: Any) -> Part:
    """Failed events of `Function` go to a destination."""
    properties = {
        "FunctionName": {"Ref": "Function"},
        "Qualifier": "$LATEST",
        "DestinationConfig": {"OnFailure": {"Destination": destination}},
    }
    return {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": properties, **more}
