"""What policies say of a request, by the IAM User Guide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.upstream.policies import Context, Request, permits

QUEUE = "arn:aws:sqs:us-east-1:123456789012:polls"
OBJECT = "arn:aws:s3:::vault/image.manifest.xml"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any = "sqs:SendMessage", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def send(context: Context | None = None) -> Request:
    return Request("sqs:SendMessage", QUEUE, context or {})


@pytest.mark.parametrize(
    ("statement", "request_", "allowed"),
    [
        (allow(), send(), True),
        (allow(["sqs:ReceiveMessage", "sqs:Send*"]), send(), True),
        (allow("SQS:sendmessage"), send(), True),
        (allow("sqs:Send"), send(), False),
        (allow("sqs:SendMessag?"), send(), True),
        (allow("*", QUEUE), send(), True),
        (allow("*", "arn:*:sqs:*:123456789012:poll?"), send(), True),
        (allow("*", "arn:aws:sqs:*"), send(), False),
        (allow("*", "arn:aws:sqs:us-east-1:123456789012:Polls"), send(), False),
        (allow("*", "arn:*:s3:::*/*.manifest.xml"), Request("s3:GetObject", OBJECT), True),
        (allow("*", "arn:*:s3:::vaul/*"), Request("s3:GetObject", OBJECT), False),
        (allow("*", "arn:aws:s3:::vault/image.manifest_xml"), Request("s3:Get", OBJECT), False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, send(), True),
        ({"Effect": "Allow", "NotAction": ["sqs:*"], "Resource": "*"}, send(), False),
        ({"Effect": "Allow", "Action": "*", "NotResource": QUEUE}, send(), False),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:sqs:::x"}, send(), True),
    ],
)
def test_a_statement_concerns_the_actions_and_resources_that_it_names(
    statement: dict[str, Any],
    request_: Request,
    allowed: bool,
) -> None:
    assert permits([policy(statement)], request_) is allowed


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert not permits([], send())
    assert not permits([policy()], send())


def test_a_denial_prevails_wherever_it_is() -> None:
    denial = {"Effect": "Deny", "Action": "sqs:*", "Resource": QUEUE}

    assert not permits([policy(denial), policy(allow())], send())
    assert not permits([policy(allow(), denial)], send())


def test_a_statement_may_stand_for_a_list_of_one() -> None:
    assert permits([json.dumps({"Statement": allow()})], send())


@pytest.mark.parametrize(
    ("condition", "context", "met"),
    [
        ({"StringEquals": {"ec2:Region": "a"}}, {"ec2:Region": "a"}, True),
        ({"StringEquals": {"ec2:region": ["b", "a"]}}, {"ec2:Region": "a"}, True),
        ({"StringEquals": {"ec2:Region": "a"}}, {"ec2:Region": "b"}, False),
        ({"StringEquals": {"ec2:Region": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"ec2:Region": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"ec2:Region": "a"}}, {"ec2:Region": "b"}, False),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "a"}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "c"}, True),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringLike": {"k": "a*c"}}, {"k": "abc"}, True),
        ({"StringNotLike": {"k": "a*c"}}, {"k": "abc"}, False),
        ({"ArnEquals": {"k": "arn:*:sqs:*:*:poll*"}}, {"k": QUEUE}, True),
        ({"ArnNotEquals": {"k": [QUEUE]}}, {"k": QUEUE}, False),
        ({"ArnNotLike": {"k": "arn:aws:sqs:*:*:other"}}, {"k": QUEUE}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": "true"}, False),
        ({"Null": {"aws:ResourceTag/id": "false"}}, {"aws:ResourceTag/id": "1"}, True),
        ({"Null": {"aws:ResourceTag/id": "false"}}, {}, False),
        ({"Null": {"aws:ResourceTag/id": True}}, {}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringLike": {"k": ["a*"]}}, {"k": ["b", "ab"]}, True),
        ({"ForAnyValue:StringNotEquals": {"k": ["a"]}}, {}, False),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
        ({"StringEquals": {"k": "a"}, "Null": {"l": "true"}}, {"k": "a", "l": "b"}, False),
    ],
)
def test_conditions_must_all_be_met(
    condition: dict[str, Any],
    context: Context,
    met: bool,
) -> None:
    statement = allow(Condition=condition)
    denial = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}

    assert permits([policy(statement)], send(context)) is met
    assert permits([policy(allow(), denial)], send(context)) is not met


def test_an_operator_that_is_not_known_is_an_error() -> None:
    statement = allow(Condition={"NumericLessThan": {"k": "1"}})

    with pytest.raises(ValueError, match="NumericLessThan"):
        permits([policy(statement)], send({"k": "0"}))
