"""CloudWatch in this process, on a clock that the test moves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sandbox.cloudwatch import embedded_metrics
from sandbox.cloudwatch.alarms import Alarms

BEGIN = 1_800_000_000.0  # a whole minute


@dataclass
class Time:
    """Epoch seconds, of which all data and alarms are."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float) -> float:
        return moment

    def real(self, moment: float) -> float:
        return moment


@dataclass
class CloudWatch:
    """What tests talk to."""

    time: Time = field(default_factory=Time)
    alarms: Alarms = field(init=False)
    clients: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.alarms = Alarms(self.time)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,  # type: ignore[call-overload]  # any service
                region_name="us-east-1",
            )
        return self.clients[service]

    def pass_minutes(self, count: int = 1) -> None:
        for _ in range(count):
            self.time.now += 60
            self.alarms.advance()

    def datum(self, value: float, name: str = "Crashes", namespace: str = "Test") -> None:
        """Put a datum of this moment."""
        self.client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "service", "Value": "shop"}],
                    "Timestamp": datetime.fromtimestamp(self.time.now, UTC),
                    "Value": value,
                }
            ],
        )

    def put_alarm(self, **more: Any) -> None:
        self.client("cloudwatch").put_metric_alarm(**{**alarm(), **more})

    def state(self, name: str = "crashes") -> str:
        [found] = self.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        state: str = found["StateValue"]
        return state

    def states(self, minutes: int, name: str = "crashes") -> list[str]:
        """The alarm's state after each of the next minutes."""
        seen = []
        for _ in range(minutes):
            self.pass_minutes()
            seen.append(self.state(name))
        return seen


def alarm(**more: Any) -> dict[str, Any]:
    """The parameters of an alarm."""
    return {
        "AlarmName": "crashes",
        "Namespace": "Test",
        "MetricName": "Crashes",
        "Dimensions": [{"Name": "service", "Value": "shop"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    with mock_aws(), embedded_metrics.extracted():
        found = CloudWatch()
        with found.alarms.watching():
            yield found
