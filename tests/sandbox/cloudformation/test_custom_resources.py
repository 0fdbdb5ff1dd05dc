"""Custom resources, from the event to the answer and the stack's status."""

from __future__ import annotations

import json
import re
import threading
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.fixtures import PATIENCE
from tests.sandbox.cloudformation.support import (
    ACCOUNT,
    REGION,
    Sandbox,
    eventually,
    failure,
    success,
)

TOKEN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bundler"

BUNDLE = f"""
Resources:
  Bundle:
    Type: Custom::InstanceBundle
    Properties:
      ServiceToken: {TOKEN}
      InstanceId: i-1
      DryRun: true
      Wait: 3600
      Ratio: 1.5
      Storage: {{S3: {{Bucket: vault, Parts: [1, false]}}}}
Outputs:
  BundleId: {{Value: !Ref Bundle}}
  Where: {{Value: !Sub "${{Bundle.S3Uri}}/x"}}
"""

# First must exist before Bundle and Sibling, which start together.
FAMILY = f"""
Resources:
  First:
    Type: AWS::SQS::Queue
  Bundle:
    Type: Custom::InstanceBundle
    DependsOn: First
    Properties: {{ServiceToken: "{TOKEN}"}}
  Sibling:
    Type: AWS::CloudFormation::CustomResource
    DependsOn: [First]
    Properties: {{ServiceToken: "{TOKEN}"}}
  Last:
    Type: AWS::SQS::Queue
    Properties: {{QueueName: !Sub "${{Bundle.Name}}-${{Sibling}}"}}
"""


def alone(**properties: Any) -> str:
    resource = {
        "Type": "Custom::InstanceBundle",
        "Properties": {"ServiceToken": TOKEN, **properties},
    }
    return json.dumps({"Resources": {"Bundle": resource}})


def test_a_create_that_succeeds_gives_ref_and_attributes_to_the_outputs(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event, Data={"S3Uri": "s3://vault/p"})
    sandbox.finish(BUNDLE, "CREATE_COMPLETE")
    assert sandbox.outputs() == {"BundleId": "bun-1", "Where": "s3://vault/p/x"}


def test_the_event_holds_all_values_as_strings(sandbox: Sandbox) -> None:
    stack_id = sandbox.create(BUNDLE)
    event = sandbox.event("Create")
    assert event["ResourceProperties"] == {
        "ServiceToken": TOKEN,
        "InstanceId": "i-1",
        "DryRun": "true",
        "Wait": "3600",
        "Ratio": "1.5",
        "Storage": {"S3": {"Bucket": "vault", "Parts": ["1", "false"]}},
    }
    assert event["StackId"] == stack_id
    assert event["ResourceType"] == "Custom::InstanceBundle"
    assert "PhysicalResourceId" not in event
    sandbox.until("ROLLBACK_COMPLETE")  # S3Uri was not answered


def test_the_response_url_is_presigned_and_names_the_request(sandbox: Sandbox) -> None:
    sandbox.finish(alone(), "CREATE_COMPLETE")
    event = sandbox.event("Create")
    url = urlsplit(event["ResponseURL"])
    _, bucket, key = url.path.split("/")
    assert f"{url.scheme}://{url.netloc}" == "http://127.0.0.1:5000"
    assert bucket == f"cloudformation-custom-resource-response-{REGION}"
    assert unquote(key) == f"{event['StackId']}|Bundle|{event['RequestId']}"
    assert parse_qs(url.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]


def test_a_failed_create_rolls_the_stack_back_with_the_whole_reason(sandbox: Sandbox) -> None:
    reason = "InstanceId is missing; " * 60
    sandbox.answer = lambda event: (
        failure(event, reason, PhysicalResourceId="bun-9")
        if event["RequestType"] == "Create"
        else success(event)
    )
    sandbox.finish(alone(), "ROLLBACK_COMPLETE")
    request = sandbox.event("Create")["RequestId"]
    assert sandbox.reason("Bundle", "CREATE_FAILED") == (
        "Received response status [FAILED] from custom resource. "
        f"Message returned: {reason} (RequestId: {request})"
    )
    assert sandbox.reason("shop", "ROLLBACK_IN_PROGRESS") == (
        "The following resource(s) failed to create: [Bundle]. Rollback requested by user."
    )
    assert sandbox.event("Delete")["PhysicalResourceId"] == "bun-9"
    assert sandbox.statuses("Bundle") == [
        "CREATE_IN_PROGRESS",
        "CREATE_FAILED",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"Status": "FAILURE"}, "'FAILURE' is not a valid ResponseStatus"),
        ({"StackId": "arn:other"}, "Invalid Response object: StackId"),
        ({"RequestId": "other"}, "Invalid Response object: RequestId"),
        ({"LogicalResourceId": "Other"}, "Invalid Response object: LogicalResourceId"),
        ({"PhysicalResourceId": ""}, "Invalid PhysicalResourceId"),
        ({"PhysicalResourceId": None}, "Invalid PhysicalResourceId"),
        ({"PhysicalResourceId": "x" * 1025}, "Invalid PhysicalResourceId"),
        ({"Status": "FAILED"}, "must have a Reason"),
        ({"Data": ["x"]}, "Data must be an object"),
        ({"Data": {"x": "y" * 4096}}, "Response object is too long."),
    ],
)
def test_an_answer_that_is_wrong_fails_the_resource(
    sandbox: Sandbox, answer: dict[str, Any], reason: str
) -> None:
    sandbox.answer = lambda event: (
        success(event, **answer) if event["RequestType"] == "Create" else success(event)
    )
    sandbox.finish(alone(), "ROLLBACK_COMPLETE")
    assert reason in sandbox.reason("Bundle", "CREATE_FAILED")
    assert sandbox.stacks.custom_resources.responses_received()[0]["statusCode"] == 200


def test_an_answer_of_4096_bytes_is_not_too_long(sandbox: Sandbox) -> None:
    def answer(event: dict[str, Any]) -> dict[str, Any]:
        short = success(event, Data={"x": ""})
        return success(event, Data={"x": "y" * (4096 - len(json.dumps(short)))})

    sandbox.answer = answer
    sandbox.finish(alone(), "CREATE_COMPLETE")


def test_an_answer_that_is_no_json_fails_the_resource(sandbox: Sandbox) -> None:
    def answer(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["RequestType"] == "Delete":
            return success(event)
        sandbox.put(event, b"<html>")
        return None

    sandbox.answer = answer
    sandbox.finish(alone(), "ROLLBACK_COMPLETE")
    assert sandbox.reason("Bundle", "CREATE_FAILED").startswith("Invalid Response object: ")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("arn:aws:sqs:us-east-1:123456789012:queue", "Invalid service token."),
        ("bundler", "Invalid service token."),
        (f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody", "Function not found"),
    ],
)
def test_a_service_token_that_names_no_function_fails_the_resource(
    sandbox: Sandbox, token: str, reason: str
) -> None:
    sandbox.finish(alone(ServiceToken=token), "ROLLBACK_COMPLETE")
    assert reason in sandbox.reason("Bundle", "CREATE_FAILED")
    assert sandbox.events == []
    assert sandbox.statuses("Bundle")[-1] == "DELETE_COMPLETE"


def test_a_missing_attribute_fails_the_stack_that_puts_it_out(sandbox: Sandbox) -> None:
    sandbox.finish(BUNDLE, "ROLLBACK_COMPLETE")
    event = sandbox.event("Create")
    assert sandbox.reason("shop", "ROLLBACK_IN_PROGRESS") == (
        "CustomResource attribute error: Vendor response doesn't contain S3Uri attribute in object "
        f"{event['StackId']}|Bundle|{event['RequestId']}. Rollback requested by user."
    )
    assert sandbox.outputs() == {}


def test_a_missing_attribute_fails_the_resource_that_needs_it(sandbox: Sandbox) -> None:
    sandbox.finish(FAMILY, "ROLLBACK_COMPLETE")
    assert "doesn't contain Name attribute" in sandbox.reason("Last", "CREATE_FAILED")


def test_no_answer_in_time_fails_the_resource_once_the_clock_says_so(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(alone(ServiceTimeout=120))
    event = sandbox.event("Create")
    assert sandbox.stack()["StackStatus"] == "CREATE_IN_PROGRESS"
    sandbox.clock.ahead += 121
    sandbox.until("ROLLBACK_COMPLETE")
    reason = sandbox.reason("Bundle", "CREATE_FAILED")
    assert reason.startswith("CloudFormation did not receive a response from your Custom Resource.")
    assert f"requestId [{event['RequestId']}]" in reason
    assert re.fullmatch("shop-Bundle-[0-9A-Z]{12}", sandbox.event("Delete")["PhysicalResourceId"])


@pytest.mark.parametrize("timeout", [0, 3601, "soon"])
def test_a_service_timeout_out_of_range_fails_the_resource(sandbox: Sandbox, timeout: Any) -> None:
    sandbox.finish(alone(ServiceTimeout=timeout), "ROLLBACK_COMPLETE")
    assert "ServiceTimeout" in sandbox.reason("Bundle", "CREATE_FAILED")


def test_what_is_in_progress_when_a_sibling_fails_is_cancelled_and_deleted(
    sandbox: Sandbox,
) -> None:
    started = threading.Event()

    def answer(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["RequestType"] == "Delete":
            return success(event)
        if event["LogicalResourceId"] == "Bundle":
            started.set()
            return None
        started.wait(PATIENCE)
        return failure(event, "no room", PhysicalResourceId="sib-1")

    sandbox.answer = answer
    sandbox.finish(FAMILY, "ROLLBACK_COMPLETE")
    assert sandbox.reason("Bundle", "CREATE_FAILED") == "Resource creation cancelled"
    assert "[Sibling, Bundle]" in sandbox.reason("shop", "ROLLBACK_IN_PROGRESS")
    deleted = {
        event["LogicalResourceId"]: event["PhysicalResourceId"]
        for event in sandbox.events
        if event["RequestType"] == "Delete"
    }
    assert deleted["Sibling"] == "sib-1"
    assert re.fullmatch("shop-Bundle-[0-9A-Z]{12}", deleted["Bundle"])
    assert sandbox.statuses("Last") == []
    history = [(name, status) for name, status, _ in sandbox.history()]
    assert history.index(("Bundle", "DELETE_COMPLETE")) < history.index(
        ("First", "DELETE_IN_PROGRESS")
    )
    assert history.index(("Sibling", "DELETE_COMPLETE")) < history.index(
        ("First", "DELETE_IN_PROGRESS")
    )


def test_an_answer_to_a_cancelled_request_is_received_but_not_taken(sandbox: Sandbox) -> None:
    test_what_is_in_progress_when_a_sibling_fails_is_cancelled_and_deleted(sandbox)
    late = sandbox.event("Create", "Bundle")
    assert sandbox.put(late, json.dumps(success(late)).encode()) == 200
    last = sandbox.stacks.custom_resources.responses_received()[-1]
    assert (last["requestId"], last["taken"]) == (late["RequestId"], False)


def test_a_second_answer_is_accepted_recorded_and_ignored(sandbox: Sandbox) -> None:
    sandbox.finish(alone(), "CREATE_COMPLETE")
    event = sandbox.event("Create")
    body = json.dumps(failure(event, "changed my mind")).encode()
    assert sandbox.put(event, body, Content_Type="") == 200
    first, second = sandbox.stacks.custom_resources.responses_received()
    assert (first["taken"], second["taken"]) == (True, False)
    assert second["body"]["Reason"] == "changed my mind"
    assert second["stackId"] == event["StackId"]
    assert second["logicalResourceId"] == "Bundle"
    assert second["received"].endswith("+00:00")
    assert sandbox.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_what_is_not_signed_for_the_request_is_refused(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(alone())
    event = sandbox.event("Create")
    body = json.dumps(success(event)).encode()
    forged = {**event, "ResponseURL": event["ResponseURL"][:-1] + "x"}
    elsewhere = {**event, "ResponseURL": event["ResponseURL"].replace("Bundle", "Other")}
    assert sandbox.put(forged, body) == 403
    assert sandbox.put(elsewhere, body) == 403
    assert sandbox.put(event, body, Content_Type="application/json") == 403
    assert sandbox.stack()["StackStatus"] == "CREATE_IN_PROGRESS"
    assert sandbox.put(event, body) == 200
    sandbox.until("CREATE_COMPLETE")
    received = sandbox.stacks.custom_resources.responses_received()
    assert [r["statusCode"] for r in received] == [403, 403, 403, 200]
    assert [r["taken"] for r in received] == [False, False, False, True]


def test_a_response_url_ends_after_two_hours(sandbox: Sandbox) -> None:
    sandbox.finish(alone(), "CREATE_COMPLETE")
    event = sandbox.event("Create")
    sandbox.clock.ahead += 7201
    assert sandbox.put(event, json.dumps(success(event)).encode()) == 403


def test_attributes_that_are_not_to_be_echoed_are_masked_in_outputs_only(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: success(event, NoEcho=True, Data={"Name": "s3cret"})
    template = f"""
    Resources:
      Bundle:
        Type: Custom::InstanceBundle
        Properties: {{ServiceToken: "{TOKEN}"}}
      Queue:
        Type: AWS::SQS::Queue
        Properties: {{QueueName: !GetAtt Bundle.Name}}
    Outputs:
      Name: {{Value: !GetAtt Bundle.Name}}
    """
    sandbox.finish(template, "CREATE_COMPLETE")
    assert sandbox.outputs() == {"Name": "****"}
    assert sandbox.aws("sqs").get_queue_url(QueueName="s3cret")
    events = sandbox.client.describe_stack_events(StackName="shop")["StackEvents"]
    assert not any("s3cret" in event.get("ResourceProperties", "") for event in events)


def test_a_deleted_stack_sends_delete_and_waits_for_the_answer(sandbox: Sandbox) -> None:
    sandbox.finish(alone(InstanceId="i-1"), "CREATE_COMPLETE")
    sandbox.answer = lambda event: None
    stack_id = sandbox.stack()["StackId"]
    sandbox.client.delete_stack(StackName="shop")
    event = sandbox.event("Delete")
    assert event["PhysicalResourceId"] == "bun-1"
    assert event["ResourceProperties"] == {"ServiceToken": TOKEN, "InstanceId": "i-1"}
    assert sandbox.stack()["StackStatus"] == "DELETE_IN_PROGRESS"
    sandbox.put(event, json.dumps(success(event)).encode())
    sandbox.until("DELETE_COMPLETE", stack_id)


def test_a_failed_delete_fails_the_stack_and_can_be_tried_again(sandbox: Sandbox) -> None:
    sandbox.finish(FAMILY.split("  Last")[0], "CREATE_COMPLETE")
    sandbox.answer = lambda event: (
        failure(event, "in use") if event["LogicalResourceId"] == "Bundle" else success(event)
    )
    sandbox.delete(status="DELETE_FAILED")
    assert "Message returned: in use" in sandbox.reason("Bundle", "DELETE_FAILED")
    assert sandbox.reason("shop", "DELETE_FAILED") == (
        "The following resource(s) failed to delete: [Bundle]. "
    )
    assert sandbox.statuses("Sibling")[-1] == "DELETE_COMPLETE"
    assert sandbox.statuses("First")[-1] == "CREATE_COMPLETE"
    sandbox.answer = success
    stack_id = sandbox.delete()
    assert sandbox.statuses("First", stack_id)[-1] == "DELETE_COMPLETE"


def test_resources_to_retain_are_left_once_the_delete_failed(sandbox: Sandbox) -> None:
    sandbox.finish(alone(), "CREATE_COMPLETE")
    with pytest.raises(sandbox.client.exceptions.ClientError, match="DELETE_FAILED state"):
        sandbox.client.delete_stack(StackName="shop", RetainResources=["Bundle"])
    sandbox.answer = lambda event: failure(event, "in use")
    stack_id = sandbox.delete(status="DELETE_FAILED")
    sandbox.client.delete_stack(StackName="shop", RetainResources=["Bundle"])
    sandbox.until("DELETE_COMPLETE", stack_id)
    assert sandbox.statuses("Bundle", stack_id)[-1] == "DELETE_SKIPPED"


def test_deleting_a_stack_that_is_being_created_cancels_what_is_in_progress(
    sandbox: Sandbox,
) -> None:
    sandbox.answer = lambda event: success(event) if event["RequestType"] == "Delete" else None
    sandbox.create(FAMILY)
    sandbox.event("Create", "Bundle")
    sandbox.event("Create", "Sibling")
    stack_id = sandbox.delete()
    history = sandbox.history(stack_id)
    assert ("shop", "DELETE_IN_PROGRESS", "User Initiated") in history
    assert sandbox.reason("Bundle", "CREATE_FAILED", stack_id) == "Resource creation cancelled"
    assert not any(status.startswith("ROLLBACK") for _, status, _ in history)
    for name in ("Bundle", "Sibling"):
        physical_id = sandbox.event("Delete", name)["PhysicalResourceId"]
        assert re.fullmatch(f"shop-{name}-[0-9A-Z]{{12}}", physical_id)
    assert sandbox.statuses("First", stack_id)[-1] == "DELETE_COMPLETE"


def test_deleting_a_stack_that_is_rolling_back_waits_for_its_deletes(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: (
        failure(event, "no") if event["RequestType"] == "Create" else None
    )
    stack_id = sandbox.create(alone())
    delete = sandbox.event("Delete")
    sandbox.client.delete_stack(StackName="shop")
    assert sandbox.stack()["StackStatus"] == "DELETE_IN_PROGRESS"
    sandbox.put(delete, json.dumps(success(delete)).encode())
    sandbox.until("DELETE_COMPLETE", stack_id)
    assert len([e for e in sandbox.events if e["RequestType"] == "Delete"]) == 1
    assert "ROLLBACK_COMPLETE" not in sandbox.statuses("shop", stack_id)


def test_a_failed_delete_in_a_rollback_ends_in_rollback_failed(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: failure(event, "never")
    sandbox.finish(alone(), "ROLLBACK_FAILED")
    assert sandbox.reason("shop", "ROLLBACK_FAILED") == (
        "The following resource(s) failed to delete: [Bundle]. "
    )


def test_closing_ends_stacks_that_wait(sandbox: Sandbox) -> None:
    sandbox.answer = lambda event: None
    sandbox.create(alone())
    sandbox.event("Create")
    sandbox.stacks.close()
    eventually(
        lambda: not any(t.name.startswith("stack-") for t in threading.enumerate()),
        threading.enumerate,
    )


def test_an_update_sends_the_old_properties_and_keeps_the_resource(sandbox: Sandbox) -> None:
    sandbox.finish(alone(Prefix="a"), "CREATE_COMPLETE")
    sandbox.client.update_stack(StackName="shop", TemplateBody=alone(Prefix="b", Count=2))
    sandbox.until("UPDATE_COMPLETE")
    event = sandbox.event("Update")
    assert event["PhysicalResourceId"] == "bun-1"
    assert event["OldResourceProperties"] == {"ServiceToken": TOKEN, "Prefix": "a"}
    assert event["ResourceProperties"] == {"ServiceToken": TOKEN, "Prefix": "b", "Count": "2"}
    assert not any(e["RequestType"] == "Delete" for e in sandbox.events)


def test_an_update_to_another_physical_id_deletes_the_old_one(sandbox: Sandbox) -> None:
    sandbox.finish(alone(Prefix="a"), "CREATE_COMPLETE")
    sandbox.answer = lambda event: (
        success(event, PhysicalResourceId="bun-2")
        if event["RequestType"] == "Update"
        else success(event)
    )
    sandbox.client.update_stack(StackName="shop", TemplateBody=alone(Prefix="b"))
    sandbox.until("UPDATE_COMPLETE")
    delete = sandbox.event("Delete")
    assert delete["PhysicalResourceId"] == "bun-1"
    assert delete["ResourceProperties"]["Prefix"] == "a"
    detail = sandbox.client.describe_stack_resource(StackName="shop", LogicalResourceId="Bundle")
    assert detail["StackResourceDetail"]["PhysicalResourceId"] == "bun-2"
    assert detail["StackResourceDetail"]["ResourceStatus"] == "UPDATE_COMPLETE"
    assert sandbox.statuses("shop")[-3:] == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
    ]


def test_a_failed_update_rolls_back_with_old_and_new_swapped(sandbox: Sandbox) -> None:
    sandbox.finish(alone(Prefix="a"), "CREATE_COMPLETE")
    sandbox.answer = lambda event: (
        failure(event, "no") if event["ResourceProperties"]["Prefix"] == "b" else success(event)
    )
    sandbox.client.update_stack(StackName="shop", TemplateBody=alone(Prefix="b"))
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    back = sandbox.event("Update")
    assert back["ResourceProperties"]["Prefix"] == "a"
    assert back["OldResourceProperties"]["Prefix"] == "b"
    assert back["PhysicalResourceId"] == "bun-1"
    assert sandbox.reason("shop", "UPDATE_ROLLBACK_IN_PROGRESS") == (
        "The following resource(s) failed to update: [Bundle]. "
    )
    assert sandbox.statuses("Bundle")[-2:] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_a_rollback_deletes_what_the_failed_update_had_made(sandbox: Sandbox) -> None:
    old = FAMILY.split("  Last")[0].split("  Sibling")[0]
    sandbox.finish(old, "CREATE_COMPLETE")
    sandbox.answer = lambda event: (
        failure(event, "no", PhysicalResourceId="sib-1")
        if event["RequestType"] == "Create"
        else success(event)
    )
    sandbox.client.update_stack(StackName="shop", TemplateBody=FAMILY)
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")
    assert sandbox.event("Delete", "Sibling")["PhysicalResourceId"] == "sib-1"
    assert not any(
        (e["RequestType"], e["LogicalResourceId"]) == ("Delete", "Bundle") for e in sandbox.events
    )
    assert sandbox.statuses("First")[-1] == "CREATE_COMPLETE"


def test_the_id_of_a_failed_update_becomes_the_resources_until_the_rollback_answers_another(
    sandbox: Sandbox,
) -> None:
    sandbox.finish(alone(Prefix="a"), "CREATE_COMPLETE")
    sandbox.answer = lambda event: (
        failure(event, "no", PhysicalResourceId="bun-2")
        if event["ResourceProperties"]["Prefix"] == "b" and event["RequestType"] == "Update"
        else success(event, PhysicalResourceId=event.get("PhysicalResourceId", "bun-1"))
        if event["RequestType"] == "Delete"
        else success(event, PhysicalResourceId="bun-1")
    )

    sandbox.client.update_stack(StackName="shop", TemplateBody=alone(Prefix="b"))
    sandbox.until("UPDATE_ROLLBACK_COMPLETE")

    swapped, delete = sandbox.event("Update"), sandbox.event("Delete")
    assert swapped["PhysicalResourceId"] == "bun-2"
    assert swapped["ResourceProperties"]["Prefix"] == "a"
    assert delete["PhysicalResourceId"] == "bun-2"
    assert delete["ResourceProperties"]["Prefix"] == "b"
