"""The values of properties in a change set."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.cloudformation.phases import Phases, template

BUNDLE = template(Bundle="one")


def _body(name: Any, **more: Any) -> str:
    body = json.loads(BUNDLE)
    body["Parameters"] = {"Secret": {"Type": "String", "NoEcho": True, "Default": "hush"}}
    bundle = body["Resources"]["Bundle"]
    bundle |= {"DeletionPolicy": "Retain"}
    bundle["Properties"] |= {"Name": name, "Hidden": {"Ref": "Secret"}, "Flag": True}
    body["Resources"] |= more
    return json.dumps(body)


def _change(phases: Phases, body: str, **options: Any) -> dict[str, Any]:
    """The change of the bundle in a change set."""
    client = phases.sandbox.client
    made = client.create_change_set(StackName="shop", ChangeSetName="c", TemplateBody=body)
    described = client.describe_change_set(ChangeSetName=made["Id"], **options)
    [change] = [
        change["ResourceChange"]
        for change in described["Changes"]
        if change["ResourceChange"]["LogicalResourceId"] == "Bundle"
    ]
    return dict(change)


def test_values_are_shown_before_and_after_as_far_as_they_are_known(phases: Phases) -> None:
    phases.created(_body("one"), Bundle="bun-1")
    queue = {"Type": "AWS::SQS::Queue"}
    later = _body({"Fn::GetAtt": ["Queue", "Arn"]}, Queue=queue)

    change = _change(phases, later, IncludePropertyValues=True)

    before, after = json.loads(change["BeforeContext"]), json.loads(change["AfterContext"])
    assert before["DeletionPolicy"] == after["DeletionPolicy"] == "Retain"
    assert "UpdateReplacePolicy" not in after
    assert before["Properties"]["Name"] == "one"
    assert after["Properties"]["Name"] == "{{changeSet:KNOWN_AFTER_APPLY}}"
    assert before["Properties"]["Hidden"] == after["Properties"]["Hidden"] == "****"
    assert after["Properties"]["Flag"] == "true"


def test_values_are_shown_only_if_they_are_asked_for(phases: Phases) -> None:
    phases.created(_body("one"), Bundle="bun-1")

    change = _change(phases, _body("two"))

    assert change["Action"] == "Modify"
    assert not {"BeforeContext", "AfterContext"} & change.keys()
