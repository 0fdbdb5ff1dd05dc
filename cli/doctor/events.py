"""The rules that send events of EC2's and S3's to the event queue."""

import json
from collections.abc import Iterator
from typing import Any

from cli.doctor.findings import Finding, aws, problem
from cli.doctor.site import Site
from cli.doctor.template import same

_MISSING = ("ResourceNotFoundException",)
_RULE = "AWS::Events::Rule"
_WHY = "Work is found by polls alone, so it ends later."


def rules(site: Site) -> Iterator[Finding]:
    """Whether each rule is enabled and matches what it should."""
    for logical_id in site.template.of_type(_RULE):
        wanted = site.template.properties(logical_id)
        name = site.template.ids[logical_id]
        found = site.reader.read("events:DescribeRule", absent=_MISSING, Name=name)
        pattern = wanted["EventPattern"]
        if found is None or not same(json.loads(found.get("EventPattern", "{}")), pattern):
            yield problem(
                f"{logical_id} ({name}) does not exist, or has another pattern.",
                _WHY,
                aws("events", "put-rule", "--cli-input-json", json.dumps(_rule(name, wanted))),
            )
        elif found["State"] == "DISABLED":
            yield problem(
                f"{logical_id} ({name}) is disabled.",
                _WHY,
                aws("events", "enable-rule", "--name", name),
            )


def targets(site: Site) -> Iterator[Finding]:
    """Whether each rule sends to the event queue."""
    for logical_id in site.template.of_type(_RULE):
        name = site.template.ids[logical_id]
        wanted = site.template.properties(logical_id)["Targets"]
        found = site.reader.read("events:ListTargetsByRule", absent=_MISSING, Rule=name) or {}
        has = {target["Id"]: target["Arn"] for target in found.get("Targets", [])}
        if any(has.get(target["Id"]) != target["Arn"] for target in wanted):
            yield problem(
                f"{logical_id} ({name}) does not send to the event queue.",
                _WHY,
                aws("events", "put-targets", "--rule", name, "--targets", json.dumps(wanted)),
            )


def _rule(name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """What PutRule takes."""
    return {
        "Name": name,
        "Description": wanted["Description"],
        "EventPattern": json.dumps(wanted["EventPattern"]),
        "State": "ENABLED",
    }
