"""Answers that can't be read, as a real client gets them from a real server."""

import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from instance_bundle import aws
from instance_bundle.aws import clients
from instance_bundle.errors import NothingDone, PassingFault

KEY = {"resource": {"S": "r"}, "item": {"S": "i"}}
PAGE = b"<html><body><p>Sign in to the proxy</p></body></html>"
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Server(ThreadingHTTPServer):
    """Answers each request with the one body."""

    body: bytes = b""
    declared: int | None = None
    etag: bool = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        declared, body = self.server.declared, self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        if self.server.etag:
            self.send_header("ETag", '"0123456789abcdef"')
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = handle_any  # noqa: N815  the names are http.server's

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def only_server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(only_server: Server) -> Server:
    only_server.body, only_server.declared, only_server.etag = b"", None, False
    return only_server


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@cache
def client(service: Any, server: Server) -> Any:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return clients._within_limits(boto3.client(service, endpoint_url=url, config=clients._REPEATED))


CALLS: dict[str, tuple[str, Callable[[Any], Any], bytes]] = {
    "ec2:DescribeInstances": (
        "ec2",
        lambda ec2: ec2.describe_instances(),
        XML + b"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>",
    ),
    "ec2:CreateTags": (
        "ec2",
        lambda ec2: ec2.create_tags(Resources=["ami-1"], Tags=[]),
        XML + b"<CreateTagsResponse><return>true</return></CreateTagsResponse>",
    ),
    "cloudformation:DescribeStacks": (
        "cloudformation",
        lambda cloudformation: cloudformation.describe_stacks(StackName="web"),
        XML + b"<DescribeStacksResponse><DescribeStacksResult><Stacks/></DescribeStacksResult>"
        b"</DescribeStacksResponse>",
    ),
    "cloudformation:DescribeStackEvents": (
        "cloudformation",
        lambda cloudformation: cloudformation.describe_stack_events(StackName="web"),
        XML + b"<DescribeStackEventsResponse><DescribeStackEventsResult><StackEvents/>"
        b"</DescribeStackEventsResult></DescribeStackEventsResponse>",
    ),
    "cloudformation:DescribeStackResource": (
        "cloudformation",
        lambda cloudformation: cloudformation.describe_stack_resource(
            StackName="web", LogicalResourceId="Bundle"
        ),
        XML + b"<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail/>"
        b"</DescribeStackResourceResult></DescribeStackResourceResponse>",
    ),
    "s3:ListObjectsV2": (
        "s3",
        lambda s3: s3.list_objects_v2(Bucket="images"),
        XML + b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>",
    ),
    "s3:DeleteObjects": (
        "s3",
        lambda s3: s3.delete_objects(Bucket="images", Delete={"Objects": [{"Key": "a"}]}),
        XML + b"<DeleteResult></DeleteResult>",
    ),
    "dynamodb:GetItem": (
        "dynamodb",
        lambda dynamodb: dynamodb.get_item(TableName="ledger", Key=KEY),
        b"{}",
    ),
    "dynamodb:PutItem": (
        "dynamodb",
        lambda dynamodb: dynamodb.put_item(TableName="ledger", Item=KEY),
        b"{}",
    ),
    "sqs:SendMessageBatch": (
        "sqs",
        lambda sqs: sqs.send_message_batch(QueueUrl="https://sqs/1/polls", Entries=[]),
        b'{"Successful": []}',
    ),
    "secretsmanager:GetSecretValue": (
        "secretsmanager",
        lambda secrets: secrets.get_secret_value(SecretId="bundles"),
        b'{"SecretString": "{}"}',
    ),
    "events:PutEvents": (
        "events",
        lambda events: events.put_events(Entries=[{"Source": "cfn-instance-bundle"}]),
        b'{"FailedEntryCount": 0, "Entries": []}',
    ),
}


@pytest.mark.parametrize("action", CALLS)
def test_an_answer_that_can_be_read_is_one(server: Server, action: str) -> None:
    service, call, server.body = CALLS[action]

    with aws.calling(action):
        call(client(service, server))


@pytest.mark.parametrize("how", ["empty", "truncated", "cut off", "a page", "no text"])
@pytest.mark.parametrize("action", CALLS)
def test_an_answer_that_can_not_be_read_is_a_passing_fault_after_which_all_may_be_done(
    server: Server, action: str, how: str
) -> None:
    service, call, good = CALLS[action]
    server.body = {
        "empty": b"",
        "truncated": good[:-1],
        "cut off": good[:-1],
        "a page": PAGE,
        "no text": b"\xff\xfe\x00",
    }[how]
    if how == "cut off":
        server.declared = len(good)

    with pytest.raises(PassingFault) as raised, aws.calling(action):
        call(client(service, server))

    assert not isinstance(raised.value, NothingDone)


@pytest.mark.parametrize("how", ["whole", "cut off", "with no ETag"])
def test_an_object_is_read_whole_or_not_at_all(server: Server, how: str) -> None:
    server.body = PAGE
    server.declared = len(PAGE) + (how == "cut off")
    server.etag = how != "with no ETag"

    def read() -> bytes:
        with aws.calling("s3:GetObject"):
            body: bytes = client("s3", server).get_object(Bucket="b", Key="k")["Body"].read()
            return body

    if how == "whole":
        assert read() == PAGE
    else:
        with pytest.raises(PassingFault):
            read()
