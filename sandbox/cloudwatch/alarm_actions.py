"""What an alarm does when its state changes
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html): actions on SNS
topics."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Any

from moto.cloudwatch.models import Alarm
from moto.sns.models import sns_backends

from sandbox.cloudwatch.points import period_of
from sandbox.cloudwatch.states import ALARM, INSUFFICIENT_DATA, OK

logger = logging.getLogger("sandbox")


def acting() -> Callable[..., None]:
    """moto's change of a state, SetAlarmState's too, which takes the actions for the new one."""
    update_state = Alarm.update_state

    @functools.wraps(update_state)
    def update(alarm: Alarm, reason: str, reason_data: str, state_value: str) -> None:
        before = alarm.state_value
        update_state(alarm, reason, reason_data, state_value)
        if alarm.actions_enabled and state_value != before:
            _act(alarm, before)

    return update


def _act(alarm: Alarm, before: str) -> None:
    """Notify the topics. "CloudWatch doesn't test or validate the actions that you specify, nor
    does it detect any ... errors resulting from an attempt to invoke nonexistent actions."""
    actions = {
        OK: alarm.ok_actions,
        ALARM: alarm.alarm_actions,
        INSUFFICIENT_DATA: alarm.insufficient_data_actions,
    }[alarm.state_value]
    for arn in actions:
        _, _, service, region, account, *_ = arn.split(":")
        if service != "sns":
            logger.info("not an action here: %s of the alarm %s", arn, alarm.name)
            continue
        try:
            sns_backends[account][region].publish(
                json.dumps(_notification(alarm, before)),
                arn=arn,
                subject=f'{alarm.state_value}: "{alarm.name}" in {region}'[:100],
            )
        except Exception:  # a backend may raise anything
            logger.info("the alarm %s has a topic that takes nothing", alarm.name, exc_info=True)


def _notification(alarm: Alarm, before: str) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": alarm.alarm_arn.split(":")[4],
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": alarm.state_updated_timestamp.isoformat(),
        "Region": alarm.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "OKActions": alarm.ok_actions,
        "AlarmActions": alarm.alarm_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "Period": period_of(alarm),
            "EvaluationPeriods": alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
        },
    }
