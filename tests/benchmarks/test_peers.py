"""The simulated alternatives, compared with the real libraries."""

from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import WaiterError
from botocore.waiter import WaiterModel, create_waiter_with_client
from crhelper import CfnResource

from benchmarks.polling import peers
from benchmarks.polling.bundles import Bundle, draw

EC2 = boto3.client("ec2", region_name="us-east-1")
BUNDLES = [*draw(20, seed=1), *draw(20, seed=2)]


class Clock:
    """The simulation's time, which a waiter passes by sleeping."""

    def __init__(self, now: float) -> None:
        self.now = now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SimulatedEc2:
    """EC2 as a botocore client of it, with one bundle task."""

    def __init__(self, bundle: Bundle, clock: Clock) -> None:
        self._bundle = bundle
        self._clock = clock
        self.polls: list[float] = []
        self.meta = EC2.meta

    def describe_bundle_tasks(self, **_: Any) -> Mapping[str, Any]:
        self.polls.append(self._clock.now)
        task = self._bundle.seen(self._clock.now)
        return {"BundleTasks": [{"BundleId": task.id, "State": task.state}]}


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: f"{bundle.duration:.0f} s")
def test_a_waiting_function_polls_when_botocores_waiter_polls(bundle: Bundle) -> None:
    clock = Clock(bundle.start)
    ec2 = SimulatedEc2(bundle, clock)
    model = EC2._get_waiter_config()  # type: ignore[attr-defined]
    waiter = create_waiter_with_client("BundleTaskComplete", WaiterModel(model), ec2)  # type: ignore[arg-type]
    answered = True
    with patch("botocore.waiter.time.sleep", clock.sleep):
        try:
            waiter.wait(BundleIds=[bundle.id], WaiterConfig={"MaxAttempts": peers.WAITER_ATTEMPTS})
        except WaiterError:
            answered = False

    polls = peers.waiting(bundle)
    assert polls.at == pytest.approx(ec2.polls)
    assert (polls.at[-1] >= bundle.end) == answered


class Rules:
    """What crhelper's clients of EventBridge and Lambda are asked for."""

    def __init__(self) -> None:
        self.schedules: list[str] = []
        self.removed = 0

    def put_rule(self, ScheduleExpression: str, **_: Any) -> Mapping[str, str]:  # noqa: N803
        self.schedules.append(ScheduleExpression)
        return {"RuleArn": "arn:aws:events:us-east-1:123456789012:rule/a"}

    def delete_rule(self, **_: Any) -> None:
        self.removed += 1

    def __getattr__(self, _: str) -> Any:
        return lambda **_: {}


class Context:
    function_name = "stock"
    aws_request_id = "b1dd1e4a-4d0c-4f0c-8d0e-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def rules() -> Iterator[Rules]:
    made = Rules()
    with patch("crhelper.resource_helper.boto3.client", lambda *_, **__: made):
        yield made


@pytest.mark.parametrize("minutes", [1, 2])
@pytest.mark.parametrize("bundle", BUNDLES[:8], ids=lambda bundle: f"{bundle.duration:.0f} s")
def test_crhelper_polls_at_each_run_of_the_rule_that_it_creates(
    bundle: Bundle, minutes: int, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(bundle.start)
    polls: list[float] = []
    answers: list[float] = []
    helper = CfnResource(polling_interval=minutes)

    @helper.create
    def create(_event: Any, _context: Any) -> str:
        return bundle.id

    @helper.poll_create
    def poll(_event: Any, _context: Any) -> str | None:
        polls.append(clock.now)
        return bundle.id if bundle.seen(clock.now).phase == "complete" else None

    monkeypatch.setattr(helper, "_send", lambda: answers.append(clock.now))
    monkeypatch.setattr(helper, "_wait_for_cwlogs", lambda: None)
    event: dict[str, Any] = {
        "RequestType": "Create",
        "ResponseURL": "https://example.com/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/web/0a1b2c3d",
        "RequestId": "r1",
        "LogicalResourceId": "Bundle",
        "ResourceProperties": {},
    }
    helper(event, Context())
    [schedule] = rules.schedules
    assert schedule == f"rate({minutes} minute{'s' if minutes > 1 else ''})"
    while not answers:
        clock.now += 60 * minutes
        helper({**event, "CrHelperPoll": True}, Context())

    in_time = [poll for poll in polls if poll <= bundle.start + peers.LONGEST]
    assert peers.crhelper(minutes)(bundle).at == pytest.approx(in_time)
    assert rules.removed == 1
