"""Alarms of templates, on a server whose minutes are short."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.functions.conftest import wait_for

MINUTE = 0.2
"""Seconds that a minute of CloudWatch's takes."""


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Server(cloudwatch_minute=MINUTE) as server:
        yield Served(Clients(server.endpoint))


def metric(queue: str, name: str) -> dict[str, Any]:
    return {
        "Id": name.lower(),
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SQS",
                "MetricName": f"ApproximateNumberOfMessages{name}",
                "Dimensions": [
                    {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
                ],
            },
            "Period": "60",
            "Stat": "Maximum",
        },
        "ReturnData": "false",
    }


def held_alarm(expression: str = "visible + notvisible") -> dict[str, Any]:
    """Fires where dead letters are held for five minutes, in flight or not; as text what may be."""
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": "Dead letters are held.",
            "Metrics": [
                metric("DeadLetters", "Visible"),
                metric("DeadLetters", "NotVisible"),
                {"Id": "held", "Expression": expression, "ReturnData": True},
            ],
            "EvaluationPeriods": "5",
            "Threshold": "0",
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "Topic"}],
            "OKActions": [{"Ref": "Topic"}],
        },
    }


def resources(alarm: dict[str, Any]) -> dict[str, Any]:
    return {
        "DeadLetters": {"Type": "AWS::SQS::Queue"},
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Alarm": alarm,
    }


def subscribed(served: Served, topic: str) -> str:
    """The URL of a queue that is subscribed to the topic."""
    sqs = served.clients.client("sqs")
    url = sqs.create_queue(QueueName=topic.rpartition(":")[2])["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    served.clients.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"]
    )
    return str(url)


def next_state(served: Served, url: str) -> str | None:
    """The state in the next notification, if there is one."""
    sqs = served.clients.client("sqs")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        state: str = json.loads(json.loads(message["Body"])["Message"])["NewStateValue"]
        return state
    return None


def test_an_alarm_on_the_sum_of_two_metrics_fires_and_clears(served: Served) -> None:
    sqs, cloudwatch = served.clients.client("sqs"), served.clients.client("cloudwatch")
    outputs = {
        "Queue": {"Ref": "DeadLetters"},
        "Topic": {"Ref": "Topic"},
        "Alarm": {"Ref": "Alarm"},
        "Arn": {"Fn::GetAtt": ["Alarm", "Arn"]},
    }
    stack_id = served.create(resources(held_alarm()), **outputs)
    made = served.until(stack_id, "CREATE_COMPLETE")
    assert made["Arn"].endswith(f":alarm:{made['Alarm']}")
    notifications = subscribed(served, made["Topic"])

    sqs.send_message(QueueUrl=made["Queue"], MessageBody="dead letter")
    sqs.receive_message(QueueUrl=made["Queue"], VisibilityTimeout=900)
    wait_for(lambda: next_state(served, notifications) == "ALARM")
    sqs.purge_queue(QueueUrl=made["Queue"])
    assert wait_for(lambda: next_state(served, notifications)) == "OK"

    changed = held_alarm()
    changed["Properties"]["Threshold"] = 3
    served.update(stack_id, resources(changed), **outputs)
    assert served.until(stack_id, "UPDATE_COMPLETE")["Alarm"] == made["Alarm"]
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[made["Alarm"]])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (3.0, 5)
    assert [query["Id"] for query in alarm["Metrics"]] == ["visible", "notvisible", "held"]
    served.delete(stack_id)
    assert cloudwatch.describe_alarms(AlarmNames=[made["Alarm"]])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"EvaluationPeriods": None}, "EvaluationPeriods"),
        ({"EvaluationPeriods": "many"}, "EvaluationPeriods"),
        ({"ComparisonOperator": None}, "ComparisonOperator"),
        ({"Metrics": None}, "MetricName"),
        ({"DatapointsToAlarm": 6}, "DatapointsToAlarm"),
    ],
)
def test_an_alarm_that_cannot_be_fails_the_stack(
    served: Served, changes: dict[str, Any], reason: str
) -> None:
    alarm = held_alarm()
    properties = {**alarm["Properties"], **changes}
    alarm["Properties"] = {k: v for k, v in properties.items() if v is not None}
    stack_id = served.create(resources(alarm))
    assert reason in served.until_resource(stack_id, "Alarm", "CREATE_FAILED")
    served.until(stack_id, "ROLLBACK_COMPLETE")


def test_metrics_of_functions_in_the_backend_are_watched(served: Served) -> None:
    """As AWS/Lambda's are: put without a moment, which is that of the call."""
    cloudwatch = served.clients.client("cloudwatch")
    topic = served.clients.client("sns").create_topic(Name="dropped")["TopicArn"]
    notifications = subscribed(served, topic)
    dimensions = [{"Name": "FunctionName", "Value": "shop"}]
    cloudwatch.put_metric_alarm(
        AlarmName="dropped",
        Namespace="AWS/Lambda",
        MetricName="RecursiveInvocationsDropped",
        Dimensions=dimensions,
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )
    assert wait_for(lambda: next_state(served, notifications)) == "OK"
    cloudwatch.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {"MetricName": "RecursiveInvocationsDropped", "Dimensions": dimensions, "Value": 1}
        ],
    )
    assert wait_for(lambda: next_state(served, notifications)) == "ALARM"
    assert wait_for(lambda: next_state(served, notifications)) == "OK"
