"""Alarms that are put over the API."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import MetricDatumBase

from sandbox.cloudwatch import alarms
from tests.sandbox.cloudwatch.conftest import CloudWatch, alarm


def notifications(cloudwatch: CloudWatch, url: str) -> list[tuple[str, str]]:
    """The old and new states in the notifications since the last time."""
    found = []
    while messages := cloudwatch.client("sqs").receive_message(QueueUrl=url).get("Messages"):
        for message in messages:
            cloudwatch.client("sqs").delete_message(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
            )
            notification = json.loads(json.loads(message["Body"])["Message"])
            assert notification["AlarmName"] == "crashes"
            found.append((notification["OldStateValue"], notification["NewStateValue"]))
    return found


@pytest.fixture
def topic(cloudwatch: CloudWatch) -> tuple[str, str]:
    """ARN of a topic, and URL of a queue that is subscribed to it."""
    arn = cloudwatch.client("sns").create_topic(Name="topic")["TopicArn"]
    url = cloudwatch.client("sqs").create_queue(QueueName="subscribed")["QueueUrl"]
    queue = cloudwatch.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    cloudwatch.client("sns").subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"]
    )
    return arn, url


def test_a_new_alarm_has_insufficient_data_and_an_updated_one_keeps_its_state(
    cloudwatch: CloudWatch,
) -> None:
    cloudwatch.put_alarm()
    assert cloudwatch.state() == "INSUFFICIENT_DATA"
    cloudwatch.pass_minutes()
    assert cloudwatch.state() == "OK"
    cloudwatch.put_alarm(Threshold=5)
    assert cloudwatch.state() == "OK"


def test_an_alarm_fires_at_the_end_of_the_minute_and_clears_periods_later(
    cloudwatch: CloudWatch,
) -> None:
    cloudwatch.put_alarm()
    cloudwatch.pass_minutes()
    cloudwatch.datum(1)
    assert cloudwatch.state() == "OK"
    # One point is enough for one evaluation period, also where it is the oldest of the range.
    assert cloudwatch.states(4) == ["ALARM", "ALARM", "ALARM", "OK"]


def test_a_point_within_the_threshold_clears_the_alarm_at_once(cloudwatch: CloudWatch) -> None:
    cloudwatch.put_alarm()
    cloudwatch.datum(1)
    assert cloudwatch.states(1) == ["ALARM"]
    cloudwatch.datum(0)
    assert cloudwatch.states(1) == ["OK"]


def test_the_window_of_a_long_period_moves_on_each_minute(cloudwatch: CloudWatch) -> None:
    cloudwatch.put_alarm(Period=300, Threshold=1, TreatMissingData="notBreaching")
    cloudwatch.pass_minutes(2)
    cloudwatch.datum(1)
    assert cloudwatch.states(2) == ["OK", "OK"]
    cloudwatch.datum(1)  # the sum of the last five minutes is 2 from now on
    assert cloudwatch.states(1) == ["ALARM"]


@pytest.mark.parametrize(
    ("statistic", "state"),
    [("Sum", "ALARM"), ("Average", "OK"), ("Maximum", "ALARM"), ("Minimum", "OK")],
)
def test_the_statistic_is_of_the_periods_data(
    cloudwatch: CloudWatch, statistic: str, state: str
) -> None:
    cloudwatch.put_alarm(Statistic=statistic, Threshold=3)
    for value in (4, 2, 0):
        cloudwatch.datum(value)
    assert cloudwatch.states(1) == [state]


@pytest.mark.parametrize(
    ("operator", "state"),
    [
        ("GreaterThanThreshold", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
    ],
)
def test_the_comparison_is_the_alarms(cloudwatch: CloudWatch, operator: str, state: str) -> None:
    cloudwatch.put_alarm(ComparisonOperator=operator, Threshold=2)
    cloudwatch.datum(2)
    assert cloudwatch.states(1) == [state]


def test_so_many_of_the_points_have_to_breach(cloudwatch: CloudWatch) -> None:
    cloudwatch.put_alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    states = []
    for value in (1, 0, 1, 0, 0):
        cloudwatch.datum(value)
        states += cloudwatch.states(1)
    assert states == ["OK", "OK", "ALARM", "OK", "OK"]


def test_data_with_other_dimensions_are_another_metrics(cloudwatch: CloudWatch) -> None:
    cloudwatch.put_alarm(Dimensions=[])
    cloudwatch.put_alarm(AlarmName="other", Dimensions=[{"Name": "service", "Value": "other"}])
    cloudwatch.datum(1)
    cloudwatch.pass_minutes()
    assert (cloudwatch.state(), cloudwatch.state("other")) == ("OK", "OK")


def test_topics_are_notified_of_each_change_once(
    cloudwatch: CloudWatch, topic: tuple[str, str]
) -> None:
    arn, url = topic
    cloudwatch.put_alarm(AlarmActions=[arn], OKActions=[arn])
    cloudwatch.pass_minutes(2)
    assert notifications(cloudwatch, url) == [("INSUFFICIENT_DATA", "OK")]
    cloudwatch.datum(1)
    cloudwatch.pass_minutes(2)
    assert notifications(cloudwatch, url) == [("OK", "ALARM")]
    cloudwatch.pass_minutes(4)
    assert notifications(cloudwatch, url) == [("ALARM", "OK")]


def test_an_alarm_whose_actions_are_disabled_notifies_nobody(
    cloudwatch: CloudWatch, topic: tuple[str, str]
) -> None:
    arn, url = topic
    cloudwatch.put_alarm(AlarmActions=[arn], ActionsEnabled=False)
    cloudwatch.datum(1)
    assert cloudwatch.states(1) == ["ALARM"]
    assert notifications(cloudwatch, url) == []


def test_a_topic_that_is_missing_does_not_stop_the_alarm(cloudwatch: CloudWatch) -> None:
    missing = "arn:aws:sns:us-east-1:123456789012:missing"
    cloudwatch.put_alarm(AlarmActions=[missing])
    cloudwatch.datum(1)
    assert cloudwatch.states(1) == ["ALARM"]


def test_a_state_that_is_set_takes_the_actions_and_lasts_to_the_next_evaluation(
    cloudwatch: CloudWatch, topic: tuple[str, str]
) -> None:
    arn, url = topic
    cloudwatch.put_alarm(AlarmActions=[arn])
    cloudwatch.pass_minutes()
    cloudwatch.client("cloudwatch").set_alarm_state(
        AlarmName="crashes", StateValue="ALARM", StateReason="a test"
    )
    assert notifications(cloudwatch, url) == [("OK", "ALARM")]
    assert cloudwatch.states(1) == ["OK"]


def metrics(expression: str) -> list[dict[str, Any]]:
    """The metrics `Crashes` and `Hangs`, and an expression of them."""

    def metric(name: str) -> dict[str, Any]:
        dimensions = [{"Name": "service", "Value": "shop"}]
        return {"Namespace": "Test", "MetricName": name, "Dimensions": dimensions}

    return [
        *(
            {
                "Id": name_id,
                "MetricStat": {"Metric": metric(name), "Period": 60, "Stat": "Maximum"},
                "ReturnData": False,
            }
            for name_id, name in (("crashes", "Crashes"), ("hangs", "Hangs"))
        ),
        {"Id": "all", "Expression": expression, "Label": "Both"},
    ]


def put_math_alarm(cloudwatch: CloudWatch, expression: str) -> None:
    given = alarm(Metrics=metrics(expression), Threshold=2)
    for name in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
        del given[name]
    cloudwatch.client("cloudwatch").put_metric_alarm(**given)


@pytest.mark.parametrize("expression", ["crashes + hangs", "SUM([crashes, hangs])"])
def test_an_alarm_may_be_of_an_expression(cloudwatch: CloudWatch, expression: str) -> None:
    put_math_alarm(cloudwatch, expression)
    cloudwatch.datum(2)
    assert cloudwatch.states(1) == ["OK"]
    cloudwatch.datum(2)
    cloudwatch.datum(1, "Hangs")
    assert cloudwatch.states(1) == ["ALARM"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"EvaluationPeriods": 2, "DatapointsToAlarm": 3}, "DatapointsToAlarm"),
        ({"Period": 90}, "multiple of 60"),
        ({"Period": 300, "EvaluationPeriods": 289}, "more than 86400 seconds"),
        ({"Statistic": "Sum", "TreatMissingData": "sometimes"}, "TreatMissingData"),
    ],
)
def test_an_alarm_that_cannot_be_is_refused(
    cloudwatch: CloudWatch, more: dict[str, Any], message: str
) -> None:
    cloudwatch.put_alarm()
    with pytest.raises(ClientError, match=message):
        cloudwatch.put_alarm(**more)
    [found] = cloudwatch.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (found["Period"], found["EvaluationPeriods"]) == (60, 1)


@pytest.mark.parametrize("expression", ["crashes + other", "RATE(crashes)"])
def test_an_expression_that_is_not_understood_is_refused(
    cloudwatch: CloudWatch, expression: str
) -> None:
    with pytest.raises(ClientError, match="not understood"):
        put_math_alarm(cloudwatch, expression)
    assert cloudwatch.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_a_datum_is_read_once_until_an_alarm_needs_earlier_ones(
    cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an alarm falls behind, the more data there are."""
    read: list[MetricDatumBase] = []

    def reading(datum: MetricDatumBase) -> float:
        read.append(datum)
        return epoch(datum)

    epoch = alarms._epoch
    monkeypatch.setattr(alarms, "_epoch", reading)
    cloudwatch.put_alarm()
    cloudwatch.pass_minutes()
    cloudwatch.datum(1)
    assert cloudwatch.states(9)[0] == "ALARM"
    [datum] = read

    cloudwatch.put_alarm(AlarmName="longer", EvaluationPeriods=20, DatapointsToAlarm=1)
    assert cloudwatch.states(1, "longer") == ["ALARM"]
    assert read == [datum, datum]


def test_no_minute_is_evaluated_once_the_sandbox_ends(cloudwatch: CloudWatch) -> None:
    cloudwatch.put_alarm()
    cloudwatch.datum(1)
    cloudwatch.time.now += 600
    cloudwatch.alarms.advance(lambda: True)
    assert cloudwatch.state() == "INSUFFICIENT_DATA"
