"""Requests in each form in which CloudFormation may send them, and with a ServiceTimeout that
leaves no time for work."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .support import (
    Aws,
    Observers,
    SandboxProcess,
    deleted,
    json_of,
    side_by_side,
    signing_secret,
    wait_for,
)

Template = Callable[..., dict[str, Any]]

USUAL: Sequence[str] = ()
OTHER = ("--signature-version", "2", "--service-timeout", "event")


@pytest.fixture(params=[USUAL, OTHER], ids=["usual", "other"])
def aws(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Aws]:
    """A sandbox of its own, whose calls can be counted."""
    sandbox = SandboxProcess.start(tmp_path, options=request.param)
    clients = Observers(sandbox.ready["endpoint"])
    yield Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    assert sandbox.end() == 0


def test_requests_of_each_form_are_answered_and_one_with_too_little_time_at_once(
    aws: Aws, template: Template
) -> None:
    side_by_side(
        partial(_create_replacement_and_delete, aws, template),
        partial(_create_that_follows_one_that_failed, aws, template),
    )
    _timeout_that_is_too_short(aws, template)
    _shortest_timeout(aws, template)
    _message_of_a_topic(aws, template)


def test_the_application_answers_over_https(tmp_path: Path, template: Template) -> None:
    sandbox = SandboxProcess.start(tmp_path, options=["--https"])
    _create_replacement_and_delete(
        Aws(sandbox.ready, Observers(sandbox.ready["endpoint"])), template
    )
    assert sandbox.end() == 0


def _create_replacement_and_delete(aws: Aws, template: Template) -> None:
    instance = aws.instance(seconds="1")
    stack_id = aws.create_stack(template(instance, "forms/one", OnDelete="Delete"))
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE", aws.events(stack_id)

    aws.update_stack(stack_id, template(instance, "forms/two", OnDelete="Delete"))
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert len(aws.bundle_requests(instance)) == 2
    assert all(key.startswith("forms/two") for key in aws.keys("forms/"))
    assert "forms/two.manifest.xml" in aws.keys("forms/")

    deleted(aws, stack_id)
    assert aws.keys("forms/") == []


def _create_that_follows_one_that_failed(aws: Aws, template: Template) -> None:
    """The same resource of the same stack: Create, its rollback's Delete, and Create."""
    instance = aws.instance(seconds="1")
    with_bundle = template(instance, "corrected/web", OnDelete="Delete")
    handle = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    without = {"Resources": handle}
    with_bundle["Resources"] |= handle
    stack_id = aws.create_stack(without)
    assert aws.at_rest(stack_id)["StackStatus"] == "CREATE_COMPLETE"

    wrong = json.loads(json.dumps(with_bundle))
    wrong["Resources"]["Bundle"]["Properties"]["Colour"] = "red"
    aws.update_stack(stack_id, wrong)
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Colour" in aws.failure(stack_id)

    aws.update_stack(stack_id, with_bundle)
    assert aws.at_rest(stack_id)["StackStatus"] == "UPDATE_COMPLETE", aws.events(stack_id)
    assert "corrected/web.manifest.xml" in aws.keys("corrected/")


def _timeout_that_is_too_short(aws: Aws, template: Template) -> None:
    """The Create and the Delete are answered by the first invocation that has them."""
    instance = aws.instance(seconds="120")
    before = _calls(aws)

    stack_id = aws.create_stack(template(instance, "short/web", ServiceTimeout=6))

    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE", aws.events(stack_id)
    assert "1 problem in the properties. ServiceTimeout: " in aws.failure(stack_id)
    made = {call for call, count in _calls(aws).items() if count != before.get(call)}
    assert {call for call in made if call.startswith(("ec2:", "s3:"))} == set()
    assert aws.bundle_requests(instance) == []
    assert _answers(aws, stack_id) == [("FAILED", True), ("SUCCESS", True)]
    received, answering = (_invocations(aws, stack_id, word) for word in ("Received", "Answering"))
    assert len(set(received)) == 2
    assert received == answering


def _shortest_timeout(aws: Aws, template: Template) -> None:
    """Where the machine is slow, the work may not fit in; then that is the answer, in time."""
    instance = aws.instance(seconds="1")

    stack_id = aws.create_stack(template(instance, "shortest/web", ServiceTimeout=10))

    status = aws.at_rest(stack_id)["StackStatus"]
    assert status in ("CREATE_COMPLETE", "ROLLBACK_COMPLETE"), aws.events(stack_id)
    answer = "SUCCESS" if status == "CREATE_COMPLETE" else "FAILED"
    assert _answers(aws, stack_id)[0] == (answer, True)


def _message_of_a_topic(aws: Aws, template: Template) -> None:
    """A ServiceToken may be a topic: the request is then the text of its message."""
    instance = aws.instance(seconds="1")
    token = {"ServiceToken": aws.ready["service_token"]}
    made = template(instance, "topic/web", DryRun=True)["Resources"]["Bundle"]["Properties"] | token
    stack_id = f"arn:aws:cloudformation:us-east-1:123456789012:stack/topic/{uuid.uuid4()}"
    request = {
        "RequestType": "Create",
        "ResponseURL": f"{aws.clients.endpoint}/sandbox/responses/topic",
        "StackId": stack_id,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "Bundle",
        "ResourceType": "Custom::InstanceBundle",
        "ResourceProperties": made,
    }
    message = {"Type": "Notification", "Message": json.dumps(request)}
    event = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": message}]}

    aws.clients.functions.invoke(
        FunctionName=aws.ready["service_token"],
        InvocationType="Event",
        Payload=json.dumps(event).encode(),
    )

    wait_for(lambda: _answers(aws, stack_id) or None, "the answer")
    assert [status for status, _ in _answers(aws, stack_id)] == ["SUCCESS"]


def _calls(aws: Aws) -> dict[str, int]:
    """How often the function has made each call."""
    counts = json_of(f"{aws.clients.endpoint}/sandbox/api-calls")
    name = aws.ready["service_token"].rsplit(":", 1)[1]
    return {each["call"]: each["count"] for each in counts if each["function"] == name}


def _answers(aws: Aws, stack_id: str) -> list[tuple[str, bool]]:
    """The answers about a stack: each status, and whether CloudFormation still waited for it."""
    return [
        (response["body"]["Status"], response["taken"])
        for response in json_of(f"{aws.clients.endpoint}/sandbox/responses")
        if response["stackId"] == stack_id
    ]


def _invocations(aws: Aws, stack_id: str, message: str) -> list[str]:
    """The invocations that logged a message about a stack, in order."""
    pages = (
        aws.clients.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=aws.ready["log_group"])
    )
    lines = [json.loads(event["message"]) for page in pages for event in page["events"]]
    return [
        line["function_request_id"]
        for line in lines
        if line.get("stack_id") == stack_id and line.get("message") == message
    ]
