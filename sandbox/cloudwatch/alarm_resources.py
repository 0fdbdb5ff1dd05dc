"""CloudFormation's AWS::CloudWatch::Alarm, which moto has no model of.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html
has the properties of PutMetricAlarm, and is checked as that is.
"""

from __future__ import annotations

from typing import Any, cast

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator
from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import (
    Alarm,
    CloudWatchBackend,
    Dimension,
    Metric,
    MetricDataQuery,
    MetricStat,
    cloudwatch_backends,
)
from moto.core.common_models import CloudFormationModel


class AlarmResource(CloudFormationModel):
    """An alarm as a stack's resource. name: the alarm's."""

    def __init__(self, alarm: Alarm) -> None:
        self.name = alarm.name
        self.arn = alarm.alarm_arn

    @property
    def physical_resource_id(self) -> str:
        return self.name

    @staticmethod
    def cloudformation_name_type() -> str:
        return "AlarmName"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    def get_cfn_attribute(self, attribute_name: str) -> str:
        if attribute_name != "Arn":
            raise AttributeError(attribute_name)
        return self.arn

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,  # noqa: ARG003
    ) -> AlarmResource:
        backend = cloudwatch_backends[account_id][region_name]
        properties = {**cloudformation_json["Properties"], "AlarmName": resource_name}
        return cls(put_alarm(backend, properties))

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: AlarmResource,  # noqa: ARG003  PutMetricAlarm overwrites it
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> AlarmResource:
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],  # noqa: ARG003  the name says all
        account_id: str,
        region_name: str,
    ) -> None:
        cloudwatch_backends[account_id][region_name].delete_alarms([resource_name])

    def delete(self, account_id: str, region_name: str) -> None:
        cloudwatch_backends[account_id][region_name].delete_alarms([self.name])


def put_alarm(backend: CloudWatchBackend, properties: dict[str, Any]) -> Alarm:
    """Put an alarm by the parameters of PutMetricAlarm, as a template writes them: numbers and
    truth values may be text. Raises InvalidParameterValue where PutMetricAlarm refuses them."""
    given = _typed(_INPUT, properties)
    report = ParamValidator().validate(given, _INPUT)
    if report.has_errors():
        raise InvalidParameterValue(report.generate_report())
    queries = [_query(query) for query in given.get("Metrics", [])]
    return backend.put_metric_alarm(
        name=given["AlarmName"],
        namespace=given.get("Namespace"),
        metric_name=given.get("MetricName"),
        metric_data_queries=queries or None,
        comparison_operator=given["ComparisonOperator"],
        evaluation_periods=given["EvaluationPeriods"],
        datapoints_to_alarm=given.get("DatapointsToAlarm"),
        period=given.get("Period"),
        threshold=given.get("Threshold"),
        statistic=given.get("Statistic"),
        description=given.get("AlarmDescription"),
        dimensions=given.get("Dimensions", []),
        alarm_actions=given.get("AlarmActions", []),
        ok_actions=given.get("OKActions", []),
        insufficient_data_actions=given.get("InsufficientDataActions", []),
        unit=given.get("Unit"),
        actions_enabled=given.get("ActionsEnabled", True),
        treat_missing_data=given.get("TreatMissingData"),
        tags=given.get("Tags"),
    )


def _query(given: dict[str, Any]) -> MetricDataQuery:
    stat = given.get("MetricStat")
    return MetricDataQuery(
        query_id=given["Id"],
        label=given.get("Label", given["Id"]),
        period=cast(str, given.get("Period")),
        return_data=given.get("ReturnData", True),
        expression=given.get("Expression"),
        metric_stat=stat and _stat(stat),
    )


def _stat(given: dict[str, Any]) -> MetricStat:
    metric = given["Metric"]
    dimensions = [Dimension(each["Name"], each["Value"]) for each in metric.get("Dimensions", [])]
    return MetricStat(
        metric=Metric(metric["MetricName"], metric["Namespace"], dimensions),
        period=given["Period"],
        stat=given["Stat"],
        unit=cast(str, given.get("Unit")),
    )


def _shape() -> Shape:
    description = Loader().load_service_model("cloudwatch", "service-2")
    return ServiceModel(description).shape_for("PutMetricAlarmInput")


_INPUT: Any = _shape()


def _typed(shape: Any, value: Any) -> Any:
    """A value of a template with the types of the API; what doesn't fit stays as it is."""
    match shape.type_name, value:
        case "structure", dict():
            members = shape.members
            return {k: _typed(members[k], v) if k in members else v for k, v in value.items()}
        case "list", list():
            return [_typed(shape.member, each) for each in value]
        case "boolean", "true" | "false":
            return value == "true"
        case "integer" | "double", str() | float() | int() if not isinstance(value, bool):
            return _number(shape.type_name, value)
    return value


def _number(type_name: str, value: Any) -> Any:
    try:
        return int(value) if type_name == "integer" else float(value)
    except ValueError:
        return value
