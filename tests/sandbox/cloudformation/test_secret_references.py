"""Dynamic references to secure strings and secrets, in properties of AWS's own types."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.rds.models import rds_backends

from tests.sandbox.cloudformation.support import ACCOUNT, REGION, Sandbox

WHOLE = json.dumps({"user": "ada", "pin": 17})


def body(value: Any, **more: Any) -> str:
    properties = {"Name": "copy", "Type": "String", "Value": value, **more}
    resources = {"Copy": {"Type": "AWS::SSM::Parameter", "Properties": properties}}
    return json.dumps({"Resources": resources})


def copied(sandbox: Sandbox) -> str:
    """What the resource has as its value."""
    parameter = sandbox.aws("ssm").get_parameter(Name="copy")["Parameter"]
    value: str = parameter["Value"]
    return value


@pytest.fixture
def secret(sandbox: Sandbox) -> str:
    """A secret of two versions; its ARN."""
    client = sandbox.aws("secretsmanager")
    old = json.dumps({"user": "bob"})
    arn: str = client.create_secret(Name="db", SecretString=old)["ARN"]
    client.put_secret_value(SecretId="db", SecretString=WHOLE)
    return arn


def version(sandbox: Sandbox, stage: str) -> str:
    stages = sandbox.aws("secretsmanager").describe_secret(SecretId="db")["VersionIdsToStages"]
    return next(str(name) for name, has in stages.items() if stage in has)


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("db", WHOLE),
        ("db:SecretString", WHOLE),
        ("db:SecretString:user", "ada"),
        ("db:SecretString:pin", "17"),
        ("db:SecretString:user:AWSPREVIOUS", "bob"),
        ("db:SecretString:user::{AWSPREVIOUS}", "bob"),
        ("{arn}", WHOLE),
        ("{arn}:SecretString:user::", "ada"),
    ],
)
def test_a_property_is_the_secrets_value(
    sandbox: Sandbox, secret: str, reference: str, value: str
) -> None:
    known = reference.replace("{arn}", secret)
    known = known.replace("{AWSPREVIOUS}", version(sandbox, "AWSPREVIOUS"))
    written = f"{{{{resolve:secretsmanager:{known}}}}}"
    sandbox.finish(body(f"<{written}>"), "CREATE_COMPLETE")

    assert copied(sandbox) == f"<{value}>"
    events = sandbox.client.describe_stack_events(StackName="shop")["StackEvents"]
    shown = [event["ResourceProperties"] for event in events if "ResourceProperties" in event]
    assert shown
    assert all(json.loads(each)["Value"] == f"<{written}>" for each in shown)


def test_a_reference_is_read_once_what_it_refers_to_is_there(sandbox: Sandbox, secret: str) -> None:
    template = json.loads(body({"Fn::Sub": "{{resolve:secretsmanager:${Name}:SecretString:user}}"}))
    template["Resources"]["Name"] = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "db", "Type": "String", "Value": "nothing"},
    }
    sandbox.finish(json.dumps(template), "CREATE_COMPLETE")

    assert copied(sandbox) == "ada"


def test_another_secret_counts_when_something_else_changes(sandbox: Sandbox, secret: str) -> None:
    reference = "{{resolve:secretsmanager:db:SecretString:user}}"
    sandbox.finish(body(reference), "CREATE_COMPLETE")
    sandbox.aws("secretsmanager").put_secret_value(
        SecretId=secret, SecretString=json.dumps({"user": "eve"})
    )
    with pytest.raises(ClientError, match="No updates are to be performed"):
        sandbox.client.update_stack(StackName="shop", TemplateBody=body(reference))
    assert copied(sandbox) == "ada"

    sandbox.client.update_stack(StackName="shop", TemplateBody=body(reference, Description="new"))
    sandbox.until("UPDATE_COMPLETE")
    assert copied(sandbox) == "eve"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nothing", "Secrets Manager can't find the specified secret. (Service: AWSSecretsManager"),
        ("db:SecretString:port", "Could not find a value associated with JSONKey in SecretString"),
        ("db:SecretString:user:LATER", "ResourceNotFoundException"),
        ("db:SecretBinary", "SecretBinary is not SecretString"),
    ],
)
def test_a_resource_fails_without_the_value(
    sandbox: Sandbox, secret: str, reference: str, reason: str
) -> None:
    sandbox.finish(body(f"{{{{resolve:secretsmanager:{reference}}}}}"), "ROLLBACK_COMPLETE")

    assert reason in sandbox.reason("Copy", "CREATE_FAILED")


def database(password: str) -> str:
    properties = {
        "DBInstanceIdentifier": "db",
        "DBInstanceClass": "db.t3.micro",
        "Engine": "mysql",
        "AllocatedStorage": "20",
        "MasterUsername": "ada",
        "MasterUserPassword": password,
    }
    resource = {"Type": "AWS::RDS::DBInstance", "Properties": properties}
    return json.dumps({"Resources": {"Database": resource}})


def test_some_properties_take_secure_strings(sandbox: Sandbox) -> None:
    ssm = sandbox.aws("ssm")
    ssm.put_parameter(Name="pw", Value="first-secret", Type="SecureString")
    ssm.put_parameter(Name="pw", Value="second-secret", Type="SecureString", Overwrite=True)
    sandbox.finish(database("{{resolve:ssm-secure:pw:1}}"), "CREATE_COMPLETE")

    stored = rds_backends[ACCOUNT][REGION].databases["db"]
    assert "first-secret" in vars(stored).values()
    sandbox.client.update_stack(
        StackName="shop", TemplateBody=database("{{resolve:ssm-secure:missing}}")
    )
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert "missing] cannot be found" in sandbox.reason("Database", "UPDATE_FAILED")


def test_other_properties_refuse_secure_strings(sandbox: Sandbox) -> None:
    words = "SSM Secure reference is not supported in: [AWS::SSM::Parameter/Properties/Value]"
    with pytest.raises(ClientError, match=re.escape(words)):
        sandbox.create(body("{{resolve:ssm-secure:pw:1}}"))


def test_references_of_all_kinds_count(sandbox: Sandbox, secret: str) -> None:
    with pytest.raises(ClientError, match="60 dynamic references"):
        sandbox.create(body("{{resolve:secretsmanager:db}}" * 61))
