"""Dashboards, by the API and of templates."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.clients import Clients
from sandbox.server import Server
from tests.sandbox.cloudformation.serving import Served

METRIC = ["AWS/SQS", "NumberOfMessagesSent", "QueueName", "polls", {"stat": "p99.9"}]
ALARM = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:crashes"
BODY: dict[str, Any] = {
    "start": "-PT6H",
    "periodOverride": "inherit",
    "widgets": [
        {
            "type": "metric",
            "x": 0,
            "y": 0,
            "width": 12,
            "height": 6,
            "properties": {
                "metrics": [METRIC, [".", "NumberOfMessagesReceived", ".", "."], ["..."]],
                "region": "us-east-1",
                "period": 300,
                "stat": "Sum",
                "title": "Messages",
            },
        },
        {
            "type": "metric",
            "properties": {"region": "us-east-1", "metrics": [METRIC, [{"expression": "m1 * 2"}]]},
        },
        {"type": "text", "properties": {"markdown": "Hello world"}},
        {"type": "alarm", "x": 23, "properties": {"alarms": [ALARM]}},
        {"type": "log", "properties": {"query": "fields @message"}},
    ],
}
METRICS = "/widgets/0/properties/metrics"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Server() as server:
        yield Served(Clients(server.endpoint))


def put(served: Served, body: Any, name: str = "shop") -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    cloudwatch = served.clients.client("cloudwatch")
    return cloudwatch.put_dashboard(DashboardName=name, DashboardBody=text)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The body with another value at a path; None removes it."""
    body = copy.deepcopy(BODY)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")[1:]]
    place: Any = body
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


def test_a_dashboard_is_kept_as_it_was_put(served: Served) -> None:
    assert put(served, BODY)["DashboardValidationMessages"] == []

    found = served.clients.client("cloudwatch").get_dashboard(DashboardName="shop")
    assert json.loads(found["DashboardBody"]) == BODY


@pytest.mark.parametrize("body", ["", "{", "[]", '"widgets"'])
def test_a_body_is_a_json_object(served: Served, body: str) -> None:
    refused = served.clients.client("cloudwatch").exceptions.DashboardInvalidInputError
    with pytest.raises(refused, match="JSON"):
        put(served, body)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("/widgets", None, ""),
        ("/widgets", [BODY["widgets"][2]] * 501, "/widgets"),
        ("/periodOverride", "always", "/periodOverride"),
        ("/widgets/0/type", "graph", "/widgets/0/type"),
        ("/widgets/0/type", None, "/widgets/0"),
        ("/widgets/0/properties", None, "/widgets/0"),
        ("/widgets/0/x", 24, "/widgets/0/x"),
        ("/widgets/0/y", -1, "/widgets/0/y"),
        ("/widgets/0/width", 25, "/widgets/0/width"),
        ("/widgets/0/height", 0, "/widgets/0/height"),
        ("/widgets/0/height", "6", "/widgets/0/height"),
        ("/widgets/0/properties/region", None, "/widgets/0/properties"),
        ("/widgets/0/properties/metrics", None, "/widgets/0/properties"),
        ("/widgets/0/properties/period", 61, "/widgets/0/properties/period"),
        ("/widgets/0/properties/stat", "Median", "/widgets/0/properties/stat"),
        (f"{METRICS}/0", "AWS/SQS", f"{METRICS}/0"),
        (f"{METRICS}/0", ["AWS/SQS"], f"{METRICS}/0"),
        (f"{METRICS}/0", ["AWS/SQS", "NumberOfMessagesSent", "QueueName"], f"{METRICS}/0"),
        (f"{METRICS}/0", ["AWS/SQS", "Sent", {"QueueName": "polls"}, "x"], f"{METRICS}/0"),
        (f"{METRICS}/0", ["AWS/SQS", "Sent", *["Name", "value"] * 31], f"{METRICS}/0"),
        (f"{METRICS}/0/4/stat", "Median", f"{METRICS}/0/4/stat"),
        ("/widgets/1/properties/metrics/1", [{"label": "m"}], "/widgets/1/properties/metrics/1"),
        ("/widgets/2/properties/markdown", None, "/widgets/2/properties"),
        ("/widgets/3/properties/alarms", [], "/widgets/3/properties/alarms"),
        ("/widgets/3/properties/alarms/0", "crashes", "/widgets/3/properties/alarms/0"),
    ],
)
def test_a_body_that_is_no_dashboard_is_refused(
    served: Served, path: str, value: Any, where: str
) -> None:
    refused = served.clients.client("cloudwatch").exceptions.DashboardInvalidInputError
    with pytest.raises(refused, match="The dashboard body is invalid, there are 1 validation") as e:
        put(served, changed(path, value))

    assert e.value.response["Error"]["Code"] == "InvalidParameterInput"
    assert f'"dataPath": "{where}"' in e.value.response["Error"]["Message"]


@pytest.mark.parametrize("name", ["two words", "a.b", "x" * 256])
def test_a_name_has_letters_digits_dashes_and_underscores(served: Served, name: str) -> None:
    refused = served.clients.client("cloudwatch").exceptions.DashboardInvalidInputError
    with pytest.raises(refused, match="name"):
        put(served, BODY, name)


def dashboard(body: Any) -> dict[str, Any]:
    properties = {"DashboardName": "of-stack", "DashboardBody": json.dumps(body)}
    return {"Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}


def test_a_dashboard_of_a_stack_is_made_changed_and_deleted(served: Served) -> None:
    cloudwatch = served.clients.client("cloudwatch")
    stack_id = served.create(dashboard(BODY), Name={"Ref": "Dashboard"})
    assert served.until(stack_id, "CREATE_COMPLETE") == {"Name": "of-stack"}

    fewer = changed("/widgets/4", None)
    served.update(stack_id, dashboard(fewer), Name={"Ref": "Dashboard"})
    assert served.until(stack_id, "UPDATE_COMPLETE") == {"Name": "of-stack"}
    found = cloudwatch.get_dashboard(DashboardName="of-stack")
    assert json.loads(found["DashboardBody"]) == fewer

    served.delete(stack_id)
    with pytest.raises(cloudwatch.exceptions.ClientError, match="does not exist"):
        cloudwatch.get_dashboard(DashboardName="of-stack")


def test_a_dashboard_that_cannot_be_fails_the_stack(served: Served) -> None:
    stack_id = served.create(dashboard(changed("/widgets/0/x", 24)))

    reason = served.until_resource(stack_id, "Dashboard", "CREATE_FAILED")
    assert "The dashboard body is invalid" in reason
    served.until(stack_id, "ROLLBACK_COMPLETE")
