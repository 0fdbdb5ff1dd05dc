"""What no service would carry out gets an error of AWS's, in the protocol of the request.

The codes are those that AWS documents as common to its services: EC2 API Reference, Error codes for
the Amazon EC2 API; CloudFormation API Reference, Common Errors; Smithy, AWS JSON protocols.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Server
from tests.signed import FORM, Answer, send, target

EC2, STACKS = b"Version=2016-11-15&Action=", b"Version=2010-05-15&Action="
RULE = target("AWSEvents.PutRule")
FUNCTIONS = "/2015-03-31/functions"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with Server() as server:
        yield server.endpoint


def _code(answer: Answer) -> str:
    """The error's code, which is where the protocol has it."""
    assert "html" not in answer.headers.get("content-type", ""), answer
    assert b"<html" not in answer.body
    if "x-amzn-errortype" in answer.headers:
        return answer.headers["x-amzn-errortype"]
    if "json" in answer.headers["content-type"]:
        code: str = json.loads(answer.body)["__type"]
        return code.rpartition("#")[2]
    [found] = re.findall(rb"<Code>(\w+)</Code>", answer.body)
    return str(found.decode())


@pytest.mark.parametrize(
    ("service", "request_", "code"),
    [
        ("ec2", {"headers": FORM, "body": EC2 + b"NoSuchCall"}, "InvalidAction"),
        ("ec2", {"headers": FORM, "body": EC2 + b"DescribeCapacityBlocks"}, "InvalidAction"),
        ("ec2", {"headers": FORM, "body": b"Version=2016-11-15"}, "MissingAction"),
        ("ec2", {"path": "/a/b", "headers": FORM, "body": EC2 + b"DescribeTags"}, "InvalidAction"),
        ("cloudformation", {"headers": FORM, "body": STACKS + b"NoSuchCall"}, "InvalidAction"),
        ("cloudformation", {"headers": FORM, "body": STACKS + b"ListTypes"}, "InvalidAction"),
        ("cloudformation", {"headers": FORM, "body": b"\xff%%%&=&"}, "MissingAction"),
        ("sqs", {"headers": target("AmazonSQS.NoSuchCall")}, "UnknownOperationException"),
        ("sqs", {"headers": FORM, "body": b"Action=NoSuchCall"}, "InvalidAction"),
        ("events", {"headers": target("AWSEvents.NoSuchCall")}, "UnknownOperationException"),
        ("events", {"headers": {"Content-Type": "application/x-amz-json-1.1"}},
         "UnknownOperationException"),
        ("lambda", {"path": "/2015-03-31/nothing"}, "UnknownOperationException"),
        ("lambda", {"path": FUNCTIONS, "method": "PATCH"}, "UnknownOperationException"),
        ("rbin", {"path": "/nothing"}, "UnknownOperationException"),
        ("serverlessrepo", {"path": "/nothing"}, "UnknownOperationException"),
        ("s3", {"path": "/bucket", "method": "PATCH"}, "MethodNotAllowed"),
        ("nothing", {"headers": FORM, "body": b"Action=Do&Version=1"}, "InvalidAction"),
        ("nothing", {"headers": target("Nothing.Do")}, "UnknownOperationException"),
        ("nothing", {"path": "/a", "method": "GET"}, "UnknownOperationException"),
    ],
)  # fmt: skip
def test_an_unknown_call_gets_an_error_in_its_own_protocol(
    endpoint: str, service: str, request_: dict[str, Any], code: str
) -> None:
    answer = send(endpoint, service, **request_)
    assert 400 <= answer.status < 502
    assert _code(answer) == code


@pytest.mark.parametrize(
    ("service", "request_", "code"),
    [
        ("events", {"headers": RULE, "body": b"{"}, "SerializationException"),
        ("events", {"headers": RULE, "body": b"[]"}, "SerializationException"),
        ("sqs", {"headers": target("AmazonSQS.SendMessage"), "body": b"\xff"},
         "SerializationException"),
        ("lambda", {"path": FUNCTIONS, "body": b"{"}, "SerializationException"),
        ("serverlessrepo",
         {"path": "/applications/arn%3Aa%2Fb/versions/1.0.0", "method": "PUT", "body": b"{"},
         "BadRequestException"),
        ("rbin", {"path": "/rules", "body": b"{"}, "ValidationException"),
        ("serverlessrepo", {"path": "/applications", "body": b"{"}, "BadRequestException"),
    ],
)  # fmt: skip
def test_a_body_that_can_not_be_read_is_refused(
    endpoint: str, service: str, request_: dict[str, Any], code: str
) -> None:
    answer = send(endpoint, service, **request_)
    assert (answer.status, _code(answer)) == (400, code)


def test_xml_that_can_not_be_read_is_refused(endpoint: str) -> None:
    send(endpoint, "s3", method="PUT", path="/bucket-of-xml")
    for subresource in ("notification", "versioning", "object-lock"):
        path = f"/bucket-of-xml?{subresource}"
        answer = send(endpoint, "s3", b"<a", method="PUT", path=path)
        assert (answer.status, _code(answer)) == (400, "MalformedXML"), subresource


@pytest.mark.parametrize(
    ("service", "request_", "code"),
    [
        ("ec2", {"headers": FORM, "body": EC2 + b"BundleInstance"}, "MissingParameter"),
        ("ec2", {"headers": FORM, "body": EC2 + b"DescribeImages&ImageID.1=ami-1"},
         "UnknownParameter"),
        ("ec2", {"headers": FORM, "body": EC2 + b"DescribeImages&Filter.1.Nam=a"},
         "UnknownParameter"),
        ("ec2", {"headers": FORM, "body": EC2 + b"DescribeImages&DryRun=maybe"},
         "InvalidParameterValue"),
        ("cloudformation", {"headers": FORM, "body": STACKS + b"CreateStack"}, "ValidationError"),
        ("cloudformation",
         {"headers": FORM, "body": STACKS + b"CreateStack&StackName=a&TimeoutInMinutes=b"},
         "MalformedInput"),
        ("sqs", {"headers": target("AmazonSQS.SendMessage"), "body": b"{}"}, "MissingParameter"),
        ("events", {"headers": RULE, "body": b"{}"}, "ValidationException"),
        ("events", {"headers": target("AWSEvents.PutTargets"),
                    "body": b'{"Rule": "a", "Targets": [{"Id": "a"}]}'}, "ValidationException"),
        ("events", {"headers": RULE, "body": b'{"Name": 5}'},
         "SerializationException"),
        ("lambda", {"path": FUNCTIONS, "body": b"{}"}, "ValidationException"),
    ],
)  # fmt: skip
def test_a_request_without_what_it_has_to_have_is_refused(
    endpoint: str, service: str, request_: dict[str, Any], code: str
) -> None:
    answer = send(endpoint, service, **request_)
    assert (answer.status, _code(answer)) == (400, code)


@pytest.mark.parametrize(
    "request_",
    [{"headers": FORM, "body": EC2 + b"DescribeTags"}, {"headers": target("AWSEvents.A")}],
)
def test_a_call_that_is_not_signed_is_refused(endpoint: str, request_: dict[str, Any]) -> None:
    answer = send(endpoint, "ec2", **request_, signed=False)
    assert (answer.status, _code(answer)) == (403, "MissingAuthenticationToken")


def test_a_signature_that_is_none_is_refused(endpoint: str) -> None:
    headers = {"Authorization": "AWS4-HMAC-SHA256 nothing"}
    answer = send(endpoint, "ec2", headers=headers, signed=False)
    assert (answer.status, _code(answer)) == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    ("service", "request_", "name"),
    [
        ("ec2", {"headers": FORM, "body": EC2 + b"DescribeTags"}, "x-amzn-requestid"),
        ("ec2", {"headers": FORM, "body": EC2 + b"NoSuchCall"}, "x-amzn-requestid"),
        ("rbin", {"path": "/rules", "body": b"{"}, "x-amzn-requestid"),
        ("s3", {"method": "GET"}, "x-amz-request-id"),
        ("s3", {"method": "GET"}, "x-amz-id-2"),
    ],
)
def test_an_answer_has_the_requests_id(
    endpoint: str, service: str, request_: dict[str, Any], name: str
) -> None:
    assert send(endpoint, service, **request_).headers[name]
