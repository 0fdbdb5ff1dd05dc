"""Answers that no SDK can read: what botocore makes of each, in the retry mode of the functions."""

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from sandbox.clients import CREDENTIALS, REGION
from tests.sandbox.faults.conftest import Sandbox
from tests.sandbox.faults.test_faults import (
    S3,
    SERVICES,
    CloudFormation,
    DynamoDb,
    Ec2,
    Service,
    Sqs,
)

BODIES = ("empty", "truncated", "cut-short", "unreadable")


class Account:
    """Clients that retry, and something to read of each service."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.endpoint = sandbox.endpoint
        self.name = uuid.uuid4().hex
        self.clients: dict[str, Any] = {}
        self.client("dynamodb").create_table(
            TableName=self.name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.item = {"id": {"S": "item"}}
        self.client("dynamodb").put_item(TableName=self.name, Item=self.item)
        self.queue = self.client("sqs").create_queue(QueueName=self.name)["QueueUrl"]
        self.client("s3").create_bucket(Bucket=self.name)
        self.client("s3").put_object(Bucket=self.name, Key="key", Body=b"content")
        self.client("secretsmanager").create_secret(Name=self.name, SecretString="{}")

    def client(self, service: str) -> Any:
        if service not in self.clients:
            session = boto3.Session(
                aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            )
            self.clients[service] = session.client(
                service,  # type: ignore[call-overload]  # any service
                endpoint_url=self.endpoint,
                config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
            )
        return self.clients[service]

    def call(self, name: str) -> Any:
        """Make a call; its answer without the metadata."""
        calls: dict[str, Callable[[], Any]] = {
            "ec2:DescribeBundleTasks": lambda: self.client("ec2").describe_bundle_tasks(),
            "dynamodb:GetItem": lambda: self.client("dynamodb").get_item(
                TableName=self.name, Key=self.item
            ),
            "sqs:SendMessage": lambda: self.client("sqs").send_message(
                QueueUrl=self.queue, MessageBody="body"
            ),
            "secretsmanager:GetSecretValue": lambda: self.client("secretsmanager").get_secret_value(
                SecretId=self.name
            ),
            "events:PutEvents": lambda: self.client("events").put_events(
                Entries=[{"Source": "source", "DetailType": "type", "Detail": "{}"}]
            ),
            "s3:ListObjectsV2": lambda: self.client("s3").list_objects_v2(Bucket=self.name),
            "s3:GetObject": lambda: {
                "Body": self.client("s3").get_object(Bucket=self.name, Key="key")["Body"].read()
            },
        }
        answer = calls[name]()
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


@pytest.fixture(scope="module")
def account(server: Sandbox) -> Account:
    """One for all tests: none changes what another one reads."""
    return Account(server)


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_in_xml_of_ec2_is_not_retried_and_raises_a_parser_error(
    account: Account, sandbox: Sandbox, body: str
) -> None:
    sandbox.set("ec2:DescribeBundleTasks", "garble", body=body, times=9)
    with pytest.raises(ResponseParserError):
        account.call("ec2:DescribeBundleTasks")
    [fault] = sandbox.shown()
    assert fault["seen"] == 1


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "call",
    ["dynamodb:GetItem", "sqs:SendMessage", "secretsmanager:GetSecretValue", "events:PutEvents"],
)
def test_an_answer_in_json_becomes_one_with_no_members(
    account: Account, sandbox: Sandbox, call: str, body: str
) -> None:
    assert account.call(call)
    sandbox.set(call, "garble", body=body, times=9)
    assert account.call(call) == {}


@pytest.mark.parametrize(("body", "tries"), [("truncated", 2), ("unreadable", 1)])
def test_an_answer_of_dynamodb_with_another_checksum_is_retried_then_taken(
    account: Account, sandbox: Sandbox, body: str, tries: int
) -> None:
    sandbox.set("dynamodb:GetItem", "garble", body=body, times=9)
    assert account.call("dynamodb:GetItem") == {}
    [fault] = sandbox.shown()
    assert fault["seen"] == tries


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("empty", FlexibleChecksumError),
        ("truncated", FlexibleChecksumError),
        ("cut-short", ResponseStreamingError),
    ],
)
def test_an_object_of_s3_that_is_not_whole_is_noticed(
    account: Account, sandbox: Sandbox, body: str, error: type[Exception]
) -> None:
    sandbox.set("s3:GetObject", "garble", body=body, times=9)
    with pytest.raises(error):
        account.call("s3:GetObject")


def test_another_page_in_the_place_of_an_object_is_not_noticed(
    account: Account, sandbox: Sandbox
) -> None:
    sandbox.set("s3:GetObject", "garble", body="unreadable")
    assert account.call("s3:GetObject")["Body"].startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("body", ["truncated", "cut-short", "unreadable"])
def test_an_answer_in_xml_of_s3_is_taken_for_an_internal_error(
    account: Account, sandbox: Sandbox, body: str
) -> None:
    sandbox.set("s3:ListObjectsV2", "garble", body=body, times=9)
    with pytest.raises(ClientError) as error:
        account.call("s3:ListObjectsV2")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    [fault] = sandbox.shown()
    assert fault["seen"] == 2


def test_an_empty_list_of_s3_looks_like_an_empty_bucket(account: Account, sandbox: Sandbox) -> None:
    sandbox.set("s3:ListObjectsV2", "garble", body="empty")
    assert account.call("s3:ListObjectsV2") == {}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("service", SERVICES)
def test_a_garbled_call_is_carried_out_unless_a_proxy_answers(
    sandbox: Sandbox, service: Service, body: str
) -> None:
    called = service(sandbox)
    sandbox.set(called.call, "garble", body=body)
    in_xml = service in (Ec2, CloudFormation)
    if in_xml:
        with pytest.raises(ResponseParserError):
            called.make()
    elif service is S3 and body == "unreadable":
        with pytest.raises(ClientError):
            called.make()
    else:
        assert service in (DynamoDb, Sqs, S3)
        called.make()
    assert called.is_made() == (body != "unreadable")


def test_half_of_the_answer_comes_where_the_fault_names_no_body(sandbox: Sandbox) -> None:
    bucket = uuid.uuid4().hex
    sandbox.client("s3").create_bucket(Bucket=bucket)
    sandbox.client("s3").put_object(Bucket=bucket, Key="key", Body=b"12345678")
    scope = "Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
    fault = sandbox.set("s3:GetObject", "garble")
    assert fault["body"] == "truncated"
    answer = urllib3.request("GET", f"{sandbox.endpoint}/{bucket}/key", headers=headers)
    assert (answer.status, answer.data) == (200, b"1234")
