"""Metrics that AWS makes of queues and of log lines."""

import json
from typing import Any

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from tests.sandbox.cloudwatch.conftest import CloudWatch

AGE = "ApproximateAgeOfOldestMessage"
VISIBLE = "ApproximateNumberOfMessagesVisible"
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
DELAYED = "ApproximateNumberOfMessagesDelayed"


def latest(cloudwatch: CloudWatch, queue: str) -> dict[str, float]:
    """What was published of a queue at the end of the last minute."""
    [backend] = [found for _, _, found in cloudwatch_backends.iter_backends()]
    return {
        datum.name: datum.value
        for datum in backend.metric_data  # type: ignore[attr-defined]
        if datum.namespace == "AWS/SQS" and datum.dimensions[0].value == queue
    }


def make_queues(cloudwatch: CloudWatch) -> tuple[str, str]:
    """The URLs of a queue, and of that of its dead letters."""
    sqs = cloudwatch.client("sqs")
    dead = sqs.create_queue(QueueName="dead", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 3}
    attributes = {"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)}
    return sqs.create_queue(QueueName="live", Attributes=attributes)["QueueUrl"], dead


def receive(cloudwatch: CloudWatch, url: str, **more: Any) -> list[dict[str, Any]]:
    answer = cloudwatch.client("sqs").receive_message(QueueUrl=url, **more)
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def test_each_queue_has_what_it_holds_and_what_was_done(cloudwatch: CloudWatch) -> None:
    sqs = cloudwatch.client("sqs")
    url, _ = make_queues(cloudwatch)
    for body in ("one", "two", "three", "four"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    [held] = receive(cloudwatch, url, VisibilityTimeout=900)
    [done] = receive(cloudwatch, url, VisibilityTimeout=900)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=done["ReceiptHandle"])
    assert held["MessageId"] != done["MessageId"]
    cloudwatch.pass_minutes()
    assert latest(cloudwatch, "live") == {
        AGE: 60,
        VISIBLE: 2,
        IN_FLIGHT: 1,
        DELAYED: 1,
        "NumberOfMessagesSent": 5,
        "NumberOfMessagesReceived": 2,
        "NumberOfMessagesDeleted": 1,
    }
    cloudwatch.pass_minutes()
    found = latest(cloudwatch, "live")
    assert (found[AGE], found["NumberOfMessagesSent"]) == (120, 0)
    assert latest(cloudwatch, "dead")[AGE] == 0


def test_a_message_that_was_received_three_times_has_no_age(cloudwatch: CloudWatch) -> None:
    url, _ = make_queues(cloudwatch)
    cloudwatch.client("sqs").send_message(QueueUrl=url, MessageBody="poison")
    cloudwatch.pass_minutes(5)
    cloudwatch.client("sqs").send_message(QueueUrl=url, MessageBody="other")
    for expected in (360, 420):
        [first, *_] = receive(cloudwatch, url)
        assert first["Body"] == "poison"
        cloudwatch.pass_minutes()
        assert latest(cloudwatch, "live")[AGE] == expected
    receive(cloudwatch, url)
    cloudwatch.pass_minutes()
    assert latest(cloudwatch, "live")[AGE] == 180  # of the second-oldest


def move_to_dead_letters(cloudwatch: CloudWatch) -> str:
    """Have a message become a dead letter; the URL of their queue."""
    url, dead = make_queues(cloudwatch)
    cloudwatch.client("sqs").send_message(QueueUrl=url, MessageBody="poison")
    cloudwatch.pass_minutes(30)
    for received in (1, 1, 1, 0):
        assert len(receive(cloudwatch, url)) == received
    return dead


def test_a_dead_letter_is_not_sent_and_its_receives_before_the_move_count(
    cloudwatch: CloudWatch,
) -> None:
    move_to_dead_letters(cloudwatch)
    cloudwatch.pass_minutes(10)
    found = latest(cloudwatch, "dead")
    assert (found[VISIBLE], found["NumberOfMessagesSent"], found[AGE]) == (1, 0, 0)


def test_the_age_of_a_dead_letter_counts_from_the_move(cloudwatch: CloudWatch) -> None:
    url, dead = make_queues(cloudwatch)
    sqs = cloudwatch.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(redrive)})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    cloudwatch.pass_minutes(30)
    for received in (1, 0):
        assert len(receive(cloudwatch, url)) == received
    cloudwatch.pass_minutes(2)
    assert latest(cloudwatch, "dead")[AGE] == 120


def test_an_alarm_on_the_age_of_dead_letters_does_not_fire_where_three_receives_made_them(
    cloudwatch: CloudWatch,
) -> None:
    dead = move_to_dead_letters(cloudwatch)
    queue = {"Namespace": "AWS/SQS", "Dimensions": [{"Name": "QueueName", "Value": "dead"}]}
    cloudwatch.put_alarm(
        **queue, MetricName=AGE, Statistic="Maximum", EvaluationPeriods=5, Threshold=300
    )
    cloudwatch.put_alarm(
        **queue, AlarmName="held", MetricName=VISIBLE, Statistic="Maximum", EvaluationPeriods=5
    )
    states = []
    for _ in range(60):
        receive(cloudwatch, dead)  # as the failure handler does, which fails
        cloudwatch.pass_minutes()
        states.append((cloudwatch.state(), cloudwatch.state("held")))
    assert {age for age, _ in states} == {"OK"}
    assert states[-1] == ("OK", "ALARM")


def document(**more: Any) -> dict[str, Any]:
    return {
        "_aws": {
            "Timestamp": 1_800_000_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Test",
                    "Dimensions": [["service"]],
                    "Metrics": [{"Name": "Crashes", "Unit": "Count"}],
                }
            ],
        },
        "service": "shop",
        "Crashes": [1.0, 2.0],
        **more,
    }


@pytest.fixture
def log(cloudwatch: CloudWatch) -> Any:
    logs = cloudwatch.client("logs")
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")

    def put(message: str) -> None:
        logs.put_log_events(
            logGroupName="group",
            logStreamName="stream",
            logEvents=[{"timestamp": 1_800_000_000_000, "message": message}],
        )

    return put


def test_log_events_in_the_embedded_metric_format_are_metrics(
    cloudwatch: CloudWatch, log: Any
) -> None:
    cloudwatch.put_alarm(Threshold=2.5)
    log(json.dumps(document()))
    assert cloudwatch.states(1) == ["ALARM"]


@pytest.mark.parametrize(
    "message",
    [
        "START RequestId",
        "{",
        '"_aws"',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": [{}]}}',
        json.dumps({k: v for k, v in document().items() if k != "Crashes"}),
        json.dumps({k: v for k, v in document().items() if k != "service"}),
    ],
)
def test_other_log_events_are_none(cloudwatch: CloudWatch, log: Any, message: str) -> None:
    cloudwatch.put_alarm(Threshold=0)
    log(message)
    assert cloudwatch.states(1) == ["OK"]
