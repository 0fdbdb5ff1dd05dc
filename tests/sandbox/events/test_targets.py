"""Queues and functions that are targets of rules, and what their policies let through."""

from __future__ import annotations

import json
from typing import Any

from sandbox.clients import Clients
from tests.sandbox.cloudformation.serving import Served
from tests.sandbox.cloudformation.support import zipped
from tests.sandbox.functions.conftest import wait_for

from .support import SENDS, EventBridge, name

HANDLER = """
import json
def handler(event, context):
    print(json.dumps({"got": event}))
"""


def failed(bridge: EventBridge, rule_arn: str) -> bool:
    """Wait until a rule on the default bus has failed to invoke a target."""
    rule = rule_arn.rpartition("/")[2]
    return bool(wait_for(lambda: bridge.metric("FailedInvocations", rule)))


def source_of(rule_arn: str) -> dict[str, Any]:
    """A condition on the rule that sends."""
    return {"Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}}}


def test_a_queue_takes_only_what_its_policy_lets_events_send(bridge: EventBridge) -> None:
    source = name()
    no_tls = {**SENDS, "Principal": "*", "Action": "sqs:*", "Effect": "Deny"}
    denied = [
        [],
        [{**SENDS, "Principal": {"Service": "sns.amazonaws.com"}}],
        [{**SENDS, "Principal": {"AWS": "123456789012"}}],
        [{**SENDS, "Action": "sqs:ReceiveMessage"}],
        [{**SENDS, "Resource": "arn:aws:sqs:us-east-1:123456789012:other"}],
        [SENDS, {**SENDS, "Effect": "Deny"}],
        [{**SENDS, **source_of("arn:aws:events:us-east-1:123456789012:rule/other")}],
        [{**SENDS, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}],
    ]
    allowed = [
        [SENDS],
        [{**SENDS, "Principal": "*"}],
        [{**SENDS, "Action": "SQS:SendMessage"}],
        [SENDS, {**no_tls, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}],
        [{**SENDS, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/test-*"}}}],
    ]

    rules = [
        bridge.rule({"source": [source]}, {"Arn": bridge.queue(*statements).arn})
        for statements in denied
    ]
    queues = [bridge.queue(*statements) for statements in allowed]
    for queue in queues:
        bridge.rule({"source": [source]}, {"Arn": queue.arn})
    bridge.put(source)

    assert all(failed(bridge, rule) for rule in rules)
    assert len([bridge.events(queue) for queue in queues]) == len(allowed)
    sent = [message for message in messages(bridge) if source in message["body"]]
    assert len(sent) == len(allowed)


def messages(bridge: EventBridge) -> list[dict[str, Any]]:
    endpoint = bridge.client("sqs").meta.endpoint_url
    found: list[dict[str, Any]] = Served(Clients(endpoint)).listed("messages")
    return found


def test_a_condition_on_the_rule_is_of_the_rule_that_sends(bridge: EventBridge) -> None:
    source, rule = name(), name()
    arn = f"arn:aws:events:us-east-1:123456789012:rule/{rule}"
    queue = bridge.queue({**SENDS, **source_of(arn)})
    assert bridge.rule({"source": [source]}, {"Arn": queue.arn}, Name=rule) == arn
    refused = bridge.rule({"source": [source]}, {"Arn": queue.arn})

    bridge.put(source)

    assert bridge.events(queue)[0]["source"] == source
    assert failed(bridge, refused)


def test_a_dead_letter_queue_gets_what_a_target_does_not_take(bridge: EventBridge) -> None:
    source = name()
    dead_letters, closed, missing = (
        bridge.queue(SENDS),
        bridge.queue(),
        f"{bridge.queue().arn}-none",
    )
    config = {"DeadLetterConfig": {"Arn": dead_letters.arn}, "Input": '"other"'}
    rule = bridge.rule(
        {"source": [source]}, {"Arn": closed.arn, **config}, {"Arn": missing, **config}
    )

    bridge.put(source, {"state": "complete"})

    found = bridge.received(dead_letters, 2)
    attributes = [
        {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
        for message in found
    ]
    assert {each["RULE_ARN"] for each in attributes} == {rule}
    assert {each["TARGET_ARN"]: each["ERROR_CODE"] for each in attributes} == {
        closed.arn: "NO_PERMISSIONS",
        missing: "NO_RESOURCE",
    }
    assert all(each["ERROR_MESSAGE"] for each in attributes)
    assert [json.loads(message["Body"])["detail"] for message in found] == [
        {"state": "complete"}
    ] * 2
    rule_name = rule.rpartition("/")[2]
    wait_for(lambda: bridge.metric("InvocationsSentToDlq", rule_name) == 2)
    assert bridge.metric("Invocations", rule_name) == 2
    assert bridge.metric("FailedInvocations", rule_name) == 2


def test_a_dead_letter_queue_needs_a_policy_too(bridge: EventBridge) -> None:
    source, closed = name(), bridge.queue()
    rule = bridge.rule(
        {"source": [source]}, {"Arn": closed.arn, "DeadLetterConfig": {"Arn": closed.arn}}
    )

    bridge.put(source)

    rule_name = rule.rpartition("/")[2]
    wait_for(lambda: bridge.metric("InvocationsFailedToBeSentToDlq", rule_name))
    assert bridge.metric("InvocationsSentToDlq", rule_name) == 0


def test_a_queue_that_a_key_encrypts_needs_a_key_policy_that_names_events(
    bridge: EventBridge,
) -> None:
    kms, source = bridge.client("kms"), name()
    uses = {**SENDS, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}
    root = {**uses, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}

    def key(*statements: dict[str, Any]) -> str:
        policy = json.dumps({"Statement": list(statements)})
        key_id: str = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
        return key_id

    of_rule = {"ArnLike": {"aws:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/*"}}
    keys = (
        *("alias/aws/sqs", key(root), key(root, {**uses, "Action": "kms:Decrypt"})),
        key(root, {**uses, "Condition": of_rule}),
    )
    closed = [bridge.queue(SENDS, KmsMasterKeyId=key_id) for key_id in keys]
    rules = [bridge.rule({"source": [source]}, {"Arn": queue.arn}) for queue in closed]
    opened = bridge.queue(SENDS, KmsMasterKeyId=key(root, uses))
    bridge.rule({"source": [source]}, {"Arn": opened.arn})

    bridge.put(source)

    assert bridge.events(opened)[0]["source"] == source
    assert all(failed(bridge, rule) for rule in rules)


def test_a_function_is_invoked_with_the_event_where_its_policy_lets_the_rule(
    bridge: EventBridge,
) -> None:
    source = name()
    functions = [function(bridge) for _ in range(2)]
    rules = [bridge.rule({"source": [source]}, {"Arn": arn}) for arn in functions]
    for arn in functions:
        permit(bridge, arn, rules[0])

    bridge.put(source, {"state": "complete"})

    [event] = wait_for(lambda: printed(bridge, functions[0]))
    assert (event["source"], event["detail"]) == (source, {"state": "complete"})
    assert failed(bridge, rules[1])
    assert printed(bridge, functions[1]) == []


def test_a_bucket_that_is_created_is_no_event(bridge: EventBridge) -> None:
    source, arn = name(), function(bridge)
    pattern = {"source": ["aws.s3", source], "detail": {"eventName": ["CreateBucket"]}}
    permit(bridge, arn, bridge.rule(pattern, {"Arn": arn}))

    bridge.client("s3").create_bucket(Bucket=source)
    bridge.put(source, {"eventName": "CreateBucket"})

    wait_for(lambda: source in {event["source"] for event in printed(bridge, arn)})
    assert len(printed(bridge, arn)) == 1


def permit(bridge: EventBridge, function_arn: str, rule_arn: str) -> None:
    """Let a rule invoke a function."""
    bridge.client("lambda").add_permission(
        FunctionName=function_arn,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )


def function(bridge: EventBridge) -> str:
    """A new function that prints its events; its ARN."""
    iam, function_name = bridge.client("iam"), name()
    role = iam.create_role(RoleName=function_name, AssumeRolePolicyDocument="{}")["Role"]
    logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    iam.put_role_policy(
        RoleName=function_name,
        PolicyName="logs",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [logs]}),
    )
    arn: str = bridge.client("lambda").create_function(
        FunctionName=function_name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role["Arn"],
        Code={"ZipFile": zipped(HANDLER)},
    )["FunctionArn"]
    return arn


def printed(bridge: EventBridge, arn: str) -> list[dict[str, Any]]:
    """The events that a function has printed."""
    logs = bridge.client("logs")
    group = f"/aws/lambda/{arn.rpartition(':')[2]}"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    lines = [each["message"] for each in logs.filter_log_events(logGroupName=group)["events"]]
    return [json.loads(line)["got"] for line in lines if line.startswith('{"got"')]
