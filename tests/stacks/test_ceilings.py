"""Limits of AWS's that bound the requests under way: crhelper as it is breaks, this does not.

crhelper's own code runs in this process, through clients of its own, against a sandbox of this
module's; this application runs in the sandbox that the whole-stack tests share.
"""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.events.models import EventsBackend, events_backends

from benchmarks.ceilings import request_sizes, requests, stock_crhelper
from benchmarks.ceilings.designs import ANSWER, DELAY, ITEM, MESSAGE, POLICY, statements
from benchmarks.ceilings.request_sizes import Stock
from benchmarks.ceilings.requests import Event
from benchmarks.ceilings.stock_crhelper import StockResource
from sandbox.clients import REGION, Clients
from sandbox.instances import run_like
from sandbox.server import Server
from sandbox.upstream import quotas

from .support import Aws, Observers, created, deleted, json_of, side_by_side, wait_for

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import BundleTaskTypeDef

A_RULE = "rate(2 minutes)"
A_TARGET = "arn:aws:lambda:us-east-1:123456789012:function:stock"


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with pytest.MonkeyPatch.context() as patch, Server() as server:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # boto3 repeats what exceeds a limit
        yield Observers(server.endpoint)


@pytest.fixture(scope="module")
def seen(clients: Clients) -> Stock:
    """What stock crhelper leaves, and when that is refused."""
    return request_sizes.of_stock(clients)


@pytest.fixture
def stock(clients: Clients) -> Iterator[StockResource]:
    """crhelper's resource, and no rules before and after."""
    with stock_crhelper.deployed(clients, f"stock-{uuid.uuid4().hex[:8]}") as resource:
        yield resource


@pytest.fixture
def bus() -> Iterator[EventsBackend]:
    """An empty bus, in moto's backend itself: to fill it by calls takes seconds."""
    backend = events_backends[DEFAULT_ACCOUNT_ID][REGION]
    rules = backend.event_buses["default"].rules
    rules.clear()
    yield backend
    rules.clear()


def a_create(clients: Clients, logical_id: str = "Bundle") -> Event:
    properties = requests.ordinary("i-1234567890abcdef0", "instance-bundles")
    return requests.create(clients.endpoint, properties, logical_id)


def refusal(call: Callable[[], object]) -> str:
    """The code of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


# crhelper as it is


def test_crhelper_breaks_where_its_functions_policy_is_full(seen: Stock) -> None:
    assert seen.refused.under_way == statements(seen)
    assert "PolicyLengthExceededException" in seen.refused.reason
    assert f"bigger than the limit ({POLICY.value})" in seen.refused.reason


def test_crhelper_leaves_the_rule_of_a_request_that_its_policy_has_no_room_for(seen: Stock) -> None:
    assert seen.rules == seen.refused.under_way + 1


@pytest.mark.parametrize("length", [56, 57])
def test_crhelper_breaks_where_a_logical_id_is_too_long_for_a_rules_name(
    clients: Clients, stock: StockResource, length: int
) -> None:
    stock.begin(a_create(clients, "B" * length))
    reasons = [answer["Reason"] for answer in stock.answers]
    if length == 56:
        assert reasons == []
    else:
        [reason] = reasons
        assert "'name' failed to satisfy constraint" in reason
        assert reason.endswith("less than or equal to 64")


def test_crhelper_breaks_where_a_request_is_too_large_for_a_targets_input(
    clients: Clients, stock: StockResource
) -> None:
    event = a_create(clients)
    event["ResourceProperties"] = requests.largest("i-1234567890abcdef0", "instance-bundles", "x")
    stock.begin(event)
    [answer] = stock.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].endswith("less than or equal to 8192")


def test_crhelper_breaks_where_the_bus_is_full(
    clients: Clients, bus: EventsBackend, stock: StockResource
) -> None:
    for number in range(quotas.RULES - 3):
        bus.put_rule(f"other-{number}", scheduled_expression=A_RULE)
    refused = stock.begin_until_refused(lambda: a_create(clients))
    assert refused.under_way == 3
    assert "LimitExceededException" in refused.reason


# The limits themselves


def test_a_rule_of_a_full_bus_can_still_be_changed(clients: Clients, bus: EventsBackend) -> None:
    events = clients.client("events")
    for number in range(quotas.RULES):
        bus.put_rule(f"other-{number}", scheduled_expression=A_RULE)
    assert refusal(lambda: events.put_rule(Name="one-more", ScheduleExpression=A_RULE)) == (
        "LimitExceededException"
    )
    events.put_rule(Name="other-0", ScheduleExpression="rate(5 minutes)")


def test_a_target_takes_so_much_input_and_a_rule_so_many_targets(
    clients: Clients, bus: EventsBackend
) -> None:
    events = clients.client("events")
    events.put_rule(Name="rule", ScheduleExpression=A_RULE)

    def put(name: str, characters: int = 2) -> None:
        text = json.dumps("x" * (characters - 2))
        events.put_targets(Rule="rule", Targets=[{"Id": name, "Arn": A_TARGET, "Input": text}])

    put("0", quotas.TARGET_INPUT)
    assert refusal(lambda: put("1", quotas.TARGET_INPUT + 1)) == "ValidationException"
    for number in range(1, quotas.TARGETS):
        put(str(number))
    put("0")
    assert refusal(lambda: put("more")) == "LimitExceededException"


def test_a_policy_that_is_full_is_left_as_it_was(clients: Clients, stock: StockResource) -> None:
    def add(statement_id: str, account: str = "1") -> None:
        clients.functions.add_permission(
            FunctionName=stock.function,
            StatementId=statement_id,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=f"arn:aws:events:us-east-1:123456789012:rule/{account}",
        )

    assert refusal(lambda: add("s" * (quotas.STATEMENT_ID + 1))) == "ValidationException"
    add("s" * quotas.STATEMENT_ID)
    before = stock_crhelper.policy(clients, stock.function)
    much = "r" * quotas.POLICY_BYTES
    assert refusal(lambda: add("one", much)) == "PolicyLengthExceededException"
    assert stock_crhelper.policy(clients, stock.function) == before


def test_a_message_takes_so_many_bytes_and_so_long_a_delay(clients: Clients) -> None:
    sqs = clients.client("sqs")
    url = sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x" * MESSAGE.value, DelaySeconds=DELAY.value)
    refused = "InvalidParameterValue"
    assert refused in refusal(
        lambda: sqs.send_message(QueueUrl=url, MessageBody="x" * (MESSAGE.value + 1))
    )
    assert refused in refusal(
        lambda: sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=DELAY.value + 1)
    )


# This application


@pytest.mark.nightly
def test_more_requests_under_way_make_no_rule_and_no_statement(alone: Aws, seen: Stock) -> None:
    check_that_requests_leave_nothing(alone, seen.refused.under_way + 1)


def test_requests_under_way_make_no_rule_and_no_statement(alone: Aws) -> None:
    check_that_requests_leave_nothing(alone, 4)


def check_that_requests_leave_nothing(alone: Aws, count: int) -> None:
    before = left_behind(alone)
    events = [
        requests.create(alone.clients.endpoint, requests.ordinary(instance, alone.ready["bucket"]))
        for instance in instances_that_hang(alone, count)
    ]
    for event in events:
        send(alone, event)
    instance_ids = [event["ResourceProperties"]["InstanceId"] for event in events]

    def all_begun() -> "list[BundleTaskTypeDef] | None":
        found = alone.clients.ec2.describe_bundle_tasks(
            Filters=[{"Name": "instance-id", "Values": instance_ids}]
        )["BundleTasks"]
        return found if len(found) == count else None

    tasks = wait_for(all_begun, f"{count} bundle tasks")
    assert not {task["State"] for task in tasks} & {"complete", "failed", "cancelling"}
    assert left_behind(alone) == before

    polls = [message["body"] for message in json_of(f"{alone.clients.endpoint}/sandbox/messages")]
    for event in events:
        assert any(event["RequestId"] in poll for poll in polls)
    for task in tasks:
        alone.cancel(task["BundleId"])


def test_the_largest_request_goes_through_and_one_that_is_too_large_is_answered(
    aws: Aws, template: Callable[..., Any]
) -> None:
    side_by_side(
        partial(_largest_request, aws, template), partial(_request_that_no_item_can_hold, aws)
    )


def _largest_request(aws: Aws, template: Callable[..., Any]) -> None:
    instance, name = aws.instance(seconds="1"), uuid.uuid4().hex
    properties = requests.largest(instance, aws.ready["bucket"], name)
    declared = template(instance, **properties)
    stack_id, outputs = created(aws, declared)
    prefix = properties["Storage"]["S3"]["Prefix"]
    assert outputs["S3Uri"] == f"s3://{aws.ready['bucket']}/{prefix}"
    assert f"{prefix}.manifest.xml" in aws.keys(name)

    properties["Image"]["Description"] = "e" * 255
    aws.update_stack(stack_id, template(instance, **properties))
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    for answer in aws.responses(stack_id):
        assert len(json.dumps(answer, ensure_ascii=False).encode()) <= ANSWER.value
    deleted(aws, stack_id)


def _request_that_no_item_can_hold(aws: Aws) -> None:
    """It is answered with the reason."""
    event = requests.create(
        aws.clients.endpoint, requests.largest(aws.instance(), aws.ready["bucket"], "too-large")
    )
    s3 = event["ResourceProperties"]["Storage"]["S3"]
    s3["UploadPolicy"] = base64.b64decode(s3["UploadPolicy"]).decode().ljust(ITEM.value)
    send(aws, event)
    answer = answer_to(aws, event)
    assert answer["Status"] == "FAILED"
    assert "Item size has exceeded the maximum allowed size" in answer["Reason"]


def send(aws: Aws, event: Event) -> None:
    """Send an event as CloudFormation does, which waits for nothing."""
    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )


def answer_to(aws: Aws, event: Event) -> dict[str, Any]:
    """The one answer to an event, once it has come."""

    def found() -> dict[str, Any] | None:
        answers = [
            answer["body"]
            for answer in json_of(f"{aws.clients.endpoint}/sandbox/responses")
            if answer["requestId"] == event["RequestId"]
        ]
        assert len(answers) <= 1
        return answers[0] if answers else None

    return wait_for(found, f"the answer to {event['RequestId']}")


def left_behind(aws: Aws) -> tuple[set[str], Event]:
    """The rules that there are, and the policy of the function."""
    rules = stock_crhelper.rules(aws.clients)
    return rules, stock_crhelper.policy(aws.clients, aws.ready["service_token"])


def instances_that_hang(aws: Aws, count: int) -> list[str]:
    """New instances, whose bundle tasks end when they are cancelled."""
    return run_like(aws.clients.ec2, aws.ready["instance_id"], {"outcome": "hang"}, count)
