"""Errors with a code, words and a status of one's own, in the form of the called service."""

import json
import uuid
from pathlib import Path

import pytest
import urllib3
from botocore.exceptions import ClientError

from tests.sandbox.faults.conftest import Sandbox, deployed
from tests.sandbox.faults.test_faults import SERVICES, Service, puts_of, status_of
from tests.sandbox.functions.conftest import wait_for

TIMEOUT = {
    "code": "RequestTimeout",
    "status": 400,
    "message": "Your socket connection to the server was not read from or written to within the "
    "timeout period.",
}


@pytest.mark.parametrize("service", SERVICES)
def test_the_error_has_its_code_words_and_status_and_nothing_is_done(
    sandbox: Sandbox, service: Service
) -> None:
    called = service(sandbox)
    sandbox.set(
        called.call, "refuse", code="Client.InternalError", message="Not <now> & here", status=503
    )
    with pytest.raises(ClientError) as refusal:
        called.make()
    assert refusal.value.response["Error"]["Code"] == "Client.InternalError"
    assert refusal.value.response["Error"]["Message"] == "Not <now> & here"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert not called.is_made()
    called.make()
    assert called.is_made()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RequestTimeout", 400),
        ("OperationAborted", 409),
        ("InternalError", 500),
        ("SlowDown", 503),
        ("ServiceUnavailable", 503),
    ],
)
def test_s3_refuses_with_the_codes_of_its_list(sandbox: Sandbox, code: str, status: int) -> None:
    s3, bucket = sandbox.client("s3"), uuid.uuid4().hex
    s3.create_bucket(Bucket=bucket)
    sandbox.set("s3:PutObject", "refuse", code=code, status=status)
    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket=bucket, Key="key", Body=b"content")
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ConcurrentSnapshotLimitExceeded", 400),
        ("InternalError", 500),
        ("RequestLimitExceeded", 503),
        ("Unavailable", 503),
    ],
)
def test_ec2_refuses_with_the_codes_of_its_list(sandbox: Sandbox, code: str, status: int) -> None:
    sandbox.set("ec2:DescribeVpcs", "refuse", code=code, status=status)
    with pytest.raises(ClientError) as refusal:
        sandbox.client("ec2").describe_vpcs()
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "ItemCollectionSizeLimitExceededException",
        "TransactionConflictException",
    ],
)
def test_dynamodb_refuses_with_the_codes_of_its_list(sandbox: Sandbox, code: str) -> None:
    sandbox.set("dynamodb:GetItem", "refuse", code=code)
    with pytest.raises(ClientError) as refusal:
        sandbox.client("dynamodb").get_item(TableName="table", Key={"id": {"S": "item"}})
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_answer_of_a_custom_resource_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    function = deployed(sandbox, "put", tmp_path / "record.jsonl")
    stack = f"stack-{uuid.uuid4().hex}"
    sandbox.set("response:Put", "refuse", about=stack, **TIMEOUT)
    resource = {"Type": "Custom::Thing", "Properties": {"ServiceToken": function.arn}}
    sandbox.client("cloudformation").create_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": {"Custom": resource}})
    )
    wait_for(lambda: status_of(sandbox, stack) == "CREATE_COMPLETE")
    assert wait_for(lambda: puts_of(function, 2)) == [400, 200]


def test_a_signal_is_refused(sandbox: Sandbox) -> None:
    stack = f"stack-{uuid.uuid4().hex}"
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    cloudformation = sandbox.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack, TemplateBody=json.dumps({"Resources": {"Handle": handle}})
    )
    wait_for(lambda: status_of(sandbox, stack) == "CREATE_COMPLETE")
    [resource] = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    signal = json.dumps({"Status": "SUCCESS", "UniqueId": "1", "Data": "", "Reason": ""})
    sandbox.set("signal:Put", "refuse", **TIMEOUT)

    refused, taken = (
        urllib3.request("PUT", resource["PhysicalResourceId"], body=signal) for _ in range(2)
    )

    assert refused.status == 400
    assert b"<Error><Code>RequestTimeout</Code><Message>Your socket" in refused.data
    assert taken.status == 200


@pytest.mark.parametrize(
    ("fault", "more", "message"),
    [
        ("refuse", {}, "code is missing.*such as RequestTimeout"),
        ("refuse", {"code": "Not a code"}, 'code is "Not a code".*such as RequestTimeout'),
        ("refuse", {"code": "Code", "message": 1}, "message is 1.*text"),
        ("refuse", {"code": "Code", "status": 200}, "status is 200.*from 400 to 599"),
        ("refuse", {"code": "Code", "status": 600}, "status is 600.*from 400 to 599"),
        ("refuse", {"code": "Code", "body": "empty"}, "body is for garble only"),
        ("fail", {"code": "Code"}, "code is for refuse only"),
        ("deny", {"message": "No"}, "message is for refuse only"),
        ("throttle", {"status": 429}, "status is for refuse only"),
        ("garble", {"body": "half"}, 'body is "half".*empty, truncated, cut-short, unreadable'),
    ],
)
def test_what_is_not_right_is_refused_with_the_reason(
    sandbox: Sandbox, fault: str, more: dict[str, object], message: str
) -> None:
    body = json.dumps({"call": "s3:PutObject", "fault": fault, **more}).encode()
    answer = sandbox.request("POST", body=body)
    assert answer.status == 400
    with pytest.raises(ValueError, match=message):
        raise ValueError(answer.data.decode())
    assert sandbox.shown() == []
