"""Answers have the members that the models of AWS's APIs say, and no other."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.functions.conftest import package
from tests.signed import Answer, send, target


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Server(iam_delay=0) as server:
        yield Clients(server.endpoint)


@pytest.fixture(scope="module")
def function(clients: Clients) -> str:
    """The name of a function."""
    role = clients.client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    name = f"judged-{uuid.uuid4().hex[:12]}"
    clients.functions.create_function(
        FunctionName=name,
        Handler="app.echo",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": package()},
    )
    return name


def _sent(clients: Clients, service: str, name: str, **members: Any) -> Answer:
    body = json.dumps(members).encode()
    return send(clients.endpoint, service, body, target(name))


def test_an_answer_of_the_json_protocol_has_its_content_type(clients: Clients) -> None:
    answer = _sent(clients, "events", "AWSEvents.ListRules")
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"


def test_a_rule_has_no_member_of_motos_own(clients: Clients) -> None:
    clients.client("events").put_rule(Name="rule", ScheduleExpression="rate(1 day)")
    answer = json.loads(_sent(clients, "events", "AWSEvents.ListRules").body)
    assert {*answer} == {"Rules"}
    assert "CreatedBy" not in answer["Rules"][0]


def test_a_call_that_answers_nothing_has_no_body(clients: Clients) -> None:
    key = clients.client("kms").create_key()["KeyMetadata"]["KeyId"]
    answer = _sent(clients, "kms", "TrentService.EnableKey", KeyId=key)
    assert (answer.status, answer.body) == (200, b"")


def test_a_function_has_no_member_that_is_null(clients: Clients, function: str) -> None:
    path = f"/2015-03-31/functions/{function}/configuration"
    answer = send(clients.endpoint, "lambda", method="GET", path=path)
    assert None not in json.loads(answer.body).values()


def test_a_mapping_is_accepted_and_has_no_tags_of_its_own(clients: Clients, function: str) -> None:
    """ "HTTP 202" (https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html)."""
    sqs, iam = clients.client("sqs"), clients.client("iam")
    statement = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="role", PolicyName="queues", PolicyDocument=policy)
    queue = sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]

    made: Any = clients.functions.create_event_source_mapping(
        FunctionName=function, EventSourceArn=arn["QueueArn"], Enabled=False
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    path = f"/2015-03-31/event-source-mappings/{made['UUID']}"
    answer = send(clients.endpoint, "lambda", method="GET", path=path)
    assert "Tags" not in json.loads(answer.body)


def test_an_object_has_no_header_of_the_request(clients: Clients) -> None:
    s3 = clients.s3
    s3.create_bucket(Bucket="bucket-of-objects")
    put = s3.put_object(Bucket="bucket-of-objects", Key="a", Body=b"text", Tagging="a=b")
    got = s3.get_object(Bucket="bucket-of-objects", Key="a")
    got["Body"].close()
    headers = {**put["ResponseMetadata"]["HTTPHeaders"], **got["ResponseMetadata"]["HTTPHeaders"]}
    assert {"x-amz-content-sha256", "x-amz-sdk-checksum-algorithm"} & {*headers} == set()
    assert "x-amz-tagging-count" not in put["ResponseMetadata"]["HTTPHeaders"]
    assert got["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"


def test_a_statement_of_a_policy_is_added_once(clients: Clients, function: str) -> None:
    """ "The statement id (...) provided already exists": ResourceConflictException, HTTP 409
    (https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html)."""

    def add() -> None:
        clients.functions.add_permission(
            FunctionName=function,
            StatementId="one",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )

    add()
    with pytest.raises(ClientError, match="provided already exists") as refused:
        add()
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
