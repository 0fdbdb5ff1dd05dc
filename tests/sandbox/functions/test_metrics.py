"""What CloudWatch has about functions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .conftest import Account, wait_for

Deploy = Callable[..., str]


def test_each_invocation_counts_and_each_one_that_failed(account: Account, deploy: Deploy) -> None:
    deploy("echo")
    deploy("fail", "Failing")
    for name in ("Fn", "Fn", "Failing"):
        account.invoke(name=name)
    assert (account.metric("Invocations"), account.metric("Errors")) == (2, 0)
    assert (account.metric("Invocations", "Failing"), account.metric("Errors", "Failing")) == (1, 1)


def test_a_function_that_is_killed_at_its_timeout_failed(account: Account, deploy: Deploy) -> None:
    deploy("hold", Timeout=1)
    account.invoke()
    assert (account.metric("Invocations"), account.metric("Errors")) == (1, 1)


def test_an_invocation_without_an_error_is_a_value_of_zero(
    account: Account, deploy: Deploy
) -> None:
    deploy("echo")
    account.invoke()
    now = datetime.now(UTC)
    [point] = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": "Fn"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (0, 1, "Count")


def test_an_event_counts_when_it_is_received_tried_and_dropped(
    account: Account, deploy: Deploy
) -> None:
    deploy("fail")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn", MaximumRetryAttempts=1
    )
    account.invoke(InvocationType="Event")
    wait_for(lambda: account.metric("AsyncEventsDropped") == 1)
    assert account.metric("AsyncEventsReceived") == 1
    assert account.metric("AsyncEventAge") > 0
    assert (account.metric("Invocations"), account.metric("Errors")) == (2, 2)


def test_a_record_that_its_destination_does_not_take_is_a_failure_to_deliver(
    account: Account, deploy: Deploy
) -> None:
    deploy("fail")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName="Fn",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:gone"}},
    )
    account.invoke(InvocationType="Event")
    wait_for(lambda: account.metric("DestinationDeliveryFailures") == 1)
