"""Other users, containers and other machines need the sandbox's access key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import pytest
import urllib3
from botocore import auth
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.access.keys import AccessKey
from sandbox.clients import CREDENTIALS, REGION, Clients
from sandbox.server import Server

from .relay import (
    address_for_containers,
    by_another_user,
    from_a_container,
    needs_namespaces,
    needs_root,
)

WRONG = AccessKey(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])

CALLS = [
    ("cloudformation", "list_stacks", "InvalidClientTokenId"),
    ("dynamodb", "list_tables", "UnrecognizedClientException"),
    ("ec2", "describe_instances", "AuthFailure"),
    ("lambda", "list_functions", "UnrecognizedClientException"),
    ("s3", "list_buckets", "InvalidAccessKeyId"),
    ("sqs", "list_queues", "UnrecognizedClientException"),
    ("sts", "get_caller_identity", "InvalidClientTokenId"),
]


@contextmanager
def of_another_user() -> Iterator[tuple[Server, str]]:
    with Server() as server, by_another_user(port_of(server)) as endpoint:
        yield server, endpoint


@contextmanager
def of_a_container() -> Iterator[tuple[Server, str]]:
    with (
        address_for_containers() as address,
        Server(host=address) as server,
        from_a_container(port_of(server)) as endpoint,
    ):
        yield server, endpoint


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(of_another_user, marks=needs_root),
        pytest.param(of_a_container, marks=needs_namespaces),
    ],
)
def foreign(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    """A sandbox, and an endpoint at which it sees foreign requests."""
    with ExitStack() as parts:
        yield parts.enter_context(request.param())


def port_of(server: Server) -> int:
    port = urlsplit(server.endpoint).port
    assert port is not None
    return port


def client(endpoint: str, key: AccessKey, service: Any) -> Any:
    session = boto3.Session(key.key_id, key.secret, region_name=REGION)
    # S3's signature of the form that the others have.
    config = Config(s3={"addressing_style": "path"}, signature_version="s3v4")
    return session.client(
        service, endpoint_url=endpoint, config=config if service == "s3" else Config()
    )


def test_each_sandbox_has_a_key_of_its_own() -> None:
    one, other = AccessKey.new(), AccessKey.new()

    assert one.key_id != other.key_id
    assert (len(one.key_id), len(one.secret)) == (20, 40)
    assert one.secret not in repr(one)


@pytest.mark.parametrize(("service", "call", "code"), CALLS)
def test_calls_need_the_key(
    foreign: tuple[Server, str], service: str, call: str, code: str
) -> None:
    server, endpoint = foreign
    for key in (WRONG, AccessKey(server.key.key_id, WRONG.secret)):
        with pytest.raises(ClientError) as refused:
            getattr(client(endpoint, key, service), call)()
        assert refused.value.response["Error"]["Code"] == code

    answer = getattr(client(endpoint, server.key, service), call)()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("path", ["/", "/sandbox/messages", "/sandbox/faults", "/moto-api/reset"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_not_signed_is_refused(foreign: tuple[Server, str], method: str, path: str) -> None:
    _, endpoint = foreign

    assert urllib3.request(method, f"{endpoint}{path}", body=b"{}").status == 403


def test_objects_and_signed_urls_are_read_with_the_key(foreign: tuple[Server, str]) -> None:
    server, endpoint = foreign
    s3, wrong = client(endpoint, server.key, "s3"), client(endpoint, WRONG, "s3")
    place = {"Bucket": "signed", "Key": "a key/with spaces+and ünïcode?&=.txt"}

    s3.create_bucket(Bucket="signed")
    s3.put_object(**place, Body=b"body", Metadata={"by": "test"})
    url = s3.generate_presigned_url("get_object", place)

    assert s3.get_object(**place)["Body"].read() == b"body"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="signed")["Contents"]] == [
        place["Key"]
    ]
    assert urllib3.request("GET", url).data == b"body"
    assert urllib3.request("GET", f"{url}&versionId=1").status == 403
    assert urllib3.request("PUT", url, body=b"other").status == 403
    assert urllib3.request("GET", wrong.generate_presigned_url("get_object", place)).status == 403
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        wrong.put_object(**place, Body=b"other")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_request_that_was_signed_at_another_time_is_refused(
    foreign: tuple[Server, str], minutes: int
) -> None:
    server, endpoint = foreign
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    sts = client(endpoint, server.key, "sts")
    with (
        patch.object(auth, "get_current_datetime", return_value=moment),
        pytest.raises(ClientError, match="InvalidClientTokenId"),
    ):
        sts.get_caller_identity()


def test_a_response_is_put_without_the_key(foreign: tuple[Server, str]) -> None:
    """A custom resource's function signs nothing: the URL has a signature of its own."""
    _, endpoint = foreign

    assert urllib3.request("PUT", f"{endpoint}/sandbox/responses/any", body=b"{}").status == 200
    forged = f"{endpoint}/cloudformation-custom-resource-response-us-east-1/key?X-Amz-Signature=0"
    answer = urllib3.request("PUT", forged, body=b"{}")
    assert (answer.status, b"SignatureDoesNotMatch" in answer.data) == (403, True)


def test_the_user_who_runs_it_needs_no_key(foreign: tuple[Server, str]) -> None:
    server, _ = foreign

    assert Clients(server.endpoint).cloudformation.list_stacks()["StackSummaries"] == []
