"""The Serverless Application Repository, as far as `sam publish` takes it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloudformation.serving import Served

TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Days": {"Type": "Number", "Default": 30, "Description": "How long."}},
    "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {}}},
}


@pytest.fixture
def repository(served: Served) -> Any:
    return served.clients.client("serverlessrepo")


def publish(repository: Any, resources: Any = None, **more: Any) -> dict[str, Any]:
    """Publish an application of any name."""
    template = {**TEMPLATE, **({"Resources": resources} if resources else {})}
    given = {"Name": f"app-{uuid.uuid4().hex[:8]}", "Author": "me", "Description": "It is one."}
    published: dict[str, Any] = repository.create_application(
        **{**given, "TemplateBody": json.dumps(template), "SemanticVersion": "1.0.0", **more}
    )
    return published


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_application_is_described_as_it_was_published(repository: Any) -> None:
    made = publish(repository, Labels=["one"], SpdxLicenseId="Apache-2.0")

    found = repository.get_application(ApplicationId=made["ApplicationId"])

    name = made["Name"]
    assert made["ApplicationId"] == (
        f"arn:aws:serverlessrepo:us-east-1:123456789012:applications/{name}"
    )
    shown = {
        key: found[key] for key in ("Name", "Author", "Description", "Labels", "SpdxLicenseId")
    }
    assert shown == {
        "Name": name,
        "Author": "me",
        "Description": "It is one.",
        "Labels": ["one"],
        "SpdxLicenseId": "Apache-2.0",
    }
    assert found["Version"]["SemanticVersion"] == "1.0.0"
    assert found["Version"]["ParameterDefinitions"] == [
        {
            "Name": "Days",
            "Type": "Number",
            "DefaultValue": "30",
            "Description": "How long.",
            "ReferencedByResources": [],
        }
    ]


@pytest.mark.parametrize(
    ("kinds", "required"),
    [
        (["AWS::SQS::Queue"], []),
        (["AWS::IAM::Role"], ["CAPABILITY_IAM"]),
        (["AWS::SQS::QueuePolicy"], ["CAPABILITY_RESOURCE_POLICY"]),
        (["AWS::IAM::Policy"], ["CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"]),
        (["AWS::Serverless::Application"], ["CAPABILITY_AUTO_EXPAND"]),
    ],
)
def test_the_capabilities_are_those_that_the_resources_need(
    repository: Any, kinds: list[str], required: list[str]
) -> None:
    resources = {f"Resource{number}": {"Type": kind} for number, kind in enumerate(kinds)}

    assert publish(repository, resources)["Version"]["RequiredCapabilities"] == required


def test_a_name_that_is_taken_is_a_conflict_that_names_the_application(repository: Any) -> None:
    made = publish(repository)

    with pytest.raises(ClientError) as refused:
        publish(repository, Name=made["Name"])

    code, message = code_of(refused)
    assert code == "ConflictException"
    assert made["ApplicationId"] in message.split()


def test_versions_are_added_and_distinct(repository: Any) -> None:
    application = publish(repository)["ApplicationId"]
    again = {"ApplicationId": application, "TemplateBody": json.dumps(TEMPLATE)}

    repository.create_application_version(**again, SemanticVersion="1.1.0")

    latest = repository.get_application(ApplicationId=application)
    first = repository.get_application(ApplicationId=application, SemanticVersion="1.0.0")
    assert latest["Version"]["SemanticVersion"] == "1.1.0"
    assert first["Version"]["SemanticVersion"] == "1.0.0"
    with pytest.raises(ClientError) as refused:
        repository.create_application_version(**again, SemanticVersion="1.1.0")
    assert code_of(refused)[0] == "ConflictException"
    with pytest.raises(ClientError) as missing:
        repository.get_application(ApplicationId=application, SemanticVersion="2.0.0")
    assert code_of(missing)[0] == "NotFoundException"


def test_an_update_changes_what_it_names(repository: Any) -> None:
    application = publish(repository, Labels=["one"])["ApplicationId"]

    repository.update_application(ApplicationId=application, Description="It is another.")

    found = repository.get_application(ApplicationId=application)
    assert (found["Description"], found["Labels"]) == ("It is another.", ["one"])


def test_an_application_that_is_not_there_is_not_found(repository: Any) -> None:
    missing = "arn:aws:serverlessrepo:us-east-1:123456789012:applications/none"

    with pytest.raises(ClientError) as refused:
        repository.get_application(ApplicationId=missing)

    assert code_of(refused)[0] == "NotFoundException"


def test_an_artifact_that_is_not_there_is_refused(served: Served, repository: Any) -> None:
    bucket = f"artifacts-{uuid.uuid4().hex[:12]}"
    served.clients.s3.create_bucket(Bucket=bucket)
    code = {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": f"s3://{bucket}/code"}}

    with pytest.raises(ClientError) as refused:
        publish(repository, {"Function": code})

    assert code_of(refused) == (
        "BadRequestException",
        f"Failed to copy S3 object. Access denied: bucket={bucket}, key=code",
    )
    served.clients.s3.put_object(Bucket=bucket, Key="code", Body=b"")
    assert publish(repository, {"Function": code})["Version"]["SemanticVersion"] == "1.0.0"
