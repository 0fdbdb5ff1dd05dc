"""Each alarm of the application fires, and clears when what docs/operating.md says is typed."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from instance_bundle.request import RequestKey
from instance_bundle.state.poll_queue import Poll
from sandbox.functions.lineage import HEADER, LIMIT, Lineage

from .events_of_buckets import send_events
from .installations import change, resources
from .pages import Operator
from .support import Aws, Observers, SandboxProcess, json_of, signing_secret, wait_for

MINUTE = "0.3"
"""Seconds that a minute of CloudWatch's takes."""

Template = Callable[..., dict[str, Any]]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """A sandbox whose minutes are short."""
    sandbox = SandboxProcess.start(tmp_path, options=["--cloudwatch-minute", MINUTE])
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def test_each_alarm_fires_and_clears(aws: Aws, template: Template, tmp_path: Path) -> None:
    home = tmp_path / "operator"
    home.mkdir()
    operator = Operator(aws, "docs/operating.md", home)
    stories: Mapping[str, Callable[[], object]] = {
        "DeadLettersAnsweredAlarm": partial(_crash, aws, template),
        "DeadLetterWaitsAlarm": partial(_hold_a_dead_letter, aws),
        "LastResortFailedAlarm": partial(_drop_an_event, aws),
        "LoopStoppedAlarm": partial(_stop_a_loop, aws, "InstanceBundleFunction"),
        "LastResortStoppedAlarm": partial(_stop_a_loop, aws, "LastResortFunction"),
        "EventsRefusedAlarm": partial(_refuse_an_event, aws),
    }
    alarms = {name: alarm for name, alarm in resources(aws).items() if name.endswith("Alarm")}
    assert stories.keys() == alarms.keys()

    for name, story in stories.items():
        notifications = _listening(aws, alarms[name])
        assert _next_state(aws, notifications) == "OK"
        is_over = story()
        assert _next_state(aws, notifications) == "ALARM"
        operator.type(name)
        assert _next_state(aws, notifications) == "OK"
        if callable(is_over):
            is_over()


def _crash(aws: Aws, template: Template) -> None:
    """Have a Create crash the function until the failure handler answers."""
    function = aws.ready["service_token"]
    configure = aws.clients.functions.update_function_configuration
    configure(FunctionName=function, Handler="instance_bundle.no_such_module.handler")
    stack_id = aws.create_stack(template(aws.instance(seconds="1"), "crashing/web"))
    wait_for(lambda: aws.responses(stack_id) or None, "the failure handler's answer")
    configure(FunctionName=function, Handler="instance_bundle.app.handler")
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"


def _hold_a_dead_letter(aws: Aws) -> None:
    """Have a dead letter, and a failure handler that can't run and gets no dead letters."""
    made = resources(aws)
    functions = aws.clients.functions
    functions.put_function_concurrency(
        FunctionName=made["LastResortFunction"], ReservedConcurrentExecutions=0
    )
    functions.update_event_source_mapping(UUID=made["DeadLetterSource"], Enabled=False)
    key = {"stack_id": "arn:of-no-stack", "logical_id": "Bundle", "request_id": "none"}
    poll = Poll(RequestKey(**key), 1).body()
    aws.clients.client("sqs").send_message(QueueUrl=made["DeadLetterQueue"], MessageBody=poll)


def _drop_an_event(aws: Aws) -> Callable[[], object]:
    """Have an event crash the failure handler until Lambda drops it; returns what ends that."""
    configure = partial(
        aws.clients.functions.update_function_configuration,
        FunctionName=resources(aws)["LastResortFunction"],
    )
    configure(Handler="instance_bundle.no_such_module.handler")
    aws.clients.functions.invoke(
        FunctionName=resources(aws)["LastResortFunction"], InvocationType="Event", Payload=b"{}"
    )
    return partial(configure, Handler="instance_bundle.last_resort.handler")


def _refuse_an_event(aws: Aws) -> Callable[[], object]:
    """Have a key that does not let EventBridge encrypt, and put an object that is an event; returns
    what puts an event that has to be let through."""
    everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    account = {**everything, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [account]})
    key = aws.clients.client("kms").create_key(Policy=policy)["KeyMetadata"]
    change(aws, KmsKeyArn=key["Arn"])
    send_events(aws, aws.ready["bucket"])
    put = partial(aws.clients.s3.put_object, Bucket=aws.ready["bucket"], Body=b"")
    put(Key="refused.manifest.xml")

    def is_let_through() -> None:
        put(Key="let-through.manifest.xml")
        messages = partial(json_of, f"{aws.clients.endpoint}/sandbox/messages")
        wait_for(lambda: "let-through" in str(messages()) or None, "an event to be let through")

    return is_let_through


def _stop_a_loop(aws: Aws, logical_id: str) -> Callable[[], object]:
    """Have Lambda stop a function as part of a loop; returns what has to be allowed again."""
    functions = aws.clients.client("lambda")
    name = resources(aws)[logical_id]
    account = aws.ready["service_token"].split(":")[4]
    function = SimpleNamespace(account_id=account, region=aws.ready["region"], function_name=name)
    chain = Lineage()
    for _ in range(LIMIT):
        chain = chain.through(cast(Any, function))

    def join_the_chain(params: dict[str, Any], **_: Any) -> None:
        params["headers"][HEADER] = chain.header()

    functions.meta.events.register("before-call.lambda.Invoke", join_the_chain)
    functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Terminate")
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")

    def is_allowed() -> None:
        found = functions.get_function_recursion_config(FunctionName=name)
        assert found["RecursiveLoop"] == "Allow"

    return is_allowed


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
