"""Work that needs more polls than one chain of requests may have invocations."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .faults import hurry, set_visibility
from .installations import deployed, update
from .support import Aws, Observers, SandboxProcess, created, json_of, signing_secret, wait_for
from .test_store_image import stored

LIMIT = 16
"""Invocations of one chain, approximately on AWS, and exactly in the sandbox."""

RECEIVES = 3
"""How often a message is received until it is a dead letter."""

STOPPED_TIMEOUT = 200
"""Seconds that a stack waits whose polls are stopped: for as many polls as a chain may have, and
until the last of them is a dead letter."""

# Most of it shows at once, so that the polls come as soon as they may.
LONG = {"image_seconds": "1", "store_seconds": "100", "store_stalls": "99"}


@pytest.fixture
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A sandbox of its own, where nothing else invokes the function."""
    sandbox = SandboxProcess.start(tmp_path_factory.mktemp("sandbox"))
    clients = Observers(sandbox.ready["endpoint"])
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
    set_visibility(aws, 9)
    before = invocations(aws)
    stack_id = aws.create_stack(
        stored(template, aws.ebs_instance(**LONG), ServiceTimeout=STOPPED_TIMEOUT)
    )
    wait_for(lambda: dropped(aws) or None, "the loop to be stopped")
    assert invocations(aws) - before == LIMIT

    # The message becomes a dead letter. The failure handler has the request polled again, in the
    # same chain, which Lambda stops again, and so on; after the deadline it answers.
    assert aws.at_rest(stack_id)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "its polls did not run in time" in aws.failure(stack_id)
    assert dropped(aws) >= RECEIVES


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
    template = deployed(aws)
    assert template["Globals"]["Function"].pop("RecursiveLoop") == "Allow"
    update(aws, template)
    config = aws.clients.functions.get_function_recursion_config(FunctionName=name(aws))
    assert config["RecursiveLoop"] == "Terminate"
