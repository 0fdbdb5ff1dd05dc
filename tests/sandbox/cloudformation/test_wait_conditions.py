"""Stacks that wait for signals, in a whole server."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.sandbox.cloudformation.serving import Served, condition, handle, put, signal
from tests.sandbox.cloudformation.support import ACCOUNT, REGION

DATA = {"Fn::GetAtt": ["Condition", "Data"]}
QUEUE = {"Type": "AWS::SQS::Queue"}


def waiting(served: Served, **properties: Any) -> tuple[str, str]:
    """The ID of a stack whose condition waits, and the URL of its handle."""
    resources = {"Handle": handle(), "Condition": condition(**properties)}
    stack_id = served.create(resources, Data=DATA)
    served.until_resource(stack_id, "Condition", "CREATE_IN_PROGRESS")
    return stack_id, served.physical_id(stack_id, "Handle")


def test_ref_of_a_handle_is_a_presigned_url_of_cloudformations_bucket(served: Served) -> None:
    stack_id = served.create({"Handle": handle()}, Url={"Ref": "Handle"})
    outputs = served.until(stack_id, "CREATE_COMPLETE")

    url = urlsplit(outputs["Url"])
    assert outputs["Url"] == served.physical_id(stack_id, "Handle")
    assert f"{url.scheme}://{url.netloc}" == served.endpoint
    bucket, key = url.path.removeprefix("/").split("/", 1)
    assert bucket == f"cloudformation-waitcondition-{REGION}"
    assert key.startswith(f"arn%3Aaws%3Acloudformation%3A{REGION}%3A{ACCOUNT}%3Astack/stack-")
    assert unquote(key) == f"{stack_id}/Handle"
    query = {name: value for name, [value] in parse_qs(url.query).items()}
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-Expires"] == "86399"
    assert len(query["X-Amz-Signature"]) == 64


def test_a_stack_waits_for_the_signal_and_then_goes_on(served: Served) -> None:
    resources = {
        "Handle": handle(),
        "Condition": condition(),
        "Queue": {**QUEUE, "DependsOn": "Condition"},
    }
    stack_id = served.create(resources, Data=DATA, Name={"Ref": "Condition"})
    url = served.physical_id(stack_id, "Handle")
    served.until_resource(stack_id, "Condition", "CREATE_IN_PROGRESS")
    assert served.statuses(stack_id, "Queue") == []

    answer = put(url, signal("one", Data="done"))

    assert (answer.status, answer.data) == (200, b"")
    outputs = served.until(stack_id, "CREATE_COMPLETE")
    assert outputs == {"Data": '{"one":"done"}', "Name": f"{stack_id}/Handle"}
    assert served.statuses(stack_id, "Condition")[-1] == "CREATE_COMPLETE"
    assert served.statuses(stack_id, "Queue")[-1] == "CREATE_COMPLETE"


def test_a_condition_waits_for_as_many_signals_as_it_counts(served: Served) -> None:
    stack_id, url = waiting(served, Count=3)

    put(url, signal("one"))
    put(url, signal("two"))
    time.sleep(0.5)
    assert served.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
    put(url, signal("three", Data="<ü>"))

    data = json.loads(served.until(stack_id, "CREATE_COMPLETE")["Data"])
    assert data == {"one": "data of one", "two": "data of two", "three": "<ü>"}


def test_a_repeated_unique_id_is_a_retransmission_and_ignored(served: Served) -> None:
    stack_id, url = waiting(served, Count="2")

    put(url, signal("one", Data="first"))
    assert put(url, signal("one", Data="second")).status == 200
    assert put(url, signal("one", "FAILURE")).status == 200
    time.sleep(0.5)
    assert served.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
    put(url, signal("two"))

    outputs = served.until(stack_id, "CREATE_COMPLETE")
    assert json.loads(outputs["Data"]) == {"one": "first", "two": "data of two"}
    assert [entry["taken"] for entry in served.signals(stack_id)] == [True, False, False, True]


def test_a_signal_of_failure_rolls_the_stack_back_with_its_reason(served: Served) -> None:
    stack_id, url = waiting(served, Count=2)

    put(url, signal("one"))
    put(url, signal("two", "FAILURE", Reason="no bundle: 'x'"))

    served.until(stack_id, "ROLLBACK_COMPLETE")
    assert served.until_resource(stack_id, "Condition", "CREATE_FAILED") == (
        "WaitCondition received failed message: 'no bundle: 'x'' for uniqueId: two"
    )


@pytest.mark.parametrize(("received", "count"), [(0, 1), (1, 2)])
def test_a_condition_that_is_not_signalled_times_out(
    served: Served, received: int, count: int
) -> None:
    started = time.monotonic()
    stack_id, url = waiting(served, Timeout=1, Count=count)
    if received:
        put(url, signal())

    reason = served.until_resource(stack_id, "Condition", "CREATE_FAILED")

    assert time.monotonic() - started >= 1
    assert reason == (
        f"WaitCondition timed out. Received {received} conditions when expecting {count}"
    )
    served.until(stack_id, "ROLLBACK_COMPLETE")


def test_signals_count_from_the_handles_creation_on(served: Served) -> None:
    resources = {
        "First": handle(),
        "Second": handle(),
        "Before": condition("First"),
        "Condition": condition("Second", DependsOn="Before"),
    }
    stack_id = served.create(resources, Data=DATA)
    put(served.physical_id(stack_id, "Second"), signal("early"))
    assert served.statuses(stack_id, "Condition") == []

    put(served.physical_id(stack_id, "First"), signal())

    assert served.until(stack_id, "CREATE_COMPLETE")["Data"] == '{"early":"data of early"}'


@pytest.mark.parametrize(
    "body",
    [
        b"SUCCESS",
        b'["SUCCESS"]',
        signal(status="success"),
        signal(unique_id=""),
        {"Status": "SUCCESS", "UniqueId": "one"},
        {**signal(), "UniqueId": 1},
        {**signal(), "Data": {"a": 1}},
        signal(Data="ü" * 2049),
    ],
)
def test_what_is_no_signal_is_taken_by_s3_and_fails_the_condition(
    served: Served, body: Any
) -> None:
    stack_id, url = waiting(served)

    assert put(url, body).status == 200

    reason = served.until_resource(stack_id, "Condition", "CREATE_FAILED")
    assert reason == "Unparsable WaitCondition data"
    assert [entry["statusCode"] for entry in served.signals(stack_id)] == [200]


def test_a_put_that_is_not_signed_right_is_refused_and_does_not_count(served: Served) -> None:
    stack_id, url = waiting(served)
    place, _, query = url.partition("?")
    wrong = [
        place,
        f"{place}?{query.replace('X-Amz-Signature=', 'X-Amz-Signature=0')}",
        f"{place}2?{query}",
        f"{served.endpoint}/cloudformation-waitcondition-{REGION}/arn%3Aaws/Handle?{query}",
    ]

    answers = [put(target, signal()) for target in wrong]
    answers.append(put(url, signal(), Content_Type="application/json"))

    for answer in answers:
        assert answer.status == 403
        assert b"<Error><Code>SignatureDoesNotMatch</Code><Message>" in answer.data
    assert served.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
    assert not any(entry["taken"] for entry in served.signals(stack_id))
    put(url, signal("right"), Content_Type="")
    assert served.until(stack_id, "CREATE_COMPLETE")["Data"] == '{"right":"data of right"}'


def test_signals_are_listed_as_they_were_received(served: Served) -> None:
    stack_id, url = waiting(served, Count=2)
    put(url, signal("one"))
    put(url.partition("?")[0], b"not signed")

    first, second = served.signals(stack_id)

    assert first.pop("received") <= second.pop("received")
    place = {"stackId": stack_id, "logicalResourceId": "Handle"}
    assert first == {**place, "statusCode": 200, "body": signal("one"), "taken": True}
    assert second == {**place, "statusCode": 403, "body": "not signed", "taken": False}


def test_an_update_of_something_else_does_not_wait_again(served: Served) -> None:
    stack_id, url = waiting(served)
    put(url, signal())
    before = served.until(stack_id, "CREATE_COMPLETE")

    resources = {"Handle": handle(), "Condition": condition(), "Queue": QUEUE}
    served.update(stack_id, resources, Data=DATA)

    assert served.until(stack_id, "UPDATE_COMPLETE") == before
    assert served.physical_id(stack_id, "Handle") == url


def test_an_update_of_a_condition_fails_and_is_rolled_back(served: Served) -> None:
    stack_id, url = waiting(served)
    put(url, signal())
    before = served.until(stack_id, "CREATE_COMPLETE")

    resources = {"Handle": handle(), "Condition": condition(Timeout="90")}
    served.update(stack_id, resources, Data=DATA)

    assert served.until(stack_id, "UPDATE_ROLLBACK_COMPLETE") == before
    assert served.until_resource(stack_id, "Condition", "UPDATE_FAILED") == (
        "Update to resource type AWS::CloudFormation::WaitCondition is not supported"
    )
    assert served.statuses(stack_id, "Condition")[-1] == "UPDATE_COMPLETE"


def test_new_logical_ids_make_a_new_url_and_a_new_wait(served: Served) -> None:
    stack_id, old = waiting(served)
    put(old, signal())
    served.until(stack_id, "CREATE_COMPLETE")

    served.update(stack_id, {"Handle2": handle(), "Condition2": condition("Handle2")})
    new = served.physical_id(stack_id, "Handle2")
    served.until_resource(stack_id, "Condition2", "CREATE_IN_PROGRESS")
    assert new != old
    assert served.stack(stack_id)["StackStatus"] == "UPDATE_IN_PROGRESS"
    put(new, signal())

    served.until(stack_id, "UPDATE_COMPLETE")
    assert served.statuses(stack_id, "Condition")[-1] == "DELETE_COMPLETE"


def test_an_update_selects_from_the_data_that_a_new_condition_is_yet_to_get(
    served: Served,
) -> None:
    def part(condition: str) -> dict[str, Any]:
        data = {"Fn::GetAtt": [condition, "Data"]}
        return {"Fn::Select": [1, {"Fn::Split": [":", data]}]}

    stack_id = served.create({"Handle": handle(), "Condition": condition()}, Part=part("Condition"))
    put(served.physical_id(stack_id, "Handle"), signal(Data="first"))
    assert served.until(stack_id, "CREATE_COMPLETE")["Part"] == '"first"}'

    resources = {"Handle2": handle(), "Condition2": condition("Handle2")}
    served.update(stack_id, resources, Part=part("Condition2"))
    served.until_resource(stack_id, "Condition2", "CREATE_IN_PROGRESS")
    put(served.physical_id(stack_id, "Handle2"), signal(Data="second"))

    assert served.until(stack_id, "UPDATE_COMPLETE")["Part"] == '"second"}'


def test_a_new_condition_on_an_old_handle_finds_the_old_signals(served: Served) -> None:
    stack_id, url = waiting(served)
    put(url, signal())
    served.until(stack_id, "CREATE_COMPLETE")

    resources = {"Handle": handle(), "Condition": condition(), "Again": condition()}
    served.update(stack_id, resources, Data={"Fn::GetAtt": ["Again", "Data"]})

    assert served.until(stack_id, "UPDATE_COMPLETE")["Data"] == '{"one":"data of one"}'


def test_a_stack_that_waits_can_be_deleted(served: Served) -> None:
    stack_id, url = waiting(served)

    served.delete(stack_id)

    assert served.statuses(stack_id, "Condition")[-1] == "DELETE_COMPLETE"
    assert put(url, signal()).status == 200, "S3 knows the URL alone"
    assert [entry["taken"] for entry in served.signals(stack_id)] == [False]


def test_a_stack_that_waits_holds_up_no_other(served: Served) -> None:
    stacks = [waiting(served) for _ in range(8)]

    other = served.create({"Queue": QUEUE})
    served.until(other, "CREATE_COMPLETE")
    served.delete(other)

    for stack_id, url in stacks:
        assert served.stack(stack_id)["StackStatus"] == "CREATE_IN_PROGRESS"
        put(url, signal())
    for stack_id, _ in stacks:
        served.until(stack_id, "CREATE_COMPLETE")


def test_a_url_that_comes_as_a_parameter_is_waited_for_as_well(served: Served) -> None:
    owner = served.create({"Handle": handle()}, Url={"Ref": "Handle"})
    url = served.until(owner, "CREATE_COMPLETE")["Url"]

    stack_id = served.create({"Condition": condition(Handle=url)}, Data=DATA)
    put(url, signal())

    served.until(stack_id, "CREATE_COMPLETE")


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Timeout": "43201"}, "Timeout must be an integer from 0 to 43200"),
        ({"Timeout": "PT1M"}, "Timeout must be an integer from 0 to 43200"),
        ({"Count": 0}, "Count must be an integer from 1"),
        ({"Handle": "https://example.com"}, "Handle must be the URL of a wait condition handle"),
    ],
)
def test_a_condition_that_is_declared_wrong_fails_at_once(
    served: Served, properties: dict[str, Any], reason: str
) -> None:
    stack_id = served.create({"Handle": handle(), "Condition": condition(**properties)})

    assert served.until_resource(stack_id, "Condition", "CREATE_FAILED") == reason


def test_a_condition_has_no_other_attribute_than_its_data(served: Served) -> None:
    outputs = {"Other": {"Fn::GetAtt": ["Condition", "Reason"]}}
    stack_id = served.create({"Handle": handle(), "Condition": condition()}, **outputs)
    put(served.physical_id(stack_id, "Handle"), signal())

    served.until(stack_id, "ROLLBACK_COMPLETE")
    [reason] = [
        why for _, status, why in served.events(stack_id) if status.startswith("ROLLBACK_I")
    ]
    assert "resource Condition does not support attribute type Reason in Fn::GetAtt" in reason
