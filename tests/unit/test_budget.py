"""Durations that fit into each other, and calls that fit into what an invocation has left."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from samtranslator.yaml_helper import yaml_parse

from instance_bundle import aws, budget
from instance_bundle.aws import clients
from instance_bundle.errors import NothingDone, PassingFault
from instance_bundle.lifecycle import interval

TEMPLATE: dict[str, Any] = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
FUNCTION_SECONDS = TEMPLATE["Globals"]["Function"]["Timeout"]
VISIBILITY_SECONDS = TEMPLATE["Resources"]["PollQueue"]["Properties"]["VisibilityTimeout"]


class Invocation:
    """One whose time the test spends."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def millis(self) -> int:
        return int(self.left * 1000)


@pytest.fixture
def invocation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Invocation]:
    this = Invocation(FUNCTION_SECONDS)
    monkeypatch.setattr("time.sleep", lambda seconds: setattr(this, "left", this.left - seconds))
    with budget.invocation(this.millis):
        yield this


def test_what_is_shorter_fits_into_what_is_longer() -> None:
    with budget.invocation(lambda: FUNCTION_SECONDS * 1000):
        durations = [
            budget.CONNECT + budget.READ,
            budget.ATTEMPT,
            budget.WORK,
            budget.left(),
            budget.lease(),
            VISIBILITY_SECONDS,
        ]

    assert all(shorter < longer for shorter, longer in itertools.pairwise(durations))


def test_one_call_that_hangs_delays_others_by_no_more_than_a_polling_interval() -> None:
    """It may fail at once first, as often as it is repeated, and hang then."""
    assert interval.INTERVAL.latest >= budget.RETRY_WITHIN + budget.CONNECT + budget.READ


def test_after_a_call_that_hangs_there_is_time_to_save_progress() -> None:
    assert budget.WORK - budget.CONNECT - budget.READ >= budget.SAVE


@pytest.mark.parametrize("timeout", [10, 15, 60, 300, 3600])
def test_a_poll_and_an_answer_fit_between_the_deadline_and_cloudformations_own_limit(
    timeout: int,
) -> None:
    margin = timeout - budget.deadline(0, timeout)

    assert margin >= budget.NEXT_POLL
    assert budget.deadline(0, timeout) >= budget.NEXT_POLL


@pytest.mark.parametrize("timeout", [1, 6, 9])
def test_a_delete_has_half_of_a_timeout_that_is_too_short_for_anything_else(timeout: int) -> None:
    assert budget.deadline(100, timeout) == 100 + timeout / 2


# Calls


def client_that_meets(
    invocation: Invocation, problems: list[tuple[float, Exception]], service: str = "ec2"
) -> tuple[Any, list[str]]:
    """A client each of whose attempts takes so many seconds and comes to this; and the attempts."""
    client = clients._within_limits(boto3.client(service, config=clients._REPEATED))  # type: ignore[call-overload]
    attempts: list[str] = []

    def meet(request: Any, **_: Any) -> None:
        attempts.append(request.url)
        seconds, problem = problems[len(attempts) - 1]
        invocation.left -= seconds
        raise problem

    client.meta.events.register_first("before-send", meet)
    return client, attempts


HANGS = (
    budget.CONNECT + budget.READ,
    ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com"),
)
RESET = (0.1, ConnectionClosedError(endpoint_url="https://ec2.us-east-1.amazonaws.com"))


def test_a_call_that_hangs_is_not_attempted_again(invocation: Invocation) -> None:
    client, attempts = client_that_meets(invocation, [HANGS] * 3)

    with pytest.raises(PassingFault), aws.calling("ec2:DescribeInstances"):
        client.describe_instances()

    assert len(attempts) == 1
    assert invocation.left >= FUNCTION_SECONDS - interval.INTERVAL.latest


def test_a_call_that_is_reset_at_once_is_attempted_again(invocation: Invocation) -> None:
    client, attempts = client_that_meets(invocation, [RESET, RESET, HANGS])

    with pytest.raises(PassingFault), aws.calling("ec2:DescribeInstances"):
        client.describe_instances()

    assert len(attempts) == 3
    assert invocation.left >= FUNCTION_SECONDS - interval.INTERVAL.latest


@pytest.mark.parametrize(
    ("service", "operation", "need"),
    [
        ("ec2", "describe_instances", budget.WORK),
        ("s3", "list_buckets", budget.WORK),
        ("events", "list_event_buses", budget.SAVE),
        ("dynamodb", "list_tables", budget.SAVE),
        ("sqs", "list_queues", budget.SAVE),
    ],
)
def test_a_call_for_which_there_is_too_little_time_is_not_made(
    invocation: Invocation, service: str, operation: str, need: int
) -> None:
    client, attempts = client_that_meets(invocation, [RESET] * 9, service)

    invocation.left = need - 0.1
    with pytest.raises(NothingDone, match="too little time"), aws.calling(operation):
        getattr(client, operation)()
    assert attempts == []

    invocation.left = need
    with pytest.raises(PassingFault) as raised, aws.calling(operation):
        getattr(client, operation)()
    assert not isinstance(raised.value, NothingDone)
    assert len(attempts) == 1


def test_time_is_endless_outside_of_an_invocation_and_an_invocations_own_inside() -> None:
    with budget.invocation(lambda: 20_000):
        with budget.invocation(lambda: 1_000):
            assert budget.left() == 1
        assert budget.left() == 20
    assert budget.left() == float("inf")
