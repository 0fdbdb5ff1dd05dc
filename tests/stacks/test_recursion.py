"""Work that needs more polls than one chain of requests may have invocations."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.application import STACK_NAME
from sandbox.clients import Clients

from .faults import hurry
from .support import Aws, SandboxProcess, created, json_of, signing_secret, wait_for
from .test_store_image import stored

LIMIT = 16
"""Invocations of one chain, approximately on AWS, and exactly in the sandbox."""

# Most of it shows at once, so that the polls come as soon as they may.
LONG = {"image_seconds": "1", "store_seconds": "110", "store_stalls": "99"}


@pytest.fixture
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox of its own, where nothing else invokes the function."""
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    clients = Clients(sandbox.ready["endpoint"])
    aws = Aws({**sandbox.ready, "secret": signing_secret(clients)}, clients)
    try:
        hurry(aws)
        yield aws
    finally:
        status = sandbox.end()
    assert status == 0


@pytest.mark.nightly
def test_work_of_many_polls_completes_since_the_template_allows_loops(
    aws: Aws, template: Callable[..., dict[str, Any]]
) -> None:
    before = invocations(aws)
    created(aws, stored(template, aws.ebs_instance(**LONG)))
    assert invocations(aws) - before > LIMIT
    assert dropped(aws) == 0

    deploy_without_the_setting(aws)
    hurry(aws)
    before = invocations(aws)
    stack_id = aws.create_stack(stored(template, aws.ebs_instance(**LONG)))
    wait_for(lambda: dropped(aws) or None, "the loop to be stopped")
    assert invocations(aws) - before == LIMIT

    # The message is not handled any more, until it is a dead letter, which the last resort answers.
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "polls" in aws.failure(stack_id)
    assert dropped(aws) == 3


def invocations(aws: Aws) -> int:
    counts = json_of(f"{aws.clients.endpoint}/sandbox/invocations")
    return sum(each["count"] for each in counts if each["function"] == name(aws))


def dropped(aws: Aws) -> float:
    """How many invocations Lambda has stopped, by CloudWatch."""
    now = datetime.now(UTC)
    points = aws.clients.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="RecursiveInvocationsDropped",
        Dimensions=[{"Name": "FunctionName", "Value": name(aws)}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def name(aws: Aws) -> str:
    return aws.ready["service_token"].rsplit(":", 1)[1]


def deploy_without_the_setting(aws: Aws) -> None:
    """Update the application to a template with no RecursiveLoop."""
    stacks = aws.clients.cloudformation
    body: Any = stacks.get_template(StackName=STACK_NAME, TemplateStage="Original")["TemplateBody"]
    deployed = json.loads(body) if isinstance(body, str) else json.loads(json.dumps(body))
    assert deployed["Globals"]["Function"].pop("RecursiveLoop") == "Allow"
    [stack] = stacks.describe_stacks(StackName=STACK_NAME)["Stacks"]
    stacks.update_stack(
        StackName=STACK_NAME,
        TemplateBody=json.dumps(deployed),
        Parameters=[
            {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True}
            for parameter in stack["Parameters"]
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    assert aws.at_rest(STACK_NAME)["StackStatus"] == "UPDATE_COMPLETE"
    config = aws.clients.functions.get_function_recursion_config(FunctionName=name(aws))
    assert config["RecursiveLoop"] == "Terminate"
