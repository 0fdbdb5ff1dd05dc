"""The alarms: whether they are there and notify, and which have fired."""

import json
from collections.abc import Iterator
from typing import Any

from cli.doctor.findings import Finding, aws, problem, warning
from cli.doctor.site import Site
from cli.doctor.stack import changed

_ALARM = "AWS::CloudWatch::Alarm"


def alarms(site: Site) -> Iterator[Finding]:
    """Whether each alarm is there, and may notify; and which have fired."""
    logical_ids = site.template.of_type(_ALARM)
    names = [site.template.ids[logical_id] for logical_id in logical_ids]
    found = site.reader.read("cloudwatch:DescribeAlarms", AlarmNames=names)["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in found}
    for logical_id, name in zip(logical_ids, names, strict=True):
        yield from _alarm(site, logical_id, name, by_name.get(name))


def _alarm(
    site: Site, logical_id: str, name: str, found: dict[str, Any] | None
) -> Iterator[Finding]:
    wanted = site.template.properties(logical_id)
    if found is None or not _notifies(found, wanted):
        yield problem(
            f"{logical_id} ({name}) does not exist, or does not notify AlarmTopicArn.",
            f"Nobody learns: {wanted['AlarmDescription']}",
            aws(
                *("cloudwatch", "put-metric-alarm"),
                *("--cli-input-json", json.dumps({"AlarmName": name, **wanted})),
            ),
        )
        return
    if not found["ActionsEnabled"]:
        yield problem(
            f"The actions of {logical_id} ({name}) are disabled.",
            f"Nobody learns: {wanted['AlarmDescription']}",
            aws("cloudwatch", "enable-alarm-actions", "--alarm-names", name),
        )
    if found["StateValue"] == "ALARM":
        yield problem(
            f"{logical_id} ({name}) is in ALARM.",
            f"{wanted['AlarmDescription']} See docs/operating.md.",
            aws("cloudwatch", "describe-alarms", "--alarm-names", name),
        )


def _notifies(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(
        set(wanted.get(name, [])) <= set(found.get(name, []))
        for name in ("AlarmActions", "OKActions")
    )


def topic(site: Site) -> Iterator[Finding]:
    """Whether the alarms notify anybody."""
    if not site.template.parameters.get("AlarmTopicArn"):
        yield warning(
            "The parameter AlarmTopicArn is empty.",
            "The alarms notify nobody. Replace the topic's ARN by yours.",
            changed(site, AlarmTopicArn=_example(site)),
        )


def _example(site: Site) -> str:
    place = site.template.place
    return f"arn:{place.partition}:sns:{place.region}:{place.account}:TOPIC"
