"""What Lambda checks of mappings and destinations, over its API and in stacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.parts import (
    POLLING,
    TRUST,
    document,
    function,
    invoke_config,
    mapping,
    queue,
    role,
)
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import zipped

PLACE = "us-east-1:123456789012"
QUEUE = f"arn:aws:sqs:{PLACE}:polled"


@dataclass(frozen=True)
class Account:
    """A function with a timeout of 60 s, and a queue that is as patient; policies count at once."""

    clients: Clients

    def allow(self, *actions: str, resource: Any = "*") -> None:
        self.clients.client("iam").put_role_policy(
            RoleName="worker",
            PolicyName="only",
            PolicyDocument=json.dumps(document(*actions, resource=resource)),
        )

    def map(self, **settings: Any) -> str:
        return self.clients.functions.create_event_source_mapping(
            **{"FunctionName": "worker", "EventSourceArn": QUEUE, **settings}
        )["UUID"]

    def set_visibility_timeout(self, seconds: int) -> None:
        sqs = self.clients.client("sqs")
        url = sqs.get_queue_url(QueueName="polled")["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})

    def send_failures_to(self, destination: str, **settings: Any) -> None:
        self.clients.functions.put_function_event_invoke_config(
            FunctionName="worker",
            DestinationConfig={"OnFailure": {"Destination": destination}},
            **settings,
        )

    def make_function(self, name: str, **settings: Any) -> None:
        self.clients.functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role="arn:aws:iam::123456789012:role/worker",
            Code={"ZipFile": zipped()},
            **settings,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Account]:
    with Server(iam_delay=0) as running:
        account = Account(Clients(running.endpoint))
        account.clients.client("iam").create_role(
            RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST)
        )
        account.make_function("worker", Timeout=60)
        account.make_function("other")
        sqs = account.clients.client("sqs")
        sqs.create_queue(QueueName="polled")
        sqs.create_queue(QueueName="polled.fifo", Attributes={"FifoQueue": "true"})
        yield account


@pytest.fixture
def account(server: Account) -> Account:
    """The server's account, with all that polling needs."""
    server.allow(*POLLING)
    server.set_visibility_timeout(60)
    return server


def refused(code: str, words: str) -> Any:
    """What the next call raises."""
    return pytest.raises(ClientError, match=rf"\({code}\).*: {words}")


@pytest.mark.parametrize("missing", POLLING)
def test_a_mapping_needs_the_roles_permissions_on_the_queue(account: Account, missing: str) -> None:
    uuid = account.map()
    account.allow(*(action for action in POLLING if action != missing))
    words = (
        "The function execution role does not have permissions to call "
        f"{missing.removeprefix('sqs:')} on SQS"
    )

    with refused("InvalidParameterValueException", words):
        account.map()
    with refused("InvalidParameterValueException", words):
        account.clients.functions.update_event_source_mapping(UUID=uuid, BatchSize=1)


def test_permissions_on_another_queue_do_not_count(account: Account) -> None:
    account.allow(*POLLING, resource=f"{QUEUE}-2")

    with refused("InvalidParameterValueException", "The function execution role does not have"):
        account.map()


VALUES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1},
        "ValidationException",
        "1 validation error detected: Value '10001' at 'batchSize' .* less than or equal to 10000",
    ),
    (
        {"BatchSize": 11},
        "InvalidParameterValueException",
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater",
    ),
    (
        {"MaximumBatchingWindowInSeconds": 301},
        "ValidationException",
        ".*'maximumBatchingWindowInSeconds'.* less than or equal to 300",
    ),
    (
        {"ScalingConfig": {"MaximumConcurrency": 1001}},
        "ValidationException",
        ".*'scalingConfig.maximumConcurrency'.* less than or equal to 1000",
    ),
    (
        {"FunctionResponseTypes": ["ReportNothing"]},
        "ValidationException",
        r".*'\[ReportNothing\]' at 'functionResponseTypes'.* \[ReportBatchItemFailures\]",
    ),
]


@pytest.mark.parametrize(("settings", "code", "words"), VALUES)
def test_a_mappings_values_are_checked(
    account: Account, settings: dict[str, Any], code: str, words: str
) -> None:
    uuid = account.map()

    with refused(code, words):
        account.map(**settings)
    with refused(code, words):
        account.clients.functions.update_event_source_mapping(UUID=uuid, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300},
        {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
        {"ScalingConfig": {"MaximumConcurrency": 2}},
        {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
    ],
)
def test_values_at_the_limits_are_taken(account: Account, settings: dict[str, Any]) -> None:
    assert account.map(**settings)


def test_a_window_that_is_there_lets_a_batch_grow(account: Account) -> None:
    uuid = account.map(MaximumBatchingWindowInSeconds=1)

    account.clients.functions.update_event_source_mapping(UUID=uuid, BatchSize=11)


def test_a_message_must_stay_hidden_for_as_long_as_the_function_may_take(account: Account) -> None:
    uuid = account.map()
    account.set_visibility_timeout(59)
    words = "Queue visibility timeout: 59 seconds is less than Function timeout: 60 seconds"

    with refused("InvalidParameterValueException", words):
        account.map()
    with refused("InvalidParameterValueException", words):
        account.clients.functions.update_event_source_mapping(UUID=uuid, BatchSize=1)


DESTINATIONS = [
    (QUEUE, "sqs:SendMessage", QUEUE),
    (f"arn:aws:lambda:{PLACE}:function:other", "lambda:InvokeFunction", None),
    (f"arn:aws:sns:{PLACE}:failures", "sns:Publish", None),
    (f"arn:aws:events:{PLACE}:event-bus/failures", "events:PutEvents", None),
    ("arn:aws:s3:::failures", "s3:PutObject", "arn:aws:s3:::failures/*"),
]


@pytest.mark.parametrize(("destination", "action", "resource"), DESTINATIONS)
def test_a_destination_needs_the_roles_permission(
    account: Account, destination: str, action: str, resource: str | None
) -> None:
    call = action.partition(":")[2]
    words = f"The function's execution role does not have permissions to call {call} on "
    with refused("InvalidParameterValueException", f"{words}{destination}"):
        account.send_failures_to(destination)

    account.allow(action, resource=resource or destination)

    account.send_failures_to(destination)


@pytest.mark.parametrize(
    "destination",
    [
        f"arn:aws:sqs:{PLACE}:missing",
        f"arn:aws:lambda:{PLACE}:function:missing",
        f"arn:aws:kinesis:{PLACE}:stream/failures",
    ],
)
def test_a_destination_must_be_there_and_of_a_kind_that_lambda_knows(
    account: Account, destination: str
) -> None:
    account.allow("*")

    with refused("InvalidParameterValueException", f"The destination ARN {destination} is invalid"):
        account.send_failures_to(destination)


def test_the_values_of_an_event_invoke_config_are_checked(account: Account) -> None:
    account.allow("*")

    with refused("ValidationException", ".*'maximumRetryAttempts'.* less than or equal to 2"):
        account.send_failures_to(QUEUE, MaximumRetryAttempts=3)


# In stacks


def resources(polled: dict[str, Any], mapped: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Role": role(document(*POLLING)),
        "Function": function(Timeout=60),
        "Queue": polled,
        "Mapping": mapped,
        **more,
    }


@pytest.fixture
def stacks(account: Account) -> Served:
    return Served(account.clients)


@pytest.mark.parametrize(
    ("polled", "mapped", "words"),
    [
        (
            queue(VisibilityTimeout=59),
            mapping(),
            "Queue visibility timeout: 59 seconds is less than Function timeout: 60 seconds",
        ),
        (
            queue(VisibilityTimeout=60),
            mapping(BatchSize="11"),
            "Maximum batch window in seconds must be greater than 0",
        ),
        (
            queue(VisibilityTimeout=60),
            mapping(ScalingConfig={"MaximumConcurrency": 1}),
            "Member must have value greater than or equal to 2",
        ),
    ],
)
def test_a_stack_with_a_mapping_that_is_refused_is_rolled_back(
    stacks: Served, polled: dict[str, Any], mapped: dict[str, Any], words: str
) -> None:
    stack = stacks.create(resources(polled, mapped))

    stacks.until(stack, "ROLLBACK_COMPLETE")
    assert words in stacks.until_resource(stack, "Mapping", "CREATE_FAILED")


def test_an_update_of_a_stack_with_a_mapping_that_is_refused_is_rolled_back(
    stacks: Served,
) -> None:
    patient = queue(VisibilityTimeout=60)
    stack = stacks.create(resources(patient, mapping()))
    stacks.until(stack, "CREATE_COMPLETE")

    stacks.update(stack, resources(patient, mapping(BatchSize=11)))

    stacks.until(stack, "UPDATE_ROLLBACK_COMPLETE")
    refusal = stacks.until_resource(stack, "Mapping", "UPDATE_FAILED")
    assert "Maximum batch window in seconds must be greater than 0" in refusal


def test_a_stack_with_a_destination_that_is_refused_is_rolled_back(stacks: Served) -> None:
    config = invoke_config({"Fn::GetAtt": ["Queue", "Arn"]})

    stack = stacks.create(resources(queue(VisibilityTimeout=60), mapping(), Config=config))

    stacks.until(stack, "ROLLBACK_COMPLETE")
    refusal = stacks.until_resource(stack, "Config", "CREATE_FAILED")
    assert "execution role does not have permissions to call SendMessage on arn:aws:sqs" in refusal
