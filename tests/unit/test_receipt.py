"""Which events are taken, which are answered FAILED at once, and which nobody answers."""

from typing import Any
from urllib.parse import quote

import pytest

from instance_bundle.errors import InvalidEvent
from instance_bundle.request.event import Request
from instance_bundle.request.receipt import RefusedRequest, receive
from instance_bundle.settings import Limits, Settings

ORIGIN = "http://127.0.0.1:4580"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:bundle"
STACK = (
    "arn:aws:cloudformation:us-east-1:123456789012:stack/web/2d213470-3bbd-11ea-a35f-06b8fd1f0384"
)
BUCKET = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com"
UNNAMED = f"{BUCKET}/answer?X-Amz-Signature=s3cr3t"


def settings(*, verify: bool = True, origin: str | None = None) -> Settings:
    return Settings("ledger", "requests", "polls", Limits(response_origin=origin), "", verify)


def url(stack_id: str = STACK, name: str = "Bundle", request_id: str = "r1") -> str:
    return f"{BUCKET}/{quote(f'{stack_id}|{name}|{request_id}', safe='')}?X-Amz-Signature=s3cr3t"


def event(**others: Any) -> dict[str, Any]:
    return {
        "RequestType": "Create",
        "ResponseURL": url(),
        "StackId": STACK,
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "ResourceProperties": {},
    } | others


def received(given: Any, arn: str = FUNCTION) -> Request | RefusedRequest:
    return receive(given, arn, settings())


def refused(given: Any, arn: str = FUNCTION) -> RefusedRequest:
    found = received(given, arn)
    assert isinstance(found, RefusedRequest)
    return found


@pytest.mark.parametrize("arn", [FUNCTION, f"{FUNCTION}:7", f"{FUNCTION}:live"])
def test_a_request_of_a_stack_of_the_functions_own_is_taken(arn: str) -> None:
    assert received(event(), arn) == Request.parse(event())


def test_a_request_in_the_form_of_awss_example_is_taken() -> None:
    """AWS Lambda Developer Guide, Using AWS Lambda with CloudFormation."""
    stack = (
        "arn:aws:cloudformation:us-east-2:123456789012:stack/lambda-error-processor/"
        "1134083a-2608-1e91-9897-022501a2c456"
    )
    request_id = "5d478078-13e9-baf0-464a-7ef285ecc786"
    key = f"{quote(stack)}%7Cprimerinvoke%7C{request_id}"
    bucket = "cloudformation-custom-resource-response-useast2.s3-us-east-2.amazonaws.com"
    given = event(
        ResponseURL=f"https://{bucket}/{key}?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1555451971",
        StackId=stack,
        RequestId=request_id,
        LogicalResourceId="primerinvoke",
    )
    function = FUNCTION.replace("us-east-1", "us-east-2")

    assert received(given, function) == Request.parse(given)
    with pytest.raises(InvalidEvent, match="of another request"):
        received(given | {"LogicalResourceId": "Bundle"}, function)


def test_a_key_of_an_unknown_form_is_no_reason_to_refuse() -> None:
    assert isinstance(received(event(ResponseURL=UNNAMED)), Request)


@pytest.mark.parametrize(
    ("stack", "function"),
    [
        (
            "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/web/1",
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:bundle",
        ),
        (
            "arn:aws-us-gov:cloudformation:us-gov-west-1:123456789012:stack/web/1",
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:bundle:live",
        ),
    ],
)
def test_each_partition_has_stacks_of_its_own(stack: str, function: str) -> None:
    region = stack.split(":")[3]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    given = event(StackId=stack, ResponseURL=f"https://{bucket}.s3.{region}.{suffix}/x")

    assert isinstance(received(given, function), Request)
    assert "StackId: is no stack of account" in refused(given).reason


FOREIGN = [
    STACK.replace("123456789012", "999999999999"),
    STACK.replace("us-east-1", "eu-west-1"),
    STACK.replace("arn:aws:", "arn:aws-cn:"),
    STACK.replace("cloudformation", "cloudfront"),
    STACK.replace(":stack/", ":stackset/"),
    STACK.rpartition("/")[0],
    f"{STACK}/more",
    f"{STACK}\n",
    f" {STACK}",
    "web",
    "arn:aws:cloudformation:us-east-1:123456789012:stack/web|x/1",
]


@pytest.mark.parametrize("stack", FOREIGN)
def test_a_request_of_another_stack_is_refused_with_the_reason(stack: str) -> None:
    region = "euwest1" if "eu-west-1" in stack else "useast1"
    answer_to = UNNAMED.replace("useast1", region)
    if ":aws-cn:" in stack:
        answer_to = f"{ORIGIN}/answer"

    found = receive(event(StackId=stack, ResponseURL=answer_to), FUNCTION, settings(origin=ORIGIN))

    assert isinstance(found, RefusedRequest)
    assert found.key.stack_id == stack
    assert found.response_url == answer_to
    assert found.physical_id == "Bundle-r1"
    assert "account 123456789012 in us-east-1 (partition aws)" in found.reason


@pytest.mark.parametrize("stack", FOREIGN)
def test_events_by_hand_may_be_of_any_stack_where_requests_are_not_verified(stack: str) -> None:
    given = event(StackId=stack, ResponseURL=f"{ORIGIN}/answer")

    local = "arn:aws:lambda:us-east-1:012345678912:function:InstanceBundleFunction"

    assert isinstance(receive(given, local, settings(origin=ORIGIN)), RefusedRequest)
    assert isinstance(receive(given, local, settings(verify=False, origin=ORIGIN)), Request)


@pytest.mark.parametrize(
    "others",
    [
        {"StackId": STACK.replace("/web/", "/other/")},
        {"StackId": STACK.replace("123456789012", "999999999999")},
        {"LogicalResourceId": "Other"},
        {"RequestId": "r2"},
        {"StackId": "web"},
        {"RequestId": "r2", "RequestType": "Upsert"},
        {"ResponseURL": UNNAMED.replace("useast1", "euwest1")},
        {"ResponseURL": url().replace("useast1", "uswest2")},
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_a_response_url_of_another_request_is_never_answered(
    others: dict[str, Any], *, verify: bool
) -> None:
    with pytest.raises(InvalidEvent):
        receive(event(**others), FUNCTION, settings(verify=verify))


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"RequestType": "Upsert"}, "RequestType: must be one of Create, Update, Delete"),
        ({"RequestType": None}, "RequestType: "),
        ({"RequestType": "Update"}, "PhysicalResourceId: "),
        ({"RequestType": "Delete", "PhysicalResourceId": 7}, "PhysicalResourceId: "),
        ({"RequestType": "Delete", "PhysicalResourceId": "x" * 1001}, "PhysicalResourceId: "),
    ],
)
def test_an_event_that_is_wrong_is_refused_with_the_member_that_is(
    others: dict[str, Any], named: str
) -> None:
    found = refused(event(**others))

    assert found.reason.startswith(named)
    assert found.physical_id == "Bundle-r1"
    assert "s3cr3t" not in found.reason
    assert found.times_out_at(1_800_000_000) == 1_800_003_600


@pytest.mark.parametrize("kind", ["Update", "Delete", "Upsert"])
def test_a_refused_request_keeps_its_physical_id(kind: str) -> None:
    stack = STACK.replace("us-east-1", "eu-west-1")
    given = event(RequestType=kind, StackId=stack, PhysicalResourceId="bun-1")
    given["ResponseURL"] = UNNAMED.replace("useast1", "euwest1")

    assert refused(given).physical_id == "bun-1"


def test_ids_too_long_for_the_ledger_are_answered_while_they_fit_an_answer() -> None:
    found = refused(event(LogicalResourceId="x" * 256, ResponseURL=UNNAMED))
    assert found.reason.startswith("LogicalResourceId: ")

    with pytest.raises(InvalidEvent, match="LogicalResourceId"):
        received(event(LogicalResourceId="x" * 3000, ResponseURL=UNNAMED))


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        "text",
        {},
        {"Records": [{"eventSource": "aws:s3"}]},
        event(ResponseURL="https://example.com/"),
        event(ResponseURL=7),
        event(ResponseURL=f"{ORIGIN}/answer"),
        event(StackId=7, ResponseURL=UNNAMED),
        event(StackId="", ResponseURL=UNNAMED),
        event(RequestId=None, ResponseURL=UNNAMED),
        event(LogicalResourceId=["Bundle"], ResponseURL=UNNAMED),
        event(LogicalResourceId="\ud800", ResponseURL=UNNAMED),
    ],
)
def test_an_event_that_names_nobody_who_waits_is_not_answered(given: Any) -> None:
    with pytest.raises(InvalidEvent):
        received(given)
