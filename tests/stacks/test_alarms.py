"""Each alarm of the application fires, and clears."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.application import STACK_NAME
from sandbox.clients import Clients

from .support import Aws, SandboxProcess, signing_secret, wait_for

MINUTE = "0.3"
"""Seconds that a minute of CloudWatch's takes."""

Template = Callable[..., dict[str, Any]]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox whose minutes are short."""
    sandbox = SandboxProcess.start(tmp_path, options=["--cloudwatch-minute", MINUTE])
    clients = Clients(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def test_each_alarm_fires_and_clears(aws: Aws, template: Template) -> None:
    stories: Mapping[str, Callable[[], object]] = {
        "DeadLettersAnsweredAlarm": partial(_crash, aws, template),
        "OldDeadLetterAlarm": partial(_hold_a_dead_letter, aws),
        "LastResortFailedAlarm": partial(_drop_an_event, aws),
    }
    alarms = {name: alarm for name, alarm in _resources(aws).items() if name.endswith("Alarm")}
    assert stories.keys() == alarms.keys()

    for name, story in stories.items():
        notices = _listening(aws, alarms[name])
        assert _next_state(aws, notices) == "OK"
        end = story()
        assert _next_state(aws, notices) == "ALARM"
        if callable(end):
            end()
        assert _next_state(aws, notices) == "OK"


def _crash(aws: Aws, template: Template) -> None:
    """Have a Create crash the function until the failure handler answers."""
    function = aws.ready["service_token"]
    configure = aws.clients.functions.update_function_configuration
    configure(FunctionName=function, Handler="instance_bundle.no_such_module.handler")
    stack_id = aws.create_stack(template(aws.instance(seconds="1"), "crashing/web"))
    wait_for(lambda: aws.responses(stack_id) or None, "the failure handler's answer")
    configure(FunctionName=function, Handler="instance_bundle.app.handler")
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"


def _hold_a_dead_letter(aws: Aws) -> Callable[[], object]:
    """Have a dead letter that crashes the failure handler; returns what ends that."""
    sqs, resources = aws.clients.client("sqs"), _resources(aws)
    aws.clients.functions.update_function_configuration(
        FunctionName=resources["LastResortFunction"], Handler="instance_bundle.no_such.handler"
    )
    sqs.send_message(QueueUrl=resources["DeadLetterQueue"], MessageBody="letter")
    return partial(sqs.purge_queue, QueueUrl=resources["DeadLetterQueue"])


def _drop_an_event(aws: Aws) -> None:
    """Say that Lambda has dropped an event of the failure handler's, as Lambda does."""
    dimension = {"Name": "FunctionName", "Value": _resources(aws)["LastResortFunction"]}
    datum = {"MetricName": "AsyncEventsDropped", "Dimensions": [dimension], "Value": 1}
    aws.clients.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[datum])


def _resources(aws: Aws) -> dict[str, str]:
    """The physical IDs of the application's resources."""
    pages = aws.clients.cloudformation.get_paginator("list_stack_resources").paginate(
        StackName=STACK_NAME
    )
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def _listening(aws: Aws, alarm: str) -> str:
    """Have an alarm notify a new queue of its states; the URL of the queue."""
    cloudwatch, sqs, sns = (aws.clients.client(name) for name in ("cloudwatch", "sqs", "sns"))
    topic = sns.create_topic(Name=f"of-{alarm}")["TopicArn"]
    url: str = sqs.create_queue(QueueName=f"of-{alarm}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"])
    [found] = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    operation = cloudwatch.meta.service_model.operation_model("PutMetricAlarm")
    settings = {name: value for name, value in found.items() if value}
    settings |= {"Threshold": found["Threshold"], "AlarmActions": [topic], "OKActions": [topic]}
    cloudwatch.delete_alarms(AlarmNames=[alarm])
    cloudwatch.put_metric_alarm(
        **{name: settings[name] for name in operation.input_shape.members if name in settings}
    )
    return url


def _next_state(aws: Aws, url: str) -> str:
    """The state in the next notification of the queue."""
    sqs = aws.clients.client("sqs")

    def received() -> str | None:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            state: str = json.loads(json.loads(message["Body"])["Message"])["NewStateValue"]
            return state
        return None

    return wait_for(received, "a notification of the alarm")
